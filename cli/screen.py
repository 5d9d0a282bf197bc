"""What people see: colour and a spinner on a terminal, plain lines in a pipe."""

import time
from collections.abc import Iterable
from types import TracebackType

from rich.console import Console
from rich.status import Status
from rich.table import Table

from cli.supervisor import Event, State

_PIPE_WIDTH = 200
_STYLE_BY_STATE = {
    State.READY: "green",
    State.ENDED: "bold red",
    State.FAILED: "bold red",
    State.WAITING: "yellow",
    State.STOPPED: "dim",
}


def make_console(*, error: bool = False) -> Console:
    """A console that neither wraps nor colours its lines when they go into a pipe."""
    console = Console(stderr=error, highlight=False)
    return (
        console
        if console.is_terminal
        else Console(stderr=error, width=_PIPE_WIDTH, highlight=False)
    )


class StartScreen:
    """Shows children as they come and go; a spinner names those that are not ready yet."""

    def __init__(self, console: Console) -> None:
        self._console = console
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
        elif event.state is not State.STOPPING:
            since_s = self._since_s.pop(event.name, None)
            took = f"{time.monotonic() - since_s:.1f} s" if since_s is not None else ""
            self._line(event, event.detail or took)
        if self._status is not None:
            self._status.update(f"starting {', '.join(self._since_s) or '…'}")

    def _line(self, event: Event, detail: str) -> None:
        style = _STYLE_BY_STATE.get(event.state, "")
        self._console.print(
            f"{event.name:<10} [{style or 'default'}]{event.state.value:<8}[/]", detail
        )


def show_pairs(console: Console, rows: Iterable[tuple[str, str]]) -> None:
    """Two aligned columns: name and value."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(f"  {name}", value)
    console.print(table)
