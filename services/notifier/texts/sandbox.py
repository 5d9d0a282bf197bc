"""A child process that renders people's templates: a fault of one ends it, and nothing else.

Speaks lines of JSON over stdin and stdout: `{"texts": {name: template}, "facts": {…}}` in,
`{"texts": {…}}` or `{"error": "…"}` out. A rendering has 50 ms of processor time, 64 kB of text and
256 MB of memory.
"""

import json
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from jinja2 import ChainableUndefined, TemplateError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

CPU_S: Final = 0.05
OUTPUT_CHARS_MAX: Final = 64 * 1024
_MEMORY_BYTES: Final = 256 * 1024 * 1024


class _TookTooLongError(Exception):
    """The time of a rendering is over."""


class _Environment(ImmutableSandboxedEnvironment):
    """No attribute that begins with `_`, no method of a value that is not plain data."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return not attr.startswith("_") and super().is_safe_attribute(obj, attr, value)


def _environment() -> _Environment:
    environment = _Environment(undefined=ChainableUndefined, autoescape=False, cache_size=0)
    for name in ("lipsum", "cycler", "joiner", "namespace"):
        environment.globals.pop(name, None)
    return environment


def render(texts: dict[str, str], facts: dict[str, Any]) -> dict[str, str]:
    """Each template with the facts.

    Raises:
        TemplateError: It cannot be read. What is not there is empty.
        ValueError: It gives too much.
    """
    environment = _environment()
    rendered = {}
    for name, source in texts.items():
        pieces, size = [], 0
        for piece in environment.from_string(source).generate(**facts):
            size += len(piece)
            if size > OUTPUT_CHARS_MAX:
                raise ValueError(f"gives more than {OUTPUT_CHARS_MAX} characters")
            pieces.append(piece)
        rendered[name] = "".join(pieces)
    return rendered


def _bounded(work: Callable[[], dict[str, str]]) -> dict[str, Any]:
    signal.setitimer(signal.ITIMER_PROF, CPU_S, CPU_S)
    try:
        return {"texts": work()}
    except _TookTooLongError:
        return {"error": f"takes more than {round(CPU_S * 1000)} ms: is there a loop?"}
    except MemoryError:
        return {"error": "needs more memory than it may have"}
    except SecurityError as error:
        return {"error": f"asks for what no template may have: {error}"[:300]}
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        return {"error": (f"line {line}: {error}" if line else str(error))[:300]}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _stop(number: int, frame: object) -> None:
    raise _TookTooLongError


def main() -> None:
    """Answers lines until stdin ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    signal.signal(signal.SIGPROF, _stop)
    render({"warm": "{% for b in [1] %}{{ 'a' ~ b | upper }}{% endfor %}"}, {})
    for line in sys.stdin:
        queries = json.loads(line)
        try:
            answer = _bounded(lambda queries=queries: render(queries["texts"], queries["facts"]))  # type: ignore[misc]
        except _TookTooLongError:
            answer = {"error": f"takes more than {round(CPU_S * 1000)} ms: is there a loop?"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
