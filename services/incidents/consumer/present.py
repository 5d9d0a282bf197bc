"""What still goes on where a log begins to be followed: its newest place, and lists in pages."""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from mesh.clients import closing
from mesh.errors import Unavailable, translated
from services.incidents.model.change import Change


async def newest(call: Any) -> int:
    """The cursor of the first frame of a watch from now on.

    Raises:
        Unavailable: The sender ends the watch before.
    """
    with translated():
        async with closing(call) as frames:
            async for frame in frames:
                return int(frame.cursor)
    raise Unavailable("a watch ended before its first frame")


async def pages(ask: Callable[[Any], Any], request: Any) -> AsyncIterator[Any]:
    """All pages of a list."""
    while True:
        with translated():
            page = await ask(request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def in_order(changes: Iterable[Change]) -> list[Change]:
    """As a log would have said them."""
    return sorted(changes, key=lambda each: (each.start_ms, each.member_id))
