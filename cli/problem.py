"""The one exception that ends a command with a sentence instead of a traceback."""


class Problem(Exception):  # noqa: N818  it is shown to people: "problem: <message>"
    """A command cannot go on; the message says why and what to change."""
