"""All other services, by the library apprise of the extra `sensus[channels]`.

It says yes or no and nothing else: no status, no time to wait, nothing by which to tell a
repetition. It makes its connections itself, so its hosts are not checked as those of others are.
"""

import asyncio
from types import ModuleType
from typing import Any, Final

from services.notifier.channels.message import Message
from services.notifier.channels.secrets import Secrets
from services.notifier.model.incident import Severity
from services.notifier.model.notices import Outcome
from services.notifier.routing.receivers import Apprise, Integration
from services.notifier.texts.inert import inert

_TYPES: Final = {Severity.CRITICAL: "failure", Severity.WARNING: "warning", Severity.INFO: "info"}
_MISSING: Final = "apprise is not installed: pip install 'sensus[channels]'"
_LOCAL: Final = frozenset({"file", "dbus", "glib", "gnome", "kde", "windows", "macosx", "syslog"})
"""These do something on this machine and reach nobody."""


class AppriseChannel:
    """Calls apprise in a thread."""

    def __init__(self, secrets: Secrets, within_s: float) -> None:
        """A call that lasts longer is taken for failed; its thread ends when apprise does."""
        self._secrets = secrets
        self._within_s = within_s

    async def deliver(self, way: Integration, message: Message) -> Outcome:
        """Tells it once."""
        assert isinstance(way, Apprise)  # noqa: S101
        library = _library()
        if library is None:
            return Outcome(error=_MISSING, is_final=True)
        url = self._secrets.read(way.url)
        if url.partition("://")[0].lower() in _LOCAL:
            fault = "this kind of address reaches nobody but this machine"
            return Outcome(error=fault, is_final=True)
        try:
            async with asyncio.timeout(self._within_s):
                return await asyncio.to_thread(_tell, library, url, message)
        except TimeoutError:
            return Outcome(error=f"no answer within {self._within_s:g} s")


def _library() -> ModuleType | None:
    try:
        import apprise
    except ImportError:
        return None
    return apprise


def _tell(library: Any, url: str, message: Message) -> Outcome:
    # several addresses in one text would pass by the check of the first
    service = library.Apprise.instantiate(url, suppress_exceptions=True)
    if service is None:
        return Outcome(error="apprise does not know this kind of address", is_final=True)
    notice_text = message.notice_text
    lines = notice_text.body.splitlines() if notice_text.body else [notice_text.summary]
    if not notice_text.body:
        lines += [f"{name}: {value}" for name, value in notice_text.facts]
        lines += [*message.members[:50]]
    body = "\n".join(inert(line, 1000) for line in lines if line) or "-"
    if notice_text.link:
        body = f"{body}\n{notice_text.link}"
    kind = "success" if message.is_resolved else _TYPES[message.notice.severity]
    is_taken = service.notify(
        body=body,
        title=inert(notice_text.title),
        notify_type=kind,
        body_format=library.NotifyFormat.TEXT,
        interpret_escapes=False,
    )
    return Outcome(status=200) if is_taken else Outcome(error="the service did not take it")
