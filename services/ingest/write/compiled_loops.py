"""The compiled loops, ready before the first body or chunk needs them."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from importlib import import_module
from threading import Thread
from typing import Final

from mesh.errors import Unavailable

OF_BODIES: Final = (
    "services.ingest.wire.varints",
    "services.ingest.wire.kernels",
    "services.ingest.wire.tree_kernel",
    "services.ingest.otlp.point_kernel",
    "services.ingest.wire.quantiles",
    "services.ingest.wire.event_fields",
    "services.ingest.wire.event_kernels",
    "services.ingest.wire.span_kernels",
    "services.ingest.wire.patterns",
)
OF_CHUNKS: Final = ("services.ingest.packing.reading", "services.ingest.packing.writing")
_PATIENCE_S: Final = 7.0
"""Shorter than the 10 s that exporters of OpenTelemetry and the gateway wait for an answer."""
_AGAIN_S: Final = 5.0


def compile_loops() -> None:
    """Loads them; those that are not on disk yet are compiled and kept there."""
    for module in (*OF_BODIES, *OF_CHUNKS):
        import_module(module)


class CompiledLoops:
    """Loads modules once, in a thread of its own. For one event loop."""

    def __init__(
        self, bodies: Sequence[str] = OF_BODIES, *, patience_s: float = _PATIENCE_S
    ) -> None:
        """Loads nothing yet; `bodies` are the modules that a body waits for."""
        self._modules = bodies
        self._patience_s = patience_s
        self._loaded: Future[None] | None = None

    async def run(self) -> None:
        """Loads them beside the loop, then rests; a worker of the process.

        Where they are not on disk yet they are compiled. A process that is told to stop does not
        wait for that. What is raised by a module is raised.
        """
        await asyncio.wrap_future(self._loading())
        await asyncio.Event().wait()

    async def ready(self) -> None:
        """Returns when bodies can be read; the first one waits for the loops.

        Raises:
            Unavailable: LOOPS_LOADING: it takes longer than senders wait for an answer.
        """
        loading = self._loading()
        if loading.done():
            return loading.result()
        try:
            async with asyncio.timeout(self._patience_s):
                await asyncio.wrap_future(loading)
        except TimeoutError as error:
            message = "this process has started and still compiles its readers: send again"
            raise Unavailable(message, reason="LOOPS_LOADING", retry_after_s=_AGAIN_S) from error

    def _loading(self) -> Future[None]:
        if self._loaded is None:
            self._loaded = Future()
            self._loaded.set_running_or_notify_cancel()  # no sender that leaves ends it for others
            Thread(target=self._load, args=[self._loaded], name="loops", daemon=True).start()
        return self._loaded

    def _load(self, loaded: Future[None]) -> None:
        try:
            for module in self._modules:
                import_module(module)
        except BaseException as error:
            loaded.set_exception(error)
            return
        loaded.set_result(None)
        for module in OF_CHUNKS:
            import_module(module)


if __name__ == "__main__":
    compile_loops()
