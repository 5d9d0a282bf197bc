"""ListExplanations: pages, filters, and what is wrong with them."""

from typing import Any

import grpc
import pytest

from mesh.errors import from_rpc_error
from sensus.explainer.v1 import explainer_service_pb2 as pb
from tests.explainer.conftest import Running
from tests.explainer.peers import Detector, Ingest, alert, anomaly


async def explained(explainer: Running, ingest: Ingest, count: int) -> list[str]:
    """Explains so many alerts and tells their explanations, newest first."""
    found = []
    for number in range(count):
        ingest.alerts[f"a{number}"] = alert(f"a{number}")
        found.append((await explainer.result(f"a{number}")).explanation_id)
    return found[::-1]


async def listed(explainer: Running, **filters: Any) -> Any:
    """One page."""
    return await explainer.stub.ListExplanations(pb.ListExplanationsRequest(**filters))


async def test_pages_follow_each_other_newest_first(explainer: Running, ingest: Ingest) -> None:
    wanted = await explained(explainer, ingest, 5)
    seen, token, pages = [], "", 0
    while token or not pages:
        page = await listed(explainer, page_size=2, page_token=token)
        seen += [each.explanation_id for each in page.explanations]
        token, pages = page.next_page_token, pages + 1
    assert (seen, pages) == (wanted, 3)


async def test_lists_have_the_answer_without_its_evidence(
    explainer: Running, ingest: Ingest
) -> None:
    result = await explainer.result()
    (found,) = (await listed(explainer)).explanations
    assert not found.evidence
    del result.evidence[:]
    assert found == result


async def test_filters_by_subject_state_and_time(
    explainer: Running, ingest: Ingest, detector: Detector
) -> None:
    await explained(explainer, ingest, 2)
    detector.anomalies["n1"] = anomaly("n1")
    request = pb.ExplainRequest(subject=pb.Subject(anomaly_id="n1"))
    frames = [frame async for frame in explainer.stub.Explain(request)]
    last = frames[-1].result

    async def ids(**filters: Any) -> list[str]:
        page = await listed(explainer, **filters)
        return [each.explanation_id for each in page.explanations]

    assert await ids(subject=pb.Subject(anomaly_id="n1")) == [last.explanation_id]
    assert await ids(subject=pb.Subject(alert_id="n1")) == []
    assert len(await ids(state=pb.EXPLANATION_STATE_DONE)) == 3
    assert await ids(state=pb.EXPLANATION_STATE_FAILED) == []
    assert await ids(start_time=last.create_time) == [last.explanation_id]
    assert len(await ids(end_time=last.create_time)) == 2


async def test_many_subjects_are_asked_for_at_once(
    explainer: Running, ingest: Ingest, detector: Detector
) -> None:
    """Alerts and anomalies together, each once, page by page."""
    await explained(explainer, ingest, 4)
    detector.anomalies["n1"] = anomaly("n1")
    request = pb.ExplainRequest(subject=pb.Subject(anomaly_id="n1"))
    async for _ in explainer.stub.Explain(request):
        pass
    wanted = {"alert_ids": ["a0", "a2", "a0", "absent"], "anomaly_ids": ["n1"]}
    first = await listed(explainer, page_size=2, **wanted)
    rest = await listed(explainer, page_size=2, page_token=first.next_page_token, **wanted)
    found = [each.subject for each in (*first.explanations, *rest.explanations)]
    assert [each.alert_id or each.anomaly_id for each in found] == ["n1", "a2", "a0"]
    one = await listed(explainer, subject=pb.Subject(alert_id="a1"), alert_ids=["a3"])
    assert [each.subject.alert_id for each in one.explanations] == ["a3", "a1"]


async def test_what_a_newer_revision_replaced_is_left_out_when_asked(explainer: Running) -> None:
    await explainer.result()
    await explainer.result(anew=True)
    for current, revisions in ((False, [2, 1]), (True, [2])):
        page = await listed(explainer, alert_ids=["a1"], current=current)
        assert [each.revision for each in page.explanations] == revisions


async def test_subjects_are_at_most_a_thousand(explainer: Running) -> None:
    many = [f"a{n}" for n in range(500)]
    await listed(explainer, alert_ids=many, anomaly_ids=many)
    subject = pb.Subject(alert_id="more")
    reason = await invalid(explainer, alert_ids=many, anomaly_ids=many, subject=subject)
    assert reason == "TOO_MANY_SUBJECTS"
    assert await invalid(explainer, alert_ids=[""]) == "SUBJECT_REQUIRED"


async def invalid(explainer: Running, **filters: Any) -> str:
    """Why a page is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await listed(explainer, **filters)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    return from_rpc_error(caught.value).reason


async def test_page_size_is_at_most_a_thousand(explainer: Running) -> None:
    assert await invalid(explainer, page_size=1001) == "INVALID_PAGE_SIZE"


@pytest.mark.parametrize("token", ["x", "äöü", "AAAA", "A" * 43, "!" * 10])
async def test_token_that_no_page_gave_is_refused(explainer: Running, token: str) -> None:
    assert await invalid(explainer, page_token=token) == "INVALID_PAGE_TOKEN"


async def test_token_of_another_filter_is_refused(explainer: Running, ingest: Ingest) -> None:
    await explained(explainer, ingest, 2)
    token = (await listed(explainer, page_size=1)).next_page_token
    reason = await invalid(explainer, page_token=token, state=pb.EXPLANATION_STATE_DONE)
    assert reason == "INVALID_PAGE_TOKEN"


async def test_time_range_must_have_a_length(explainer: Running) -> None:
    at = pb.Explanation().create_time
    at.FromSeconds(1_700_000_000)
    assert await invalid(explainer, start_time=at, end_time=at) == "INVALID_TIME_RANGE"


async def test_time_beyond_the_calendar_is_refused(explainer: Running) -> None:
    at = pb.Explanation().create_time
    at.seconds = 2**62
    assert await invalid(explainer, start_time=at) == "INVALID_TIME_RANGE"
