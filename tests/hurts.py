"""Ways to break a process from inside, for children of tests; the product has none of them."""

import asyncio
import os
import resource
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

LISTEN: Final = "0A"


def cancel_accept_loop() -> None:
    """Ends the task that accepts calls, or connections, as a defect of a library would."""
    loops = ("_server_main_loop", "Server.serve", "Server.main_loop")
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "__qualname__", "").endswith(loops):
            task.cancel()


def close_listeners() -> None:
    """Closes every socket of this process that listens."""
    for descriptor in _listening():
        os.close(descriptor)


def block_event_loop() -> None:
    """Sleeps on the event loop."""
    time.sleep(3600)


def spin_event_loop() -> None:
    """Computes on the event loop."""
    while True:
        pass


def end_worker() -> None:
    """Ends one of the tasks that should run for ever."""
    names = {"committer", "consumer", "alerts", "leading", "deliveries", "purge"}
    next(task for task in asyncio.all_tasks() if task.get_name() in names).cancel()


def end_probing() -> None:
    """Ends the task that probes the dependencies."""
    for task in asyncio.all_tasks():
        if task.get_name() == "health":
            task.cancel()


def end_thread() -> None:
    """A thread that ends with an error."""
    threading.Thread(target=raise_in_callback, name="planted").start()


def raise_in_callback() -> None:
    """An exception that nobody catches; the process goes on."""
    raise RuntimeError("planted")


def exhaust_descriptors() -> None:
    """Takes every descriptor that is left, and each that comes free, and keeps them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    threading.Thread(target=_take_descriptors, daemon=True).start()


def _take_descriptors() -> None:
    while True:
        try:
            _kept.append(socket.socket())
        except OSError:
            time.sleep(0.02)


def exhaust_memory() -> None:
    """Runs into a limit of the address space."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 64 * 2**20, resource.RLIM_INFINITY))
    bytearray(2**30)


_kept: list[socket.socket] = []

HURTS: Final[dict[str, Callable[[], None]]] = {
    hurt.__name__: hurt
    for hurt in (
        cancel_accept_loop,
        close_listeners,
        block_event_loop,
        spin_event_loop,
        end_worker,
        end_probing,
        end_thread,
        raise_in_callback,
        exhaust_descriptors,
        exhaust_memory,
    )
}


def _listening() -> list[int]:
    inodes = set()
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        rows = [row.split() for row in Path(table).read_text().splitlines()[1:]]
        inodes |= {f"socket:[{row[9]}]" for row in rows if row[3] == LISTEN}
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if os.readlink(entry) in inodes:
                found.append(int(entry.name))
        except OSError:
            continue  # it was the descriptor of the listing itself
    return found
