"""From `SENSUS_LLM_PROVIDERS` to providers, in the order given."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx

from mesh.config import ConfigError
from services.explainer.wording.ollama import Ollama
from services.explainer.wording.provider import Provider

_FORM = "ollama:http://127.0.0.1:11434/llama3.2"


def providers_of(specs: Sequence[str], http: httpx.AsyncClient) -> tuple[Provider, ...]:
    """One provider per `kind:url/model`; the path of the address is the name of the model.

    Raises:
        ConfigError: A spec has another form or an unknown kind.
    """
    return tuple(_provider(spec, http) for spec in specs if spec)


def _provider(spec: str, http: httpx.AsyncClient) -> Provider:
    kind, _, address = spec.partition(":")
    url = urlsplit(address)
    model = url.path.strip("/")
    if url.username or url.password:
        raise ConfigError("SENSUS_LLM_PROVIDERS: put no user or password into an address")
    if kind != "ollama" or url.scheme not in ("http", "https") or not url.hostname or not model:
        told = f"SENSUS_LLM_PROVIDERS: {kind!r} provider is not usable: write it like {_FORM}"
        raise ConfigError(told)
    return Ollama(http=http, base_url=f"{url.scheme}://{url.netloc}", model=model)
