"""People's own texts: rendered by a child process, which is ended when it does not answer."""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

import msgspec

_ANSWER_WITHIN_S: Final = 5.0
_START_WITHIN_S: Final = 30.0
_LINE_BYTES_MAX: Final = 1024 * 1024
_COMMAND: Final = (sys.executable, "-P", "-m", "services.notifier.texts.sandbox")


class TemplateFault(Exception):  # noqa: N818 - it is the template's, not ours
    """A template gives no text; the message says why, in words for its author."""


class Templates:
    """One child, started when the first template is rendered."""

    def __init__(self) -> None:
        """Starts nothing yet."""
        self._child: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def render(self, texts: Mapping[str, str], facts: Mapping[str, Any]) -> dict[str, str]:
        """Each template, by name, with the facts; what is foreign in these was made inert before.

        Raises:
            TemplateFault: One cannot be rendered, or not within the limits.
        """
        question = msgspec.json.encode({"texts": dict(texts), "facts": dict(facts)}) + b"\n"
        async with self._turn:
            answer = await self._queries(question)
        if error := answer.get("error"):
            raise TemplateFault(str(error))
        return dict(answer["texts"])

    async def close(self) -> None:
        """Ends the child."""
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            child.kill()
            await child.wait()

    async def _queries(self, question: bytes) -> dict[str, Any]:
        child = await self._started()
        assert child.stdin is not None  # noqa: S101
        assert child.stdout is not None  # noqa: S101
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                child.stdin.write(question)
                await child.stdin.drain()
                line = await child.stdout.readline()
            answer: dict[str, Any] = msgspec.json.decode(line)
        except TimeoutError:
            await self.close()
            raise TemplateFault("does not end") from None
        except (OSError, ValueError, msgspec.DecodeError):
            await self.close()
            raise TemplateFault("ended the process that renders it") from None
        except BaseException:
            await self.close()  # half a question may be under way
            raise
        return answer

    async def _started(self) -> asyncio.subprocess.Process:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                *_COMMAND,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=_LINE_BYTES_MAX,
                env={"PYTHONPATH": os.pathsep.join(sys.path)},  # and no secrets
            )
            async with asyncio.timeout(_START_WITHIN_S):
                # the first answer waits for the imports
                child = self._child
                assert child.stdin is not None  # noqa: S101
                assert child.stdout is not None  # noqa: S101
                child.stdin.write(b'{"texts":{},"facts":{}}\n')
                await child.stdout.readline()
        return self._child
