"""The control socket: look into a served emulator, and break things, while an agent uses it.

Questions are objects with "do": see `_DOERS` for the verbs and the keys each takes. Answers are
objects; {"error": …} says what was wrong with the question.
"""

import errno
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from . import dump, foreign
from .emulator import Emulator
from .events import Writer
from .faults import Effect, Fails, Fault, Hangs, Kills, StopsKdamond
from .files import SharedEmulator, Ticker
from .memory import MeminfoMemory, SimulatedMemory
from .wire import Connections


class ControlError(Exception):
    """A question the emulator could not obey; the message says why."""


class Control:
    """A client: `Control(path).do("dump", since_write=10)`. ControlError, ConnectionError."""

    def __init__(self, path: Path) -> None:
        self._connections = Connections(path)

    def do(self, verb: str, **keys: Any) -> dict[str, Any]:
        """Ask, and return the answer."""
        answered = self._connections.ask({"do": verb, **keys})
        if "error" in answered:
            raise ControlError(f"{verb}: {answered['error']}")
        return answered

    def close(self) -> None:
        """Close idle connections."""
        self._connections.close()


def answer(ticker: Ticker, question: dict[str, Any]) -> dict[str, Any]:
    """Obey one question, at the present time."""
    keys = dict(question)
    doer = _DOERS.get(str(keys.pop("do", "")))
    if doer is None:
        return {"error": f"no such verb; there are {', '.join(_DOERS)}"}
    with ticker.shared.changed:
        ticker.tick()
        try:
            answered = doer(ticker.shared, keys)
        except (OSError, LookupError, TypeError, ValueError) as error:
            return {"error": f"{type(error).__name__}: {error}"}
        finally:
            ticker.shared.changed.notify_all()
    return answered


def _dump(shared: SharedEmulator, keys: dict[str, Any]) -> dict[str, Any]:
    return dump.everything(shared.emulator, **keys)


def _fault(shared: SharedEmulator, keys: dict[str, Any]) -> dict[str, Any]:
    shared.emulator.faults.add(
        Fault(effect=_effect(str(keys.pop("effect")), keys), **keys),
    )
    return {}


def _effect(name: str, keys: dict[str, Any]) -> Effect:
    match name:
        case "fails":
            return Fails(getattr(errno, str(keys.pop("code", "EIO"))))
        case "hangs":
            return Hangs()
        case "stops-kdamond":
            return StopsKdamond()
        case "kills":
            when = keys.pop("when", "before")
            return Kills("after" if when == "after" else "before")
        case other:
            raise ValueError(f"no such effect: {other}; fails, hangs, stops-kdamond, kills")


def _heal(shared: SharedEmulator, keys: dict[str, Any]) -> dict[str, Any]:
    del keys
    emulator = shared.emulator
    emulator.faults.clear()
    emulator.release()
    emulator.present, emulator.read_only = True, False
    return {}


def _tree(shared: SharedEmulator, keys: dict[str, Any]) -> dict[str, Any]:
    shared.emulator.present = bool(keys.get("present", shared.emulator.present))
    shared.emulator.read_only = bool(keys.get("read_only", shared.emulator.read_only))
    return {}


def _foreign(shared: SharedEmulator, keys: dict[str, Any]) -> dict[str, Any]:
    pids = [int(pid) for pid in keys.get("pids", [1])]
    foreign.configure(shared.emulator, pids, run=bool(keys.get("run", True)))
    return {}


def _foreign_leaves(shared: SharedEmulator, keys: dict[str, Any]) -> dict[str, Any]:
    del keys
    foreign.leave(shared.emulator)
    return {}


def _module(shared: SharedEmulator, keys: dict[str, Any]) -> dict[str, Any]:
    name, enabled = str(keys["name"]), bool(keys["enabled"])
    path = f"module/{name}/parameters/enabled"
    shared.emulator.write(path, b"Y" if enabled else b"N", Writer("foreign"))
    return {}


def _memory(shared: SharedEmulator, keys: dict[str, Any]) -> dict[str, Any]:
    memory = _simulated(shared.emulator)
    for name in ("total_bytes", "free_bytes", "swap_free_bytes"):
        setattr(memory, name, int(keys.get(name, getattr(memory, name))))
    if "free_permille" in keys:
        memory.set_free_permille(int(keys["free_permille"]))
    return {}


def _usage(shared: SharedEmulator, keys: dict[str, Any]) -> dict[str, Any]:
    memory = _simulated(shared.emulator)
    pid = int(keys.pop("pid"))
    identity = shared.emulator.processes.identity(pid)
    if identity is None:
        raise LookupError(f"no process {pid}")
    changes = {name: int(value) for name, value in keys.items()}
    memory.set_usage(identity, replace(memory.usage(identity), **changes))
    return {}


def _simulated(emulator: Emulator) -> SimulatedMemory:
    memory = emulator.memory
    if isinstance(memory, MeminfoMemory):
        return memory.simulated
    if isinstance(memory, SimulatedMemory):
        return memory
    raise TypeError("this emulator's memory is not simulated")


def _write(shared: SharedEmulator, keys: dict[str, Any]) -> dict[str, Any]:
    writer = Writer(str(keys.get("writer", "foreign")))
    shared.emulator.write(str(keys["path"]), str(keys["value"]).encode("latin-1"), writer)
    return {}


def _reboot(shared: SharedEmulator, keys: dict[str, Any]) -> dict[str, Any]:
    del keys
    shared.emulator.reboot()
    return {}


_DOERS: Final[Mapping[str, Callable[[SharedEmulator, dict[str, Any]], dict[str, Any]]]] = {
    "dump": _dump,  # since_write, since_event
    "fault": _fault,  # path, effect, code, when, operation, value, skip, times
    "heal": _heal,  # end all faults, free what hangs by them, tree present and writable
    "tree": _tree,  # present, read_only
    "foreign": _foreign,  # pids, run
    "foreign-leaves": _foreign_leaves,
    "module": _module,  # name, enabled
    "memory": _memory,  # total_bytes, free_bytes, swap_free_bytes, free_permille
    "usage": _usage,  # pid, cold_bytes, hot_bytes, swapped_bytes, hole_bytes
    "write": _write,  # path, value, writer
    "reboot": _reboot,
}
