"""What the difference of a change does, read from its lines.

A heuristic for unified differences in any language: it looks at which words of protection
disappear on balance, which numbers of a limit shrink, and whether anything but words for people
is touched.
"""

import re
from collections import Counter
from collections.abc import Iterable

GUARD = re.compile(
    r"\b(?:r?w?_?(?:un)?lock|mutex|synchronized|atomic|if|unless|assert|catch|except|recover|defer|retry|"
    r"retries|attempts|backoff|delay|timeout|deadline|leeway|tolerance|validate|escape|limit|nil|null|none)\b",
    re.IGNORECASE,
)
LIMIT = re.compile(
    r"max|min|limit|pool|size|attempt|retr|timeout|capacity|replica|conn", re.IGNORECASE
)
NUMBER = re.compile(r"\d+(?:\.\d+)?")
FOR_PEOPLE = re.compile(
    r"^\s*(?:$|//|#|/\*|\*|--|\w*\.?(?:log|logger|LOG_\w+|print\w*)\b[.(]|[\w.]*(?:Debug|Info|Warn)\w*\()",
    re.IGNORECASE,
)
COSMETIC = re.compile(
    r"\.(?:md|txt|css|scss|svg|html|lock|sum)$|(?:^|/)(?:docs?|test\w*|theme\w*)\b|_test\.|"
    r"(?:^|/)go\.mod$|CODEOWNERS$|requirements.*\.txt$|package(?:-lock)?\.json$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def weakens(diff: str) -> bool:
    r"""True when protection is taken away on balance, or the number of a limit is lowered.

    >>> weakens("-  mu.Lock()\n+  count()"), weakens("-maxConns = 50\n+maxConns = 10")
    (True, True)
    >>> weakens("-  if broken { stop() }\n+  if broken { halt() }")
    False
    """
    removed, added = _lines(diff, "-"), _lines(diff, "+")
    return bool(_guards(removed) - _guards(added)) or _lowers(removed, added)


def harmless(files: Iterable[str], diff: str) -> bool:
    r"""True when only logs, comments, style, tests or versions of packages are touched.

    >>> harmless(["site.css"], "-a\n+b"), harmless(["a.go"], '-  log.Info("x")\n+  log.Warn("x")')
    (True, True)
    """
    touched = list(files)
    if touched and all(COSMETIC.search(name) for name in touched):
        return True
    changed = [*_lines(diff, "-"), *_lines(diff, "+")]
    return bool(changed) and all(FOR_PEOPLE.search(line) for line in changed)


def _lines(diff: str, sign: str) -> list[str]:
    marked = (line for line in diff.splitlines() if line.startswith(sign))
    return [line[1:] for line in marked if not line.startswith(sign * 3)]


def _guards(lines: Iterable[str]) -> Counter[str]:
    words = (" ".join(_WORD.findall(line)) for line in lines if not FOR_PEOPLE.search(line))
    return Counter(found.lower() for line in words for found in GUARD.findall(line))


def _lowers(removed: Iterable[str], added: Iterable[str]) -> bool:
    before = {NUMBER.sub("#", line.strip()): line for line in removed if LIMIT.search(line)}
    pairs = ((before.get(NUMBER.sub("#", line.strip())), line) for line in added)
    return any(_smaller(old, new) for old, new in pairs if old is not None)


def _smaller(old: str, new: str) -> bool:
    numbers = zip(NUMBER.findall(old), NUMBER.findall(new), strict=True)
    return any(float(after) < float(before) for before, after in numbers)
