"""A person's own title and text in place of the product's."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.notifier.routing.receivers import Integration
from services.notifier.routing.tree import Routing
from services.notifier.texts.templates import TemplateFault, Templates
from services.notifier.texts.wording import TITLE_CHARS_MAX, NoticeText

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomTexts:
    """Where one fails, the product's own stand, with a word why."""

    templates: Templates

    async def over(
        self,
        notice_text: NoticeText,
        way: Integration,
        routing: Routing,
        facts: Mapping[str, Any],
    ) -> NoticeText:
        """The words, with what the integration sets itself."""
        texts = {
            name: routing.templates.get(text, text)
            for name, text in (("title", way.title), ("text", way.text))
            if text
        }
        if not texts:
            return notice_text
        try:
            own = await self.templates.render(texts, facts)
        except TemplateFault as fault:
            logger.warning("template not rendered", extra={"cause": str(fault)})
            note = ("template", f"the receiver's own text could not be made: {fault}")
            return replace(notice_text, facts=(*notice_text.facts, note))
        title = own.get("title", notice_text.title)[:TITLE_CHARS_MAX]
        return replace(notice_text, title=title, body=own.get("text", ""))
