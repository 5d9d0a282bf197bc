"""The document as one page for people: no script, nothing from anywhere else."""

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from typing import Any, Final

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
details { border: 1px solid #8886; border-radius: 6px; margin: .4rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; }
.verb { display: inline-block; min-width: 4.5rem; font-weight: 700; }
.scope { opacity: .75; font-size: 13px; }
table { border-collapse: collapse; margin: .5rem 0; }
td, th { text-align: left; vertical-align: top; padding: .15rem .8rem .15rem 0; }
"""
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)


def page(document: dict[str, Any]) -> str:
    """An HTML page of every operation, by tag, and every schema."""
    info = document["info"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        f"<p>{escape(info['description'])}</p>",
        '<p>For machines: <a href="/openapi.json">openapi.json</a></p>',
        *_operations(document),
        "<h2>Schemas</h2>",
        *_schemas(document["components"]["schemas"]),
        "</body></html>",
    ]
    return "\n".join(parts)


def _operations(document: dict[str, Any]) -> Iterator[str]:
    shown = [
        (operation["tags"][0], path, verb, operation)
        for path, verbs in document["paths"].items()
        for verb, operation in verbs.items()
    ]
    for tag in dict.fromkeys(entry[0] for entry in shown):
        yield f"<h2>{escape(tag)}</h2>"
        for _, path, verb, operation in (entry for entry in shown if entry[0] == tag):
            yield from _operation(path, verb, operation)


def _operation(path: str, verb: str, operation: dict[str, Any]) -> Iterator[str]:
    scopes = " or ".join(operation.get("x-sensus-any-of", [])) or "open"
    yield f'<details id="{escape(operation["operationId"])}"><summary>'
    yield f'<span class="verb">{verb.upper()}</span> <code>{escape(path)}</code> '
    yield f'{escape(operation["summary"])} <span class="scope">{escape(scopes)}</span></summary>'
    for paragraph in operation.get("description", "").split("\n\n"):
        yield f"<p>{escape(paragraph)}</p>"
    yield from _parameters(operation["parameters"])
    if body := operation.get("requestBody"):
        yield from _content("Body", body["content"])
    for status, answer in operation["responses"].items():
        yield from _content(f"Answer {status}", answer.get("content", {}))
    yield "</details>"


def _parameters(parameters: list[dict[str, Any]]) -> Iterator[str]:
    if parameters:
        yield "<table><tr><th>Parameter</th><th>In</th><th>Type</th><th></th></tr>"
        for each in parameters:
            message = each.get("description") or each["schema"].get("description", "")
            cells = (each["name"], each["in"], _type(each["schema"]), message)
            yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        yield "</table>"


def _content(title: str, content: dict[str, Any]) -> Iterator[str]:
    for media_type, shown in content.items():
        kind = _type(shown["schema"])
        yield f"<p>{escape(title)} <code>{escape(media_type)}</code>: {_linked(kind)}</p>"


def _schemas(schemas: dict[str, Any]) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        yield f"<p>{escape(schema.get('description', ''))}</p><table>"
        for field, value in schema.get("properties", {}).items():
            cells = (escape(field), _linked(_type(value)), escape(value.get("description", "")))
            yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        yield "</table>"
        yield "".join(f"<code>{escape(str(value))}</code> " for value in schema.get("enum", ()))
        yield "</details>"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if schema.get("type") == "array":
        return f"array of {_type(schema.get('items', {}))}"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_type(each) for each in schema[key])
    return str(schema.get("format") or schema.get("type") or schema.get("enum") or "any")


def _linked(kind: str) -> str:
    name = kind.rpartition(" ")[2]
    head = escape(kind[: -len(name)])
    is_schema = name[:1].isupper() or "." in name
    return f'{head}<a href="#{escape(name)}">{escape(name)}</a>' if is_schema else escape(kind)
