"""What a span is called, and whom it calls, by its attributes. Pure.

Names come from what senders keep few by convention: route, method, table, destination. Only where
none of these is there the name of the span counts, without what varies in it.
"""

import re
from collections.abc import Mapping
from typing import Final

SERVER: Final = 2
CLIENT: Final = 3
PRODUCER: Final = 4
CONSUMER: Final = 5
_CALLING: Final = (CLIENT, PRODUCER)

LONGEST: Final = 256
_MOST_PARTS: Final = 5
_LONGEST_PART: Final = 40
_VARIES: Final = re.compile(r"[0-9]{2,}|[0-9a-f]{8}|@|\x00", re.IGNORECASE)
_PARTS: Final = re.compile(r"([/ ])")
_CREDENTIALS: Final = re.compile(r"^.*@")
_SCHEME: Final = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def operation_name(name: str, attributes: Mapping[str, str]) -> str:
    """The operation of a span.

    Args:
        name: Of the span.
        attributes: The known ones that are there, none of them empty.
    """
    return bounded(_by_convention(attributes) or without_variables(name, _MOST_PARTS))


def address(kind: int, attributes: Mapping[str, str]) -> str:
    """Whom a span calls, or which queue it serves; empty for none that is said."""
    said = attributes.get
    if is_queue(attributes):
        return bounded(_destination(attributes) or said("messaging.system", ""))
    if kind not in _CALLING and not is_database(attributes):
        return ""
    host = said("server.address") or said("net.peer.name") or ""
    port = said("server.port") or said("net.peer.port") or ""
    url = said("url.full") or said("http.url") or ""
    called = f"{host}:{port}" if host and port else host
    found = said("peer.service") or called or (_host(url) if url else "")
    if is_database(attributes):
        found = said("db.namespace") or said("db.name") or found or _first(attributes, _DB_SYSTEMS)
    return bounded(without_control(found))


def is_database(attributes: Mapping[str, str]) -> bool:
    """Whether a span is of a database."""
    return bool(_first(attributes, _DB_SYSTEMS))


def is_queue(attributes: Mapping[str, str]) -> bool:
    """Whether a span is of a queue."""
    return "messaging.system" in attributes


def without_variables(name: str, most_parts: int = 64) -> str:
    """A name without numbers, ids and the like, and so many parts of its path."""
    parts = _PARTS.split(without_control(name)[:1024])
    kept = "".join("*" if _is_variable(part) else part for part in parts)
    return "/".join(kept.split("/")[: most_parts + 1])


def bounded(text: str) -> str:
    """At most 256 bytes of a text."""
    return text.encode(errors="replace")[:LONGEST].decode(errors="ignore")


def without_control(text: str) -> str:
    """A text without characters that are not printed."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


_DB_SYSTEMS: Final = ("db.system.name", "db.system")


def _by_convention(attributes: Mapping[str, str]) -> str:
    method = _first(attributes, ("http.request.method", "http.method"))
    route = _first(attributes, ("http.route", "url.template"))
    if method and route:
        return f"{method} {without_variables(route)}"
    if procedure := attributes.get("rpc.method"):
        service = attributes.get("rpc.service")
        return without_control(f"{service}/{procedure}" if service else procedure)
    if system := _first(attributes, _DB_SYSTEMS):
        return _database(system, attributes)
    if is_queue(attributes):
        verb = _first(attributes, ("messaging.operation.type", "messaging.operation"))
        return " ".join(each for each in (verb, _destination(attributes)) if each)
    return ""


def _database(system: str, attributes: Mapping[str, str]) -> str:
    verb = _first(attributes, ("db.operation.name", "db.operation"))
    table = _first(attributes, ("db.collection.name", "db.sql.table"))
    said = " ".join(each for each in (system, verb, table) if each)
    return without_variables(said) if verb else ""


def _destination(attributes: Mapping[str, str]) -> str:
    named = ("messaging.destination.name", "messaging.destination")
    return attributes.get("messaging.destination.template") or without_variables(
        _first(attributes, named)
    )


def _host(url: str) -> str:
    """Host and port of a URL, without what it says of users."""
    rest = _SCHEME.sub("", url)
    return _CREDENTIALS.sub("", re.split(r"[/?#]", rest, maxsplit=1)[0])


def _is_variable(part: str) -> bool:
    return len(part) > _LONGEST_PART or bool(_VARIES.search(part))


def _first(attributes: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((attributes[name] for name in names if name in attributes), "")
