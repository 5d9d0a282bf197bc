"""Threshold rules: check, ask, encode."""

import grpc

from mesh.errors import NotFound
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.detector.v1 import detector_service_pb2_grpc
from services.detector.convert import rules as convert
from services.detector.model.rules import Rule
from services.detector.store import RuleStore

ListContext = grpc.aio.ServicerContext[detector_pb.ListRulesRequest, detector_pb.ListRulesResponse]
GetContext = grpc.aio.ServicerContext[detector_pb.GetRuleRequest, detector_pb.GetRuleResponse]
CreateContext = grpc.aio.ServicerContext[
    detector_pb.CreateRuleRequest, detector_pb.CreateRuleResponse
]
UpdateContext = grpc.aio.ServicerContext[
    detector_pb.UpdateRuleRequest, detector_pb.UpdateRuleResponse
]
DeleteContext = grpc.aio.ServicerContext[
    detector_pb.DeleteRuleRequest, detector_pb.DeleteRuleResponse
]


class RuleMethods(detector_service_pb2_grpc.DetectorServiceServicer):
    """Reading and changing rules; the detectors hear of it from the store."""

    _rules: RuleStore

    async def ListRules(  # noqa: N802
        self, request: detector_pb.ListRulesRequest, context: "ListContext"
    ) -> detector_pb.ListRulesResponse:
        """All rules."""
        rules = [convert.rule_message(each) for each in await self._rules.all()]
        return detector_pb.ListRulesResponse(rules=rules)

    async def GetRule(  # noqa: N802
        self, request: detector_pb.GetRuleRequest, context: "GetContext"
    ) -> detector_pb.GetRuleResponse:
        """One rule."""
        rule = await self._rule(request.rule_id)
        return detector_pb.GetRuleResponse(rule=convert.rule_message(rule))

    async def CreateRule(  # noqa: N802
        self, request: detector_pb.CreateRuleRequest, context: "CreateContext"
    ) -> detector_pb.CreateRuleResponse:
        """Adds a rule."""
        rule = await self._rules.add(convert.new_rule(request.rule))
        return detector_pb.CreateRuleResponse(rule=convert.rule_message(rule))

    async def UpdateRule(  # noqa: N802
        self, request: detector_pb.UpdateRuleRequest, context: "UpdateContext"
    ) -> detector_pb.UpdateRuleResponse:
        """Changes the fields of the mask."""
        changed = convert.changed_rule(await self._rule(request.rule_id), request)
        stored = await self._rules.put(changed)
        if stored is None:
            raise NotFound("rule", request.rule_id)
        return detector_pb.UpdateRuleResponse(rule=convert.rule_message(stored))

    async def DeleteRule(  # noqa: N802
        self, request: detector_pb.DeleteRuleRequest, context: "DeleteContext"
    ) -> detector_pb.DeleteRuleResponse:
        """Removes a rule."""
        if not await self._rules.delete(request.rule_id):
            raise NotFound("rule", request.rule_id)
        return detector_pb.DeleteRuleResponse()

    async def _rule(self, rule_id: str) -> Rule:
        rule = await self._rules.find(rule_id)
        if rule is None:
            raise NotFound("rule", rule_id)
        return rule
