"""REST from descriptors: a method with `google.api.http` needs no line of its own."""

from services.gateway.transcoding.endpoints import Transcoder
from services.gateway.transcoding.rules import Binding, bindings

__all__ = ["Binding", "Transcoder", "bindings"]
