"""A notice as plain text, in which all that is foreign is inert."""

from collections.abc import Sequence
from typing import Final

from services.notifier.texts.inert import inert
from services.notifier.texts.wording import Words

_MEMBERS_MAX: Final = 200


def plain(words: Words, members: Sequence[str] = ()) -> str:
    """Everything it says, title and link included; of a person's own text only that."""
    if words.body:
        return "\n".join(inert(line, 2000) for line in words.body.splitlines()) + "\n"
    lines = [inert(words.title), ""]
    if words.summary:
        lines += [inert(words.summary, 2000), ""]
    lines += [f"{inert(name, 100)}: {inert(value, 500)}" for name, value in words.facts]
    lines += [f"- {inert(title)}" for title in members[:_MEMBERS_MAX]]
    if words.link:
        lines += ["", words.link]
    return "\n".join(lines) + "\n"
