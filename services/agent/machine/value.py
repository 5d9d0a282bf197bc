"""One value of one series of the machine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Value:
    """A metric name, its own labels and the value.

    Names and labels come from the machine: their text is made Unicode and is cut.
    """

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float

    @classmethod
    def of(cls, name: str, value: float, **labels: str) -> "Value":
        """A value; labels in any order."""
        return cls(name, tuple((key, clean(text)) for key, text in labels.items()), float(value))


def clean(text: str, most: int = 128) -> str:
    r"""Text of the machine as a label may hold it.

    >>> clean("caf\udcc3\udca9\x00"), clean("x" * 200) == "x" * 128
    ('caf???', True)
    """
    whole = text.encode("utf-8", "replace").decode()
    return whole.replace("\0", "?")[:most]
