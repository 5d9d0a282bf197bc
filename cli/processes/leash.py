"""Runs a program on a leash: it ends when its parent ends, and it gives up root when asked to.

    python leash.py --parent PID --signal N [--uid U --gid G] [--reach DIR]... -- PROGRAM ARG...

On Linux the leash turns into the program (exec) and the kernel sends signal N when the parent
dies. Elsewhere it stays as a small watcher in between.

With --uid the program runs as that user. Every DIR must then be open to it; if a parent directory
such as a 0700 home is closed, the program is given the one capability that lets it pass, and no
file on disk changes its mode. Exit status 77: the program or a DIR stays out of reach.

Only the standard library: this file is run by path, before anything is importable.
"""

import argparse
import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

OUT_OF_REACH = 77
_NO_CAPABILITY, _DAC_OVERRIDE, _DAC_READ_SEARCH = 0, 1 << 1, 1 << 2
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT = 1, 8, 47
_PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 2, 4
_CAPABILITY_VERSION_3 = 0x20080522
_WATCH_INTERVAL_S = 0.25


def main(arguments: Sequence[str]) -> int:
    """Execs the program, or watches it; returns only when that failed or it has ended."""
    options = _parse(arguments)
    if sys.platform != "linux" or options.watch:
        return _watch(options)
    return _become(options)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--signal", type=int, default=signal.SIGTERM)
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("--reach", action="append", default=[])
    parser.add_argument("--watch", action="store_true", help="watch instead of exec")
    parser.add_argument("program", nargs="+")
    return parser.parse_args(arguments)


def _become(options: argparse.Namespace) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    if options.uid is not None:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        _drop_root(options)
    libc.prctl(_PR_SET_PDEATHSIG, options.signal, 0, 0, 0)
    if os.getppid() != options.parent:
        return 1
    if options.uid is None:
        return _exec(options)
    for capability in (_NO_CAPABILITY, _DAC_READ_SEARCH, _DAC_OVERRIDE):
        if _grant(libc, capability):
            _exec(options)
    return _out_of_reach(options)


def _exec(options: argparse.Namespace) -> int:
    """Returns only when a directory or the program cannot be reached."""
    with suppress(PermissionError):
        for directory in options.reach:
            os.listdir(directory)
        os.execv(options.program[0], options.program)  # noqa: S606
    return OUT_OF_REACH


def _drop_root(options: argparse.Namespace) -> None:
    os.setgroups([])
    os.setgid(options.gid)
    os.setuid(options.uid)


def _grant(libc: ctypes.CDLL, capability: int) -> bool:
    """Makes `capability` (a bit mask) effective and inherited through exec, and no other."""
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then their upper halves
    libc.capget(header, sets)
    permitted = sets[1] & (_DAC_READ_SEARCH | _DAC_OVERRIDE)
    sets[:] = [capability, permitted, capability, 0, 0, 0]
    if libc.capset(header, sets) != 0:
        return False
    number = capability.bit_length() - 1
    return not capability or not libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number, 0, 0)


def _out_of_reach(options: argparse.Namespace) -> int:
    print(  # noqa: T201
        f"user id {options.uid} cannot reach {' or '.join([options.program[0], *options.reach])}",
        file=sys.stderr,
    )
    return OUT_OF_REACH


def _watch(options: argparse.Namespace) -> int:
    child = os.fork()
    if child == 0:
        if options.uid is not None:
            _drop_root(options)
        _exec(options)
        os._exit(_out_of_reach(options))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda received, _frame: os.kill(child, received))
    return _outlive(child, options)


def _outlive(child: int, options: argparse.Namespace) -> int:
    is_signalled = False
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status) % 256
        if os.getppid() != options.parent and not is_signalled:
            os.kill(child, options.signal)
            is_signalled = True
        time.sleep(_WATCH_INTERVAL_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
