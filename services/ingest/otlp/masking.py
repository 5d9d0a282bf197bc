"""Takes secrets and what belongs to people out of the texts of errors. Pure; about 10 us a text."""

import re
from typing import Final

MASK: Final = "***"
LONGEST_BYTES: Final = 500
_READ_CHARS: Final = 4000
_MOST_FRAMES: Final = 20
_RULES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), replacement)
    for pattern, replacement in (
        (r"-----BEGIN [A-Z ]+-----.*?(-----END [A-Z ]+-----|$)", MASK),
        (r"\b(bearer|basic)\s+[a-z0-9._~+/=-]{6,}", rf"\1 {MASK}"),
        (
            r"([\w.-]*(?:passw(?:or)?d|passwd|pwd|token|secret|api[_-]?key|access[_-]?key|credentials?"
            r"|authorization|session[_-]?id|cookie))([\"']?\s*(?:[=:]|\bis\b)?\s*[\"']?)[^\s\"',;&)}\]]+",
            rf"\1\2{MASK}",
        ),
        (r"\beyj[a-z0-9_-]{8,}\.[a-z0-9_-]+(\.[a-z0-9_-]*)?", MASK),
        (
            r"\b(akia|asia|ghp_|gho_|glpat-|xox[abprs]-|sk[-_](live|test|ant|proj)?[-_]?)[a-z0-9_-]{8,}",
            MASK,
        ),
        (r"([a-z][a-z0-9+.-]*://)[^\s/@]+@", rf"\1{MASK}@"),
        (r"[\w.+-]+@[\w-]+(\.[\w-]+)+", MASK),
        (r"\b[0-9a-f]{24,}\b", MASK),
        (r"\b[a-z0-9+/_-]{40,}={0,2}", MASK),
    )
)
_DIGITS: Final = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")
_FRAME: Final = re.compile(
    r'File "([^"\n]+)", line (\d+)(?:, in ([^\s]+))?'  # Python
    r"|^\s*at ([\w$.<>/ ]+)\(([\w.$-]+):(\d+)\)"  # Java, Kotlin, Scala
    r"|^\s*at (?:([\w$.<> \[\]]+) )?\(?([^\s():]+):(\d+):\d+\)?"  # JavaScript
    r"|^\s+([^\s():]+\.go):(\d+)",  # Go
    re.MULTILINE,
)


def masked(text: str) -> str:
    """A text without secrets, numbers of cards and mail addresses; at most 500 bytes."""
    text = text[:_READ_CHARS].replace("\0", " ")
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = _DIGITS.sub(lambda found: MASK if _is_card(found[0]) else found[0], text)
    return text.encode(errors="replace")[:LONGEST_BYTES].decode(errors="ignore")


def frames(stacktrace: str) -> list[str]:
    """The frames of a stack trace as file:line function, innermost last; no other text of it."""
    found = [_frame(each) for each in _FRAME.finditer(stacktrace[: 16 * _READ_CHARS])]
    if found and 'File "' not in stacktrace:
        found.reverse()
    return found[-_MOST_FRAMES:]


def _frame(found: "re.Match[str]") -> str:
    python, line, function, of_java, file, at, of_js, place, row, go, number = found.groups()
    if python:
        return _place(python, line, function)
    if file:
        return _place(file, at, of_java)
    return _place(go, number, None) if go else _place(place, row, of_js)


def _place(file: str, line: str, function: str | None) -> str:
    kept = "/".join(re.split(r"[/\\]", file)[-3:])
    return masked(f"{kept}:{line} {(function or '').strip()}".strip())[:200]


def _is_card(digits: str) -> bool:
    """Luhn's check."""
    numbers = [int(each) for each in reversed(digits) if each.isdigit()]
    doubled = [sum(divmod(2 * each, 10)) for each in numbers[1::2]]
    return (sum(numbers[::2]) + sum(doubled)) % 10 == 0
