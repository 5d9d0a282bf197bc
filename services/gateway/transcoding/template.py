"""Path templates of google.api.http, as far as the contract uses them."""

import re
from dataclasses import dataclass
from typing import Final

_VARIABLE: Final = re.compile(r"\{([a-z0-9_.]+)(?:=([^}]*))?\}")
_CONVERTOR: Final = {"*": "", None: "", "**": ":path"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PathTemplate:
    """A compiled template.

    Attributes:
        path: As Starlette writes it.
        shown: As OpenAPI writes it.
        field_by_parameter: Field path of each path parameter.
    """

    path: str
    shown: str
    field_by_parameter: dict[str, str]


def compile_template(template: str) -> PathTemplate:
    """Compiles `/v1/{a.b}/c:verb`; `{a=*}` and `{a=**}` too.

    Raises:
        ValueError: The template uses what is not supported, such as `{a=shelves/*}`.
    """
    fields: dict[str, str] = {}

    def replaced(match: re.Match[str]) -> str:
        field, pattern = match[1], match[2]
        if pattern not in _CONVERTOR:
            raise ValueError(f"{template}: {{{field}={pattern}}} is not supported")
        parameter = field.replace(".", "__")
        fields[parameter] = field
        return f"{{{parameter}{_CONVERTOR[pattern]}}}"

    path = _VARIABLE.sub(replaced, template)
    if not path.startswith("/") or "*" in path or path.count("{") != len(fields):
        raise ValueError(f"{template}: not a template that can be served")
    shown = _VARIABLE.sub(lambda match: f"{{{match[1]}}}", template)
    return PathTemplate(path=path, shown=shown, field_by_parameter=fields)
