"""One emulated kernel of the soak: what `damon-mock sysfs` serves, and a socket that breaks it.

The agent sees the files alone. The soak looks into the emulator's own state through the socket,
puts faults in force, and writes as somebody else does.
"""

import argparse
import contextlib
import errno
import functools
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from damon_mock.damon import (
    Emulator,
    Fails,
    Fault,
    Hangs,
    HostProcesses,
    MeminfoMemory,
    RealtimeFiles,
    SharedEmulator,
    StopsKdamond,
    Ticker,
    Writer,
    fuse,
    remote,
)
from damon_mock.damon.wire import Server

_FOREIGN: Final = Writer("foreign")


def look(emulator: Emulator, *, since_write: int, since_event: int) -> dict[str, Any]:
    """Return who stands in which kdamond, with which schemes, and what has happened since."""
    writes = emulator.log[since_write:]
    return {
        "kdamonds": [
            {
                "index": kdamond.index,
                "creator": kdamond.directory.creator,
                "targets": [_identity(target.process) for target in kdamond.context.targets],
                "schemes": [
                    {
                        "action": scheme.wanted.action,
                        "metric": scheme.wanted.watermarks.metric,
                        "mark": scheme.wanted.watermarks.mid,
                    }
                    for scheme in kdamond.context.schemes
                ],
            }
            for kdamond in emulator.kdamonds
            if kdamond.running and kdamond.context is not None
        ],
        "nr_kdamonds": len(emulator.kdamonds),
        "modules": dict(emulator.modules.enabled),
        "inherited": len(emulator.inherited()),
        "panicked": emulator.panicked,
        "writes": len(emulator.log),
        "wrong_writes": [
            f"{record.path} <- {record.value}"
            for record in writes
            if record.foreign and record.writer != _FOREIGN.name
        ],
        "events": len(emulator.events),
        "reclaims": [
            [event.pid, event.start_ticks, event.size_bytes, event.hot_bytes]
            for event in emulator.events[since_event:]
            if event.kind == "reclaim"
        ],
    }


def _identity(process: Any) -> list[int] | None:
    return None if process is None else [process.pid, process.start_ticks]


def inject(emulator: Emulator, *, path: str, value: str, effect: str, times: int) -> dict[str, Any]:
    """Put a fault in force: an errno by name, Hangs or StopsKdamond."""
    named: dict[str, Hangs | StopsKdamond] = {"Hangs": Hangs(), "StopsKdamond": StopsKdamond()}
    chosen = named[effect] if effect in named else Fails(getattr(errno, effect))
    emulator.faults.add(Fault(path, chosen, value=value, times=times))
    return {}


def clear(emulator: Emulator) -> dict[str, Any]:
    """Let everything work again."""
    emulator.faults.clear()
    return {}


def write(emulator: Emulator, *, path: str, value: str) -> dict[str, Any]:
    """Write as somebody who is not the agent; {"errno"} when the kernel refuses."""
    try:
        emulator.write(path, value.encode(), _FOREIGN)
    except OSError as error:
        return {"errno": error.errno}
    return {"errno": 0}


def reboot(emulator: Emulator) -> dict[str, Any]:
    """Start the machine anew."""
    emulator.reboot()
    return {}


_VERBS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    each.__name__: each for each in (look, inject, clear, write, reboot)
}


def answer(ticker: Ticker, question: dict[str, Any]) -> dict[str, Any]:
    """Answer one question, at the present time."""
    verb = _VERBS[question.pop("do")]
    with ticker.shared.changed:
        ticker.tick()
        try:
            return verb(ticker.shared.emulator, **question)
        finally:
            ticker.shared.changed.notify_all()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", required=True)
    parser.add_argument("--home", type=Path, required=True, help="directory of the node")
    parser.add_argument("--transport", choices=("fuse", "socket"), required=True)
    given = parser.parse_args()
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    proc = given.home / "proc"
    processes = HostProcesses(proc, shows_threads=True)
    emulator = Emulator(given.profile, processes, MeminfoMemory(proc / "meminfo"))
    with contextlib.ExitStack() as stack:
        stack.callback(emulator.hide_threads)
        ticker = stack.enter_context(Ticker(SharedEmulator(emulator)))
        stack.enter_context(Server(given.home / "control", functools.partial(answer, ticker)))
        if given.transport == "fuse":
            stack.enter_context(fuse.Mount(ticker, given.home / "sys"))
        else:
            files = RealtimeFiles(ticker)
            asked = functools.partial(remote.answer, files)
            stack.enter_context(Server(given.home / "socket", asked))
            stack.callback(ticker.shared.close)
        sys.stdout.write(f"serving DAMON as of {given.profile}\n")
        sys.stdout.flush()
        told.wait()


if __name__ == "__main__":
    main()
