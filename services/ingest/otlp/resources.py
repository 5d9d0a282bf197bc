"""The resources of one body: each is parsed once, however many points it has, and is bounded."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
from google.protobuf.message import DecodeError
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from services.ingest.model.definitions import definition
from services.ingest.model.events import Instance
from services.ingest.model.labels import METRIC_NAME, LabelsRefused
from services.ingest.model.writes import Definition
from services.ingest.otlp.attributes import instance_of, promoted, target_info
from services.ingest.wire.fields import Fields, Spans, chunk

MOST_ATTRIBUTES: Final = 512
MOST_BYTES: Final = 64 * 1024
UNREADABLE: Final = "the attributes cannot be read: send valid UTF-8, nested at most 8 deep"
_TOO_LARGE: Final = (
    f"the resource has more than {MOST_ATTRIBUTES} attributes, or {MOST_BYTES} bytes: send fewer"
)


class Resources:
    """Resources by their place in the body.

    Attributes:
        digests: 16 bytes that stand for each, the same for the same bytes.
    """

    def __init__(self, body: bytes, spans: Spans) -> None:
        """Takes the messages Resource that lie in `spans`.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
        """
        self._body = body
        self._spans = spans
        owners = Fields(body, spans).parents(chunk(1))
        held = np.bincount(owners, minlength=len(spans))
        is_large = (held > MOST_ATTRIBUTES) | (spans.ends - spans.starts > MOST_BYTES)
        self._is_large = is_large.tolist()
        self.digests: Sequence[bytes] = [
            blake2b(raw, digest_size=16).digest() for raw in spans.of(body)
        ]
        self._labels: dict[bytes, Mapping[str, str] | LabelsRefused] = {}

    def labels(self, place: int) -> Mapping[str, str]:
        """The labels that every series of a resource gets.

        Raises:
            LabelsRefused: The resource is too large, or cannot be read.
        """
        digest = self.digests[place]
        known = self._labels.get(digest)
        if known is None:
            known = self._labels[digest] = self._promoted(place)
        if isinstance(known, LabelsRefused):
            raise known
        return known

    def target(self, place: int) -> Definition:
        """The series `target_info` of a resource."""
        try:
            labels = target_info(self._parsed(place))
        except LabelsRefused as refusal:
            return refusal
        if not labels:
            return LabelsRefused("the resource does not say who it is")
        return definition([*(labels | {METRIC_NAME: "target_info"}).items()])

    def identity(self, place: int) -> Instance | None:
        """Which running copy of which service a resource is; None when it cannot be read."""
        try:
            return instance_of(self._parsed(place))
        except LabelsRefused:
            return None

    def _promoted(self, place: int) -> Mapping[str, str] | LabelsRefused:
        try:
            return promoted(self._parsed(place))
        except LabelsRefused as refusal:
            return refusal

    def _parsed(self, place: int) -> Resource:
        if self._is_large[place]:
            raise LabelsRefused(_TOO_LARGE)
        try:
            return Resource.FromString(self._spans.one(self._body, place))
        except DecodeError:
            raise LabelsRefused(UNREADABLE) from None
