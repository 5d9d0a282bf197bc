"""Whether a token still holds: what the gateway says of its subject and of its session."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from mesh.auth.identity import ADMIN, Principal
from mesh.clock import Clock
from mesh.errors import SensusError, Unauthenticated, Unavailable

_ENDED: Final = {
    "disabled": ("the account is disabled", "ACCOUNT_DISABLED"),
    "deleted": ("the account or key was deleted", "ACCOUNT_DELETED"),
    "revoked": ("the API key is revoked: make a new one", "KEY_REVOKED"),
    "logged out": ("this session was logged out: log in again", "SESSION_ENDED"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What holds for a subject now.

    Attributes:
        subject: `user:<name>`, `key:<id>` or `session:<id>`.
        revision: Number of the change that made it so; grows with each change of any subject.
        epoch_us: Tokens with a smaller epoch are refused.
        kept_session: The one session whose older tokens hold: it changed the password.
        scopes: What a token may claim at most.
        ended: Why no token holds; empty while tokens hold.
        expires_at_s: When no token of the subject can be left.
    """

    subject: str
    revision: int
    epoch_us: int = 0
    kept_session: str = ""
    scopes: frozenset[str] = frozenset()
    ended: str = ""
    expires_at_s: float = float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class _Watch:
    principal: Principal
    end: Callable[[SensusError], None]


class Standings:
    """The standing of every subject, from a source that may fall silent.

    A subject without an entry is taken at its token's word: whoever holds the gateway's key may
    sign for it. Services speak for themselves and are never looked up.
    """

    def __init__(self, clock: Clock, *, grace_s: float) -> None:
        """People and keys are refused when the source was silent for more than `grace_s`."""
        self._clock = clock
        self._grace_s = grace_s
        self._standing_by_subject: dict[str, Standing] = {}
        self._watches: defaultdict[str, set[_Watch]] = defaultdict(set)
        self._refreshed_at_s = float("-inf")
        self.revision = 0

    @property
    def is_fresh(self) -> bool:
        """Whether the source spoke within the grace."""
        return self._clock.monotonic_s() - self._refreshed_at_s <= self._grace_s

    async def probe(self) -> None:
        """Raises `Unavailable` while the source is silent; a probe for `Health`."""
        if not self.is_fresh:
            raise _unknown()

    def refresh(self) -> None:
        """The source is alive and has nothing new."""
        self._refreshed_at_s = self._clock.monotonic_s()

    def apply(self, revision: int, entries: Iterable[Standing], *, complete: bool = False) -> None:
        """Takes over what has changed and ends the streams of those whom it concerns.

        Args:
            revision: Of the source after these entries.
            entries: Each replaces what was known of its subject.
            complete: Whether the entries are all there are.
        """
        if complete:
            self._standing_by_subject.clear()
        changed = {entry.subject: entry for entry in entries}
        self._standing_by_subject |= changed
        self.revision = revision
        self.refresh()
        self._look_again(self._watches if complete else changed.keys() & self._watches.keys())

    def after(self, revision: int) -> list[Standing]:
        """What has changed since a revision, in the order of the changes."""
        newer = (s for s in self._standing_by_subject.values() if s.revision > revision)
        return sorted(newer, key=lambda standing: standing.revision)

    def check(self, principal: Principal) -> Principal:
        """The principal with the scopes that it still has.

        Raises:
            Unauthenticated: ACCOUNT_DISABLED, ACCOUNT_DELETED, KEY_REVOKED, SESSION_ENDED or
                TOKEN_SUPERSEDED.
            Unavailable: STANDING_UNKNOWN, the source was silent for too long.
        """
        if principal.is_service:
            return principal
        if not self.is_fresh:
            raise _unknown()
        session = self._standing_by_subject.get(f"session:{principal.session}")
        if session is not None and session.ended:
            raise _ended(session)
        standing = self._standing_by_subject.get(principal.subject)
        return principal if standing is None else _allowed(principal, standing)

    @contextmanager
    def watching(self, principal: Principal, end: Callable[[SensusError], None]) -> Iterator[None]:
        """Inside, `end` is called when the principal loses its standing or one of its scopes."""
        watch = _Watch(principal, end)
        subjects = (principal.subject, f"session:{principal.session}")
        for subject in subjects:
            self._watches[subject].add(watch)
        try:
            yield
        finally:
            for subject in subjects:
                self._watches[subject].discard(watch)
                if not self._watches[subject]:
                    del self._watches[subject]

    def tidy(self) -> None:
        """Ends streams once the source is silent, and forgets what has expired; call it often."""
        now_s = self._clock.now_ms() / 1000
        over = [s for s in self._standing_by_subject.values() if s.expires_at_s <= now_s]
        for standing in over:
            del self._standing_by_subject[standing.subject]
        if not self.is_fresh:
            self._look_again(self._watches)

    def _look_again(self, subjects: Iterable[str]) -> None:
        for watch in set().union(*(self._watches[subject] for subject in subjects)):
            try:
                allowed = self.check(watch.principal)
            except SensusError as error:
                watch.end(error)
                continue
            if allowed.scopes != watch.principal.scopes:
                message = "the role of this account has changed: call again"
                watch.end(Unauthenticated(message, reason="STANDING_CHANGED"))


def _allowed(principal: Principal, standing: Standing) -> Principal:
    if standing.ended:
        raise _ended(standing)
    is_kept = bool(standing.kept_session) and standing.kept_session == principal.session
    if principal.epoch_us < standing.epoch_us and not is_kept:
        message = "the account has changed since this token was made: log in again"
        raise Unauthenticated(message, reason="TOKEN_SUPERSEDED")
    if ADMIN in standing.scopes or principal.scopes <= standing.scopes:
        return principal
    claimed = standing.scopes if ADMIN in principal.scopes else principal.scopes
    return dataclasses.replace(principal, scopes=claimed & standing.scopes)


def _ended(standing: Standing) -> Unauthenticated:
    message, reason = _ENDED.get(standing.ended, ("this token holds no longer", "TOKEN_INVALID"))
    return Unauthenticated(message, reason=reason)


def _unknown() -> Unavailable:
    message = "the gateway does not say whose tokens hold, so people are refused: try again"
    return Unavailable(message, reason="STANDING_UNKNOWN", retry_after_s=1.0)
