"""Which incidents a list holds."""

from google.protobuf.timestamp_pb2 import Timestamp

from tests.incidents.harness import Running


def at(time_ms: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(time_ms)
    return time


async def test_a_list_is_of_incidents_that_were_open_in_a_span(service: Running) -> None:
    env = service.env()
    found = await service.opened(env, "a")
    start_ms = found.start_time.ToMilliseconds()
    for asked, count in (
        ({"start_time": at(start_ms - 60_000)}, 1),
        ({"start_time": at(start_ms + 60_000)}, 1),  # it still is
        ({"end_time": at(start_ms + 60_000)}, 1),
        ({"end_time": at(start_ms)}, 0),
        ({"start_time": at(start_ms - 2), "end_time": at(start_ms - 1)}, 0),
    ):
        assert len(await service.listed(env, **asked)) == count, asked
