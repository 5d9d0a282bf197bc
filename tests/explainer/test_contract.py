"""What the comments of the contract list is what the code has."""

import re
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

import services.explainer
from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.claims.form import TAGS
from tests.conftest import REPOSITORY

REASON = re.compile(r'\breason="([A-Z_]+)"|\binvalid\(.*?"([A-Z]+_[A-Z_]+)"\)', re.DOTALL)
INNER = {"NO_SOURCE"}
"""Reasons that no caller meets: the work is put off and tried again."""


def contract() -> FileDescriptorProto:
    """The file of the explainer with its comments."""
    whole = FileDescriptorSet.FromString((REPOSITORY / "gen/sensus/contract.binpb").read_bytes())
    return next(each for each in whole.file if each.name == pb.DESCRIPTOR.name)


def comment_of_field(message: str, field: str) -> str:
    """The comment before a field."""
    file = contract()
    names = [each.name for each in file.message_type]
    place = names.index(message)
    fields = [each.name for each in file.message_type[place].field]
    path = [FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER, place, 2, fields.index(field)]
    found = (each for each in file.source_code_info.location if list(each.path) == path)
    return next(found).leading_comments


def test_kinds_of_claims_are_listed_where_their_field_is() -> None:
    listed = re.findall(r'"([a-z]+)"', comment_of_field("Claim", "kind"))
    assert sorted(listed) == sorted(TAGS)


def test_every_reason_that_callers_meet_is_listed_with_the_methods() -> None:
    listed = " ".join(each.leading_comments for each in contract().source_code_info.location)
    sources = Path(services.explainer.__path__[0]).rglob("*.py")
    found = {name for path in sources for pair in REASON.findall(path.read_text()) for name in pair}
    assert len(found) > 10
    assert sorted(each for each in found - INNER - {""} if each not in listed) == []
