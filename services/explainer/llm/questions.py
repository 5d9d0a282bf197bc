"""What every chat API is asked with."""

from services.explainer.llm.provider import Endpoint
from services.explainer.model.prompt import Prompt


def headers_of(endpoint: Endpoint) -> dict[str, str]:
    """The key, if there is one. No compression: a small answer could unpack to fill the memory."""
    key = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
    return {"Accept-Encoding": "identity"} | key


def messages_of(prompt: Prompt) -> list[dict[str, str]]:
    """The prompt as a conversation."""
    return [
        {"role": "system", "content": prompt.system},
        {"role": "user", "content": prompt.user},
    ]
