"""Requests that no sane sender writes: values at and beyond the ends of their types."""

import json
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from services.gateway.http.endpoint import Endpoint

LONG = "x" * 5000
TEXTS = [
    "",
    " ",
    "0",
    "-1",
    "a\0b",
    "\ud800",
    "\u202e\u0000\uffff",
    "🐛" * 200,
    LONG,
    "../../etc/passwd",
    '{__name__=~"(a+)+$"}',
    "%ff%fe%",
    "NaN",
    "null",
    "2026-11-20T10:00:00Z",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
    "10000-01-01T00:00:00Z",
    "2026-02-30T25:61:61Z",
    "-315576000001s",
    "9" * 400 + "s",
]
NUMBERS: list[Any] = [
    0,
    -1,
    2**31,
    2**32,
    2**53 + 1,
    2**63,
    -(2**63) - 1,
    2**64,
    10**400,
    1e308,
    5e-324,
    -0.0,
    0.1,
]
DEEP: Any = json.loads("[" * 400 + "]" * 400)
ODD: list[Any] = [None, True, [], {}, [[]], {"": {}}, ["a"] * 3000, {"a": 1, "A": 1}, DEEP]
VALUES = st.sampled_from([*TEXTS, *NUMBERS, *ODD])
CONTENT_TYPES = st.sampled_from(
    [
        "application/json",
        "application/json",
        "application/json",
        "application/json; charset=utf-16",
        "text/plain",
        "multipart/form-data",
        "application/x-protobuf",
        "",
        "\xff",
    ]
)
RAW = st.sampled_from(
    [
        b"",
        b"null",
        b"NaN",
        b"[",
        b"{" * 3000,
        b'{"a":' * 3000,
        b'{"alerts":1,"alerts":[]}',
        b'{"a":1e999999}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'"\xff"',
        b'{"a":"\\ud800"}',
        "\ufeff{}".encode(),
        b"\x1f\x8b\x08\x00broken",
        b'[{"labels":{"a":"b"},"startsAt":"2026-11-20T10:00:00Z"}]' + b" " * 100,
    ]
)


def value_of(schema: dict[str, Any], schemas: dict[str, Any], depth: int = 0) -> Any:
    """A strategy for a value that has the form of a schema, with extreme leaves."""
    if "$ref" in schema:
        return value_of(schemas[schema["$ref"].rpartition("/")[2]], schemas, depth)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return value_of(schema[several][0], schemas, depth)
    if depth > 3:
        return VALUES
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | VALUES
    if schema.get("type") == "array":
        return st.lists(value_of(schema.get("items", {}), schemas, depth + 1), max_size=3) | VALUES
    if "properties" in schema:
        properties = {
            name: value_of(inner, schemas, depth + 1)
            for name, inner in schema["properties"].items()
        }
        return st.fixed_dictionaries({}, optional=properties) | VALUES
    return VALUES


@st.composite
def requests(draw: Any, endpoint: Endpoint, document: dict[str, Any]) -> dict[str, Any]:
    """A request of an endpoint: `url`, `content`, `headers`, as bytes where it matters."""
    schemas = document["components"]["schemas"]
    path = endpoint.shown_path or endpoint.path
    shown = document["paths"].get(path, {}).get(endpoint.method.lower(), {})
    query: list[tuple[str, str]] = []
    for parameter in shown.get("parameters", []):
        value = draw(value_of(parameter["schema"], schemas))
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", _quoted(value) or "-")
        elif parameter["in"] == "query" and draw(st.booleans()):
            query.append((parameter["name"], _quoted(value)))
    content, headers = b"", {}
    if "requestBody" in shown:
        schema = next(iter(shown["requestBody"]["content"].values()))["schema"]
        body = st.builds(_encoded, value_of(schema, schemas)) | RAW
        content = draw(body)
        headers["Content-Type"] = draw(CONTENT_TYPES)
    text = "&".join(f"{name}={value}" for name, value in query)
    return {"url": f"{path}?{text}" if text else path, "content": content, "headers": headers}


def _quoted(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)[:2000]
    return quote(text[:2000].encode(errors="surrogatepass"), safe="")


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()
