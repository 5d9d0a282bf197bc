"""What can be explained: an alert or an anomaly, by one id that may be of either."""

from collections.abc import Iterator
from contextlib import contextmanager

from mesh.errors import NotFound


class NoSubject(NotFound):
    """Neither an alert nor an anomaly has this id."""

    def __init__(self, subject_id: str) -> None:
        """Says which ids there are."""
        super().__init__("subject", subject_id)
        self.message = (
            f"no alert and no anomaly has the id {subject_id!r}: give the id at the end of a line "
            "of `sensus tail`; explanations, groups and series have other ids"
        )
        self.args = (self.message,)


@contextmanager
def none_of(subject_id: str) -> Iterator[None]:
    """Inside, the last kind of subject is tried; raises `NoSubject` when it is unknown, too."""
    try:
        yield
    except NotFound as error:
        if error.reason not in ("ALERT_NOT_FOUND", "ANOMALY_NOT_FOUND"):
            raise
        raise NoSubject(subject_id) from None
