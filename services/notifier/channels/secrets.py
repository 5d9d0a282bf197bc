"""Secrets where a routing says they are: read when they are used, never kept, never shown."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mesh.config import ConfigError, named_secret

_BYTES_MAX: Final = 16 * 1024
_HIDDEN: Final = "[secret]"
_CHARS_MIN: Final = 4
"""Shorter texts occur by themselves."""


class SecretFault(Exception):  # noqa: N818 - it is the reference's, not ours
    """A secret cannot be read; the message names its place and what to change, never a value."""


class Secrets:
    """Reads `env:NAME`, and `file:/path` below the directories that are allowed."""

    def __init__(self, directories: tuple[str, ...]) -> None:
        """Files elsewhere are refused: a routing must not read this service's own keys."""
        self._directories = [Path(each).resolve() for each in directories if each]

    def read(self, reference: str) -> str:
        """The secret behind a reference; "" for none. A text that is no reference is itself.

        Raises:
            SecretFault: It is not there, or may not be read.
        """
        kind, found, place = reference.partition(":")
        if not found or kind not in ("env", "file"):
            return reference
        return self._variable(place) if kind == "env" else self._file(place)

    def _variable(self, name: str) -> str:
        if name.startswith("SENSUS_"):
            raise SecretFault(f"env:{name}: variables of Sensus itself are not for notices")
        try:
            return named_secret(name)
        except ConfigError:
            raise SecretFault(f"env:{name} is not set: set it for the notifier") from None

    def _file(self, place: str) -> str:
        try:
            path = Path(place).resolve()
            if not any(path.is_relative_to(each) for each in self._directories):
                allowed = ", ".join(map(str, self._directories)) or "nowhere"
                message = f"file:{place}: secrets are read below {allowed} only"
                raise SecretFault(f"{message}; SENSUS_NOTIFIER_SECRET_DIRECTORIES names more")
            with path.open(encoding="utf-8") as file:
                text = file.read(_BYTES_MAX + 1).strip()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise SecretFault(f"file:{place} cannot be read: {why}") from None
        if not text or len(text) > _BYTES_MAX or "\n" in text or "\r" in text:
            raise SecretFault(f"file:{place} must hold one line of at most {_BYTES_MAX} bytes")
        return text


def without(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, which a server may send back; nor what begins one at its end.

    >>> without("you sent Bearer abcdef", ["abcdef"]), without("you sent abc", ["abcdef"])
    ('you sent Bearer [secret]', 'you sent abc')
    >>> without("you sent abcde", ["abcdef"])
    'you sent [secret]'
    """
    for secret in sorted({form for each in secrets for form in _forms(each)}, key=len)[::-1]:
        text = text.replace(secret, _HIDDEN)
        text = _without_cut(text, secret)
    return text


def _without_cut(text: str, secret: str) -> str:
    """An answer is cut somewhere: perhaps within the secret."""
    for length in range(len(secret) - 1, _CHARS_MIN - 1, -1):
        if text.endswith(secret[:length]):
            return text[:-length] + _HIDDEN
    return text


def _forms(secret: str) -> Iterator[str]:
    """A secret, and of one that is an address what a server sees of it."""
    forms = [secret]
    if "://" in secret:
        url = urlsplit(secret)
        forms += [f"{url.path}?{url.query}" if url.query else url.path, url.path]
    yield from (each for each in forms if len(each) >= _CHARS_MIN)
