"""Grouping rules, and what others would do."""

import asyncio
from collections.abc import AsyncIterator

from sensus.incidents.v1 import incidents_service_pb2 as pb
from sensus.incidents.v1 import incidents_service_pb2_grpc as pb_grpc
from services.incidents.convert import common, rules
from services.incidents.keeper.preview import Preview, PreviewIncident, preview
from services.incidents.servicer.parts import Parts
from services.incidents.store import rules as store
from services.incidents.store.transaction import IncidentTransaction

_SPAN_MS = 31 * 86_400_000
_SHOWN = 20


class RuleMethods(pb_grpc.IncidentsServiceServicer):
    """Reading, changing and trying rules; the grouping replica hears of it from the store."""

    _parts: Parts

    async def ListGroupingRules(  # noqa: N802
        self, request: pb.ListGroupingRulesRequest, context: object
    ) -> pb.ListGroupingRulesResponse:
        """All rules."""
        found = [rules.rule(each) for each in await self._parts.rules.all()]
        return pb.ListGroupingRulesResponse(rules=found)

    async def CreateGroupingRule(  # noqa: N802
        self, request: pb.CreateGroupingRuleRequest, context: object
    ) -> pb.CreateGroupingRuleResponse:
        """Adds a rule."""
        wanted, asked = rules.stored_rule(request.rule), common.asked(request)

        async def work(current: IncidentTransaction, _: int) -> bytes:
            made = await store.add(current.connection, wanted, asked.actor)
            return rules.rule(made).SerializeToString()

        answer = pb.GroupingRule.FromString(await self._parts.actions.run(asked, work))
        return pb.CreateGroupingRuleResponse(rule=answer)

    async def UpdateGroupingRule(  # noqa: N802
        self, request: pb.UpdateGroupingRuleRequest, context: object
    ) -> pb.UpdateGroupingRuleResponse:
        """Replaces a rule."""
        rule_id = common.text("rule_id", request.rule_id, 100, "INVALID_RULE", least=1)
        wanted, asked = rules.stored_rule(request.rule, rule_id), common.asked(request)

        async def work(current: IncidentTransaction, _: int) -> bytes:
            put = await store.put(current.connection, wanted, asked.actor)
            return rules.rule(put).SerializeToString()

        answer = pb.GroupingRule.FromString(await self._parts.actions.run(asked, work))
        return pb.UpdateGroupingRuleResponse(rule=answer)

    async def DeleteGroupingRule(  # noqa: N802
        self, request: pb.DeleteGroupingRuleRequest, context: object
    ) -> pb.DeleteGroupingRuleResponse:
        """Removes a rule."""
        rule_id = common.text("rule_id", request.rule_id, 100, "INVALID_RULE", least=1)
        asked = common.asked(request)

        async def work(current: IncidentTransaction, _: int) -> bytes:
            await store.delete(current.connection, rule_id, asked.actor)
            return b""

        await self._parts.actions.run(asked, work)
        return pb.DeleteGroupingRuleResponse()

    async def PreviewGrouping(  # noqa: N802
        self, request: pb.PreviewGroupingRequest, context: object
    ) -> AsyncIterator[pb.PreviewGroupingResponse]:
        """Groups a span anew."""
        compiled = [store.compiled(each) for each in rules.previewed(request)]
        start, end = _span(request, self._parts.clock.now_ms())
        changes, now_in = await self._parts.history.span(start, end)
        loop, parts = asyncio.get_running_loop(), self._parts
        found: Preview = await loop.run_in_executor(
            parts.threads,
            preview,
            changes,
            compiled,
            parts.graph.now,
            parts.settings,
            parts.times,
        )
        for each in found.incidents:
            yield pb.PreviewGroupingResponse(incident=_previewed(each, now_in))
        summary = pb.PreviewSummary(
            member_count=found.member_count,
            incident_count=len(found.incidents),
            stored_incident_count=len({*now_in.values()} - {""}),
            background_count=found.background_count,
        )
        yield pb.PreviewGroupingResponse(summary=summary)


def _span(request: pb.PreviewGroupingRequest, now_ms: int) -> tuple[int, int]:
    reason = "INVALID_TIME_RANGE"
    if not request.HasField("start_time"):
        raise common.invalid("start_time", "is required", reason)
    start = common.time_ms("start_time", request.start_time, reason)
    end = common.time_ms("end_time", request.end_time, reason) or now_ms
    if not start <= end <= start + _SPAN_MS:
        raise common.invalid("end_time", "must be 0 to 31 days after start_time", reason)
    return start, end


def _previewed(each: PreviewIncident, now_in: dict[str, str]) -> pb.PreviewedIncident:
    shown = [joined.change.member_id for joined in each.joined[:_SHOWN]]
    return pb.PreviewedIncident(
        start_time=common.timestamp(each.first.change.start_ms),
        title=each.title,
        member_count=len(each.joined),
        member_ids=shown,
        incident_ids=sorted({now_in.get(id, "") for id in shown} - {""}),
    )
