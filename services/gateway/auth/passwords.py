"""Passwords: argon2id, off the event loop, a few at a time."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from mesh.errors import InvalidInput, Overloaded, Violation

_AT_ONCE: Final = 2
_WAITING: Final = 32
_NICENESS: Final = 10
_SHORTEST: Final = 12
_LONGEST: Final = 256


class Passwords:
    """Hashes and checks passwords.

    One check costs about 64 MiB and 50 ms of every core. So few run at once, the rest waits in a
    short queue, and all of them give way to requests: their threads have a lower priority.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Uses argon2id with the library's parameters."""
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(_AT_ONCE, "passwords", initializer=_give_way)
        self._queued = 0
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """A new hash, with its own salt.

        Raises:
            InvalidInput: PASSWORD_UNFIT, too short or too long.
        """
        if not _SHORTEST <= len(password) <= _LONGEST:
            rule = f"must have {_SHORTEST} to {_LONGEST} characters"
            raise InvalidInput(
                f"password {rule}",
                reason="PASSWORD_UNFIT",
                violations=[Violation("password", rule)],
            )
        return str(await self._run(password, None))

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether it is the password; for an unknown user it takes as long and says no."""
        fits = await self._run(password[: _LONGEST + 1], stored or self._nobody)
        return bool(fits) and stored is not None

    async def _run(self, password: str, stored: str | None) -> str | bool:
        if self._queued >= _WAITING:
            raise Overloaded("too many log-ins at once: try again", retry_after_s=2)
        self._queued += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._work, password, stored)
        finally:
            self._queued -= 1

    def _work(self, password: str, stored: str | None) -> str | bool:
        if stored is None:
            return self._hasher.hash(password)
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False


def _give_way() -> None:
    """Lowers the priority of this thread and of those that it starts; Linux counts per thread.

    One that is lower already, since the product was started with `nice`, nobody may raise.
    """
    thread = threading.get_native_id()
    if os.getpriority(os.PRIO_PROCESS, thread) < _NICENESS:
        os.setpriority(os.PRIO_PROCESS, thread, _NICENESS)
