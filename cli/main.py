"""The `sensus` command: one sub-command per file in `cli/commands`, or a few of one subject."""

import sys
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

from cli.problem import Problem
from cli.render.screen import make_console
from mesh.config import ConfigError
from mesh.errors import SensusError

_NAMES: Final = (
    "up",
    "demo",
    "send",
    "tail",
    "explain",
    "rank",
    "group",
    "login",
    "token",
    "keys",
    "migrate",
    "backtest",
    "prompts",
    "audit",
    "slo",
    "notify",
    "notices",
    "topology",
    "incidents",
    "incident",
    "ack",
    "resolve",
    "mute",
    "merge",
    "split",
    "note",
    "undo",
    "postmortem",
)
_ROOMS: Final = dict.fromkeys(
    ("ack", "resolve", "mute", "merge", "split", "note", "undo", "postmortem"), "incident"
)
"""Commands that share a file with another one."""


def _new(**options: Any) -> typer.Typer:
    return typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, **options
    )


class _Commands(TyperGroup):
    """Imports a sub-command when it is asked for: all of them together take a second."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_NAMES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _NAMES:
            return None
        found = getattr(import_module(f"cli.commands.{_ROOMS.get(cmd_name, cmd_name)}"), cmd_name)
        group = _new(callback=_about)
        if isinstance(found, typer.Typer):
            group.add_typer(found, name=cmd_name)
        else:
            group.command()(found)
        return get_group(group).commands[cmd_name]


def _about() -> None:
    """Sensus takes in metrics and alerts, notices what is abnormal, and explains why."""


_commands = _new(cls=_Commands, callback=_about, no_args_is_help=True)


def app() -> None:
    """Runs the command line; a problem is one sentence and exit status 1, not a traceback."""
    try:
        _commands()
    except (Problem, ConfigError, SensusError) as problem:
        make_console(error=True).print(f"sensus: {problem}", markup=False, soft_wrap=True)
        sys.exit(1)
