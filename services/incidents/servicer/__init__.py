"""IncidentsService, one file per subject: check, ask, encode."""

from typing import Final

import grpc

from sensus.incidents.v1 import incidents_service_pb2 as pb
from sensus.incidents.v1 import incidents_service_pb2_grpc as pb_grpc
from services.incidents.servicer.actions import ActionMethods
from services.incidents.servicer.parts import Parts
from services.incidents.servicer.postmortems import PostmortemMethods
from services.incidents.servicer.reading import ReadingMethods
from services.incidents.servicer.rules import RuleMethods
from services.incidents.servicer.silences import SilenceMethods

FULL_NAME: Final = pb.DESCRIPTOR.services_by_name["IncidentsService"].full_name


class IncidentsServicer(
    ReadingMethods, ActionMethods, RuleMethods, SilenceMethods, PostmortemMethods
):
    """Answers from the store: any replica answers for all."""

    def __init__(self, parts: Parts) -> None:
        """Serves from `parts`."""
        self._parts = parts


def register(parts: Parts, server: grpc.aio.Server) -> None:
    """Serves the contract from `parts`."""
    pb_grpc.add_IncidentsServiceServicer_to_server(IncidentsServicer(parts), server)


__all__ = ["FULL_NAME", "IncidentsServicer", "Parts", "register"]
