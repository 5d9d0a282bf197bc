"""A notice as plain text, in which all that is foreign is inert."""

from collections.abc import Sequence
from typing import Final

from services.notifier.texts.inert import inert
from services.notifier.texts.wording import NoticeText

_MEMBERS_MAX: Final = 200


def plain(notice_text: NoticeText, members: Sequence[str] = ()) -> str:
    """Everything it says, title and link included; of a person's own text only that."""
    if notice_text.body:
        return "\n".join(inert(line, 2000) for line in notice_text.body.splitlines()) + "\n"
    lines = [inert(notice_text.title), ""]
    if notice_text.summary:
        lines += [inert(notice_text.summary, 2000), ""]
    lines += [f"{inert(name, 100)}: {inert(value, 500)}" for name, value in notice_text.facts]
    lines += [f"- {inert(title)}" for title in members[:_MEMBERS_MAX]]
    if notice_text.link:
        lines += ["", notice_text.link]
    return "\n".join(lines) + "\n"
