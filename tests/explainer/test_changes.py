"""ListChanges: what people did, page by page."""

import base64
from typing import Any

import msgspec
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from sensus.explainer.v1 import explainer_service_pb2 as pb
from tests.explainer.conftest import Running
from tests.explainer.peers import EVENT_MS
from tests.explainer.test_errors import failure

DEPLOY, FLAG, CONFIG = pb.CHANGE_KIND_DEPLOY, pb.CHANGE_KIND_FLAG, pb.CHANGE_KIND_CONFIG


def at(after_s: float) -> Timestamp:
    """A time beside the event."""
    stamp = Timestamp()
    stamp.FromMilliseconds(round(EVENT_MS + 1000 * after_s))
    return stamp


async def written(explainer: Running) -> None:
    """Seven changes a minute apart, of which two are at once."""
    for number, (service, kind) in enumerate(
        (
            ("web", DEPLOY),
            ("web", FLAG),
            ("db", CONFIG),
            ("db", DEPLOY),
            ("web", DEPLOY),
            ("cart", FLAG),
        )
    ):
        change = pb.Change(change_id=f"c{number}", kind=kind, service=service, time=at(60 * number))
        change.text, change.diff = f"the {number}th", "+ something"
        change.files.append("a/b.py")
        await explainer.stub.WriteChange(pb.WriteChangeRequest(change=change))
    twin = pb.Change(change_id="c5b", kind=FLAG, service="cart", time=at(300))
    await explainer.stub.WriteChange(pb.WriteChangeRequest(change=twin))


async def ids(explainer: Running, **asked: Any) -> list[str]:
    """All pages, each of two."""
    request, found = pb.ListChangesRequest(page_size=2, **asked), []
    while True:
        page = await explainer.stub.ListChanges(request)
        assert len(page.changes) <= 2
        found += [each.change_id for each in page.changes]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def test_changes_are_listed_newest_first_and_each_once(explainer: Running) -> None:
    assert await ids(explainer) == []
    await written(explainer)
    assert await ids(explainer) == ["c5b", "c5", "c4", "c3", "c2", "c1", "c0"]
    newest = (await explainer.stub.ListChanges(pb.ListChangesRequest())).changes[1]
    assert (newest.service, newest.kind, newest.text) == ("cart", FLAG, "the 5th")
    assert newest.time == at(300)
    assert not newest.files
    assert not newest.diff


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"services": ["db"]}, ["c3", "c2"]),
        ({"services": ["db", "cart"]}, ["c5b", "c5", "c3", "c2"]),
        ({"services": ["nobody"]}, []),
        ({"kind": DEPLOY}, ["c4", "c3", "c0"]),
        ({"kind": DEPLOY, "services": ["web"]}, ["c4", "c0"]),
        ({"start_time": at(240)}, ["c5b", "c5", "c4"]),
        ({"end_time": at(60)}, ["c0"]),
        ({"start_time": at(60), "end_time": at(180)}, ["c2", "c1"]),
        ({"start_time": at(60), "end_time": at(60)}, []),
    ],
)
async def test_filters(explainer: Running, asked: dict[str, Any], expected: list[str]) -> None:
    await written(explainer)
    assert await ids(explainer, **asked) == expected


async def test_a_token_is_good_for_its_filter_alone(explainer: Running) -> None:
    await written(explainer)
    page = await explainer.stub.ListChanges(pb.ListChangesRequest(page_size=2))
    token = page.next_page_token
    digest, *_ = msgspec.msgpack.decode(base64.b64decode(token, b"-_"))
    made = [(digest, 2**63, "c"), (digest, -1, "c"), (digest, 1, "\0"), (digest, "c", 1), (digest,)]
    texts = [base64.urlsafe_b64encode(msgspec.msgpack.encode(each)).decode() for each in made]
    for asked in (
        {"page_token": token, "kind": FLAG},
        {"page_token": "x"},
        {"page_token": "é"},
        *({"page_token": each} for each in texts),
    ):
        error = await failure(explainer.stub.ListChanges(pb.ListChangesRequest(**asked)))
        assert error.reason == "INVALID_PAGE_TOKEN", asked


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"page_size": 1001}, "INVALID_PAGE_SIZE"),
        ({"kind": 9}, "INVALID_CHANGE_KIND"),
        ({"services": ["a"] * 101}, "INVALID_SERVICE"),
        ({"services": ["a" * 201]}, "INVALID_SERVICE"),
        ({"services": ["a\0"]}, "INVALID_SERVICE"),
        ({"start_time": at(1), "end_time": at(0)}, "INVALID_TIME_RANGE"),
        ({"start_time": Timestamp(seconds=-1)}, "INVALID_TIME_RANGE"),
        ({"end_time": Timestamp(nanos=-1)}, "INVALID_TIME_RANGE"),
    ],
)
async def test_what_is_wrong_is_named(
    explainer: Running, asked: dict[str, Any], reason: str
) -> None:
    error = await failure(explainer.stub.ListChanges(pb.ListChangesRequest(**asked)))
    assert error.reason == reason
