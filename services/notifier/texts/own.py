"""A person's own title and text in place of the product's."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.notifier.routing.receivers import Integration
from services.notifier.routing.tree import Routing
from services.notifier.texts.templates import TemplateFault, Templates
from services.notifier.texts.wording import TITLE_CHARS_MAX, Words

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTexts:
    """Where one fails, the product's own stand, with a word why."""

    templates: Templates

    async def over(
        self, words: Words, way: Integration, routing: Routing, facts: Mapping[str, Any]
    ) -> Words:
        """The words, with what the integration sets itself."""
        texts = {
            name: routing.templates.get(text, text)
            for name, text in (("title", way.title), ("text", way.text))
            if text
        }
        if not texts:
            return words
        try:
            own = await self.templates.render(texts, facts)
        except TemplateFault as fault:
            logger.warning("template not rendered", extra={"cause": str(fault)})
            note = ("template", f"the receiver's own text could not be made: {fault}")
            return replace(words, facts=(*words.facts, note))
        title = own.get("title", words.title)[:TITLE_CHARS_MAX]
        return replace(words, title=title, body=own.get("text", ""))
