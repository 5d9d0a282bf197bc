"""What a command says to people: the exception that ends it, and commands to copy."""

import shlex


class Problem(Exception):  # noqa: N818  it is shown to people: "problem: <message>"
    """A command cannot go on; the message says why and what to change."""


def command_text(*arguments: object) -> str:
    """A command for people to copy: an argument that a shell would take apart is quoted.

    >>> command_text("sensus", "up", "--data-dir", "/my data")
    "sensus up --data-dir '/my data'"
    """
    return shlex.join(map(str, arguments))
