"""What people see: colour and a spinner on a terminal, plain lines in a pipe."""

import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.status import Status

from cli.processes.child import Event, State
from cli.render.text import escape

_PIPE_WIDTH = 200
_STYLE_BY_STATE = {
    State.READY: "green",
    State.ENDED: "bold red",
    State.FAILED: "bold red",
    State.SILENT: "bold red",
    State.SLOW: "yellow",
    State.UNREADY: "yellow",
    State.WAITING: "yellow",
    State.STOPPED: "dim",
}


class _Answers(Console):
    def on_broken_pipe(self) -> None:
        """An error like any other, so that what is open is closed on the way out."""
        self.quiet = True
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class _QuietConsole(Console):
    def on_broken_pipe(self) -> None:
        """Says no more; what waits in the buffer goes nowhere."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


def make_console(*, error: bool = False) -> Console:
    """A console that neither wraps nor colours its lines when they go into a pipe.

    Raises BrokenPipeError once nobody reads any more; the command then ends with status 1.
    """
    return _made(_Answers, error=error)


def make_news_console() -> Console:
    """The same for a process that goes on when nobody reads what it says any more."""
    return _made(_QuietConsole, error=False)


def _made(kind: type[Console], *, error: bool) -> Console:
    console = kind(stderr=error, highlight=False)
    return (
        console if console.is_terminal else kind(stderr=error, width=_PIPE_WIDTH, highlight=False)
    )


class StartScreen:
    """Shows children as they come and go; a spinner names those that are not ready yet."""

    def __init__(self, console: Console, logs: Path) -> None:
        """`logs` is where it says that the log of a child that ended can be read."""
        self._console = console
        self._logs = logs
        self._since_s: dict[str, float] = {}
        self._status: Status | None = None

    def __enter__(self) -> "StartScreen":
        if self._console.is_terminal:
            self._status = self._console.status("starting")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()
        self._status = None

    def tell(self, event: Event) -> None:
        """Takes an event of the supervisor."""
        if event.state is State.STARTING:
            self._since_s[event.name] = time.monotonic()
        elif event.state is State.SLOW:
            self._line(event, event.detail + self._log_of(event))
        elif event.state is not State.STOPPING:
            since_s = self._since_s.pop(event.name, None)
            took = f"{time.monotonic() - since_s:.1f} s" if since_s is not None else ""
            log = self._log_of(event) if event.state is State.ENDED else ""
            self._line(event, (event.detail or took) + log)
        if self._status is not None:
            self._status.update(f"starting {', '.join(self._since_s) or '…'}")

    def _log_of(self, event: Event) -> str:
        return f"; its log: {self._logs / event.name}.log"

    def _line(self, event: Event, detail: str) -> None:
        style = _STYLE_BY_STATE.get(event.state, "")
        state = f"[{style or 'default'}]{event.state.value}[/]"
        gap = " " * (9 - len(event.state.value)) if detail else ""
        self._console.print(f"{event.name:<10} {state}{gap}{escape(detail)}", soft_wrap=True)


def show_pairs(console: Console, rows: Sequence[tuple[str, str]]) -> None:
    """Two aligned columns: name and value."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        console.print(f"  [bold]{escape(name.ljust(width))}[/]  {escape(value)}", soft_wrap=True)
