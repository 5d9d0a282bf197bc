"""The `sensus` command: one sub-command per file in `cli/commands`."""

import sys

import typer

from cli.commands.backtest import backtest
from cli.commands.demo import demo
from cli.commands.explain import explain
from cli.commands.keys import keys
from cli.commands.migrate import migrate
from cli.commands.prompts import prompts
from cli.commands.rank import rank
from cli.commands.send import send
from cli.commands.tail import tail
from cli.commands.token import token
from cli.commands.up import up
from cli.problem import Problem
from cli.screen import make_console
from mesh.config import ConfigError
from mesh.errors import SensusError

_commands = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for _command in (up, demo, send, tail, explain, rank, token, keys, migrate, backtest):
    _commands.command()(_command)
_commands.add_typer(prompts, name="prompts")


@_commands.callback()
def _about() -> None:
    """Sensus takes in metrics and alerts, notices what is abnormal, and explains why."""


def app() -> None:
    """Runs the command line; a problem is one sentence and exit status 1, not a traceback."""
    try:
        _commands()
    except (Problem, ConfigError, SensusError) as problem:
        make_console(error=True).print(f"sensus: {problem}", markup=False, soft_wrap=True)
        sys.exit(1)
