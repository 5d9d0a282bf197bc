"""From `SENSUS_LLM_PROVIDERS` to endpoints.

Each is `kind:url/model;option=value;…`. The path of an Ollama address is its model; the path of an
OpenAI address is read up to `v1`, the rest is the model. What is refused is never repeated: it may
hold a key that was put in the wrong place.
"""

import math
import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from mesh.config import ConfigError
from mesh.outbound import refusal
from services.explainer.llm.provider import Endpoint

FORMS: Final = {
    "ollama": "ollama:http://127.0.0.1:11434/llama3.2",
    "openai": "openai:https://api.example.com/v1/some-model;key=NAME_OF_A_VARIABLE",
}
_OPTIONS: Final = ("name", "key", "context", "answer", "cost", "think")
_THINK: Final = {"": None, "on": True, "off": False}
_PROMPT_TOKENS_MIN: Final = 1024
"""Less holds the instructions and hardly any evidence."""

_DIGITS_MAX: Final = 9
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]*")
_NAME: Final = re.compile(r"[A-Za-z0-9._/:-]{1,64}")
_KEY_BELONGS: Final = "put the key into an environment variable and name it: key=NAME_OF_A_VARIABLE"

Secret = Callable[[str], str]


def endpoints_of(
    specs: Sequence[str], *, private_hosts: frozenset[str], secret: Secret
) -> tuple[Endpoint, ...]:
    """One endpoint per spec, in the order given.

    Args:
        specs: As they stand in the variable.
        private_hosts: Hosts that may have a private address.
        secret: The value of the environment variable of that name.

    Raises:
        ConfigError: A spec has another form, or its address is not allowed.
    """
    return tuple(_endpoint(spec, private_hosts, secret) for spec in specs if spec)


def _endpoint(spec: str, private_hosts: frozenset[str], secret: Secret) -> Endpoint:
    where, *rest = spec.split(";")
    kind, _, address = where.partition(":")
    url = _url(address)
    base, model = _split(kind, url)
    if kind not in FORMS or url.scheme not in ("http", "https") or not url.hostname or not model:
        form = FORMS.get(kind, FORMS["ollama"])
        raise _problem(f"a provider is not usable: write it like {form}")
    _check_literal(url.hostname, private_hosts)
    options = _options(rest)
    prices = _prices(options.get("cost", "0/0"))
    context = _whole(options.get("context", "8192"), "context", at_least=2048)
    answer = _whole(options.get("answer", "800"), "answer", at_least=100)
    if answer > context - _PROMPT_TOKENS_MIN:
        left = (
            f"leave at least {_PROMPT_TOKENS_MIN} of the {context} tokens of context to the prompt"
        )
        raise _problem(f"answer: {left}: give at most {context - _PROMPT_TOKENS_MIN}")
    think = options.get("think", "")
    if think not in _THINK or (think and kind != "ollama"):
        raise _problem("think: give on or off, of a model at Ollama")
    return Endpoint(
        kind=kind,
        name=_name(options.get("name", kind)),
        base_url=f"{url.scheme}://{url.netloc}{base}",
        model=model,
        key=secret(_variable(options["key"])) if "key" in options else "",
        context_tokens=context,
        answer_tokens=answer,
        think=_THINK[think],
        input_price=prices[0],
        output_price=prices[1],
    )


def _url(address: str) -> SplitResult:
    if "?" in address or "#" in address:
        raise _problem(f"an address holds no ? and no #: {_KEY_BELONGS}")
    try:
        url = urlsplit(address)
        url.port  # noqa: B018  reading it checks it
    except ValueError as error:
        # other reasons repeat a part of the address
        why = " (Invalid IPv6 URL)" if str(error) == "Invalid IPv6 URL" else ""
        raise _problem(f"an address cannot be read{why}: check its host and port") from None
    if "@" in url.netloc:
        raise _problem("put no user or password into an address")
    return url


def _split(kind: str, url: SplitResult) -> tuple[str, str]:
    """The path of the API, and the name of the model after it."""
    path = url.path.rstrip("/")
    if kind == "openai":
        before, found, model = path.partition("/v1/")
        return (f"{before}/v1", model) if found else ("", "")
    return "", path.strip("/")


def _check_literal(host: str, private_hosts: frozenset[str]) -> None:
    try:
        address = ip_address(host)
    except ValueError:
        return
    if why := refusal(address, private_allowed=host in private_hosts):
        raise _problem(f"{host}: {why}; SENSUS_LLM_PRIVATE_HOSTS names hosts that may be private")


def _options(parts: Sequence[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for number, part in enumerate(parts, 1):
        name, _, value = part.partition("=")
        if name not in _OPTIONS or not value:
            forms = ", ".join(f"{each}=…" for each in _OPTIONS)
            raise _problem(f"option {number} after the address is not known: use {forms}")
        options[name] = value
    return options


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise _problem("name: give at most 64 of the letters A to Z, digits and . _ - / :")
    return text


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise _problem(f"key is no name of a variable (A to Z, digits and _): {_KEY_BELONGS}")
    return text


def _whole(text: str, option: str, *, at_least: int) -> int:
    if not text.isdecimal() or len(text) > _DIGITS_MAX or int(text) < at_least:
        at_most = 10**_DIGITS_MAX - 1
        raise _problem(f"{option}: give a number of tokens, at least {at_least}, at most {at_most}")
    return int(text)


def _prices(text: str) -> tuple[float, float]:
    try:
        first, second = (float(part) for part in text.split("/"))
    except ValueError:
        raise _problem("cost: give the prices as in 0.15/0.60") from None
    if not all(math.isfinite(price) and price >= 0 for price in (first, second)):
        raise _problem("cost: give prices that are numbers of at least 0, as in 0.15/0.60")
    return first, second


def _problem(what: str) -> ConfigError:
    return ConfigError(f"SENSUS_LLM_PROVIDERS: {what}")
