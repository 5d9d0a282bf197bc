"""Compressed bodies: every member counts, and the bound is that of all together."""

import gzip
import zlib

import pytest

from mesh.errors import InvalidInput
from services.gateway.http.problems import BodyTooLarge
from services.gateway.intake.compressed import MOST_MEMBERS, inflated

BITS = 32 + zlib.MAX_WBITS


@pytest.mark.parametrize("padding", [b"", b"\0" * 9])
def test_all_members_of_a_gzip_body_are_read(padding: bytes) -> None:
    body = b"".join(gzip.compress(part, mtime=0) + padding for part in (b"a" * 9, b"", b"b"))
    assert inflated(body, 10, BITS) == b"a" * 9 + b"b"
    with pytest.raises(BodyTooLarge):
        inflated(body, 9, BITS)


@pytest.mark.parametrize("behind", [b"dust", gzip.compress(b"b", mtime=0)[:-1]])
def test_what_is_behind_a_member_must_be_one(behind: bytes) -> None:
    with pytest.raises(InvalidInput, match="not valid gzip"):
        inflated(gzip.compress(b"a", mtime=0) + behind, 100, BITS)


def test_members_are_bounded() -> None:
    with pytest.raises(BodyTooLarge):
        inflated(gzip.compress(b"a", mtime=0) * (MOST_MEMBERS + 1), 1000, BITS)
