"""Why a process ends without having been asked to."""


class BindError(Exception):
    """The address cannot be listened on; the message says which and why."""


class WorkerDied(Exception):  # noqa: N818 - it says what happened
    """A worker that should run for ever ended; the process must not go on without it."""


class ServerDied(Exception):  # noqa: N818 - it says what happened
    """The server ended by itself, also inside its library; the message says why."""
