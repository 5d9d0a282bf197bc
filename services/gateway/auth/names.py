"""How a user may be named: safe in a token, a path, a log line and the database."""

import re
from typing import Final

from mesh.errors import InvalidInput, NotFound, Violation

_USER_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_KEY_ID: Final = re.compile(r"[0-9a-f]{12}")


def is_user_name(text: str) -> bool:
    """Whether a user may have this name."""
    return _USER_NAME.fullmatch(text) is not None


def check_user_name(text: str) -> None:
    """Raises `InvalidInput` when no user may have this name."""
    if not is_user_name(text):
        rule = "1 to 64 of a-z, 0-9, dot, underscore and dash; the first a letter or digit"
        raise InvalidInput(f"user_name: {rule}", violations=[Violation("user_name", rule)])


def known_user_name(text: str) -> str:
    """The name itself; `NotFound` when nobody can have it."""
    if not is_user_name(text):
        raise NotFound("user", text)
    return text


def known_key_id(text: str) -> str:
    """The id itself; `NotFound` when no key can have it."""
    if not _KEY_ID.fullmatch(text):
        raise NotFound("api key", text)
    return text
