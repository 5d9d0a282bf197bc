"""What people did, as it is asked for."""

import base64
from typing import Final

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.convert.context import CHANGE_KIND, NAME_CHARS_MAX, encode_change, is_time
from services.explainer.convert.requests import (
    PAGE_DEFAULT,
    PAGE_MAX,
    bad_token,
    digest_of,
    invalid,
    token_bytes,
)
from services.explainer.model.case import Change
from services.explainer.store.context import ChangeFilter, ChangePlace

SERVICES_MAX: Final = 100
_TIME: Final = "INVALID_TIME_RANGE"


class ChangesOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One page of changes: `size` of those behind `after`."""

    wanted: ChangeFilter
    after: ChangePlace | None
    size: int
    digest: bytes

    def answer(self, found: list[Change]) -> pb.ListChangesResponse:
        """The page for the wire, of up to `size` + 1 changes."""
        page = found[: self.size]
        token = ""
        if len(found) > self.size:
            place = (self.digest, page[-1].at_ms, page[-1].id)
            token = base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).decode()
        return pb.ListChangesResponse(changes=map(encode_change, page), next_page_token=token)


def changes_request(request: pb.ListChangesRequest) -> ChangesOrder:
    """What the request asks for.

    Raises:
        InvalidInput: INVALID_CHANGE_KIND, INVALID_SERVICE, INVALID_TIME_RANGE, INVALID_PAGE_TOKEN,
            INVALID_PAGE_SIZE.
    """
    if request.page_size > PAGE_MAX:
        raise invalid("page_size", f"be at most {PAGE_MAX}", "INVALID_PAGE_SIZE")
    if request.kind and request.kind not in CHANGE_KIND:
        raise invalid("kind", "be deploy, flag or config", "INVALID_CHANGE_KIND")
    start_ms = _time_ms(request.start_time, "start_time")
    end_ms = _time_ms(request.end_time, "end_time")
    if request.HasField("start_time") and request.HasField("end_time") and end_ms < start_ms:
        raise invalid("end_time", "not be before start_time", _TIME)
    digest = digest_of(request)
    return ChangesOrder(
        wanted=ChangeFilter(
            start_ms=start_ms if request.HasField("start_time") else None,
            end_ms=end_ms if request.HasField("end_time") else None,
            services=_services(request),
            kind=CHANGE_KIND.get(request.kind, ""),
        ),
        after=_place(request.page_token, digest) if request.page_token else None,
        size=request.page_size or PAGE_DEFAULT,
        digest=digest,
    )


def _services(request: pb.ListChangesRequest) -> tuple[str, ...]:
    reason = "INVALID_SERVICE"
    if len(request.services) > SERVICES_MAX:
        raise invalid("services", f"be at most {SERVICES_MAX}", reason)
    if any(len(each) > NAME_CHARS_MAX or "\0" in each for each in request.services):
        should = f"each be at most {NAME_CHARS_MAX} characters without NUL"
        raise invalid("services", should, reason)
    return tuple(request.services)


def _time_ms(stamp: Timestamp, field: str) -> int:
    if not is_time(stamp):
        raise invalid(field, "lie between 1970 and 9999", _TIME)
    return stamp.ToMilliseconds()


def _place(token: str, digest: bytes) -> ChangePlace:
    try:
        found = msgspec.msgpack.decode(token_bytes(token), type=tuple[bytes, int, str])
    except msgspec.DecodeError:
        raise bad_token() from None
    its_digest, at_ms, change_id = found
    if its_digest != digest:
        raise bad_token("be used with the same filter as the page before")
    if not 0 <= at_ms < 2**47 or "\0" in change_id:
        raise bad_token()
    return at_ms, change_id
