"""REST from descriptors: a method with `google.api.http` needs no line of its own."""

from services.gateway.transcoding.endpoints import Transcoder
from services.gateway.transcoding.framing import chosen
from services.gateway.transcoding.merging import Cursors, MergedCall, cursors_of
from services.gateway.transcoding.rules import Binding, bindings
from services.gateway.transcoding.streaming import StreamResponse

__all__ = [
    "Binding",
    "Cursors",
    "MergedCall",
    "StreamResponse",
    "Transcoder",
    "bindings",
    "chosen",
    "cursors_of",
]
