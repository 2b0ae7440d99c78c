"""The emulator as a place of play, in virtual time."""

from dataclasses import dataclass, replace
from typing import Final

from damon_mock.damon import (
    MIB,
    Emulator,
    Identity,
    Killed,
    Pending,
    SimulatedMemory,
    SimulatedProcesses,
    Usage,
    Writer,
)
from damon_mock.damon.profiles import Profile

from .features import CAPABILITIES
from .machine import Done, error_name

_FREE_PERMILLE: Final = 950
_OWN_BYTES: Final = 8 * MIB
"""What a process that does nothing has."""

_HOLE_BYTES: Final = 1000 * MIB
"""The unmapped part of its address space. Quotas are charged for it, before anything goes."""


class _Waiting:
    """A write that waits in the emulator."""

    def __init__(self, emulator: Emulator, pending: Pending) -> None:
        self._emulator = emulator
        self._pending = pending

    def result(self, within_us: int) -> str | None:
        """See `Writing`; virtual time passes."""
        emulator = self._emulator
        deadline_us = emulator.now_us + within_us
        while not self._pending.done:
            next_us = emulator.next_event_us()
            if next_us is None or next_us > deadline_us:
                emulator.advance(deadline_us - emulator.now_us)
                break
            emulator.advance(max(0, next_us - emulator.now_us))
        if not self._pending.done:
            return None
        return "ok" if self._pending.error is None else error_name(self._pending.error)


@dataclass
class _Namespace:
    """A pid namespace as the emulator knows it, and the last number given in it."""

    name: str
    last_pid: int = 1


class EmulatedMachine:
    """One emulated machine with simulated processes and memory."""

    real = False
    capabilities = frozenset(CAPABILITIES)

    def __init__(self, profile: str | Profile) -> None:
        self.kernel = f"emulator {profile if isinstance(profile, str) else profile.name}"
        self._processes = SimulatedProcesses()
        self._memory = SimulatedMemory()
        self._memory.set_free_permille(_FREE_PERMILLE)
        self.emulator = Emulator(profile, self._processes, self._memory, panic_on_oops=True)
        self._by_name: dict[str, Identity] = {}
        self._namespaces: dict[str, _Namespace] = {}
        self._born = 0

    def read(self, path: str) -> bytes:
        """See `Machine`."""
        return self.emulator.read(_placed(path))

    def entries(self, path: str) -> list[str]:
        """See `Machine`."""
        return self.emulator.entries(_placed(path))

    def mode(self, path: str) -> int | None:
        """See `Machine`."""
        return self.emulator.mode(_placed(path))

    def begin(self, path: str, data: bytes, namespace: str | None = None) -> Done | _Waiting:
        """See `Machine`."""
        writer = Writer("script", self._namespaces[namespace].name if namespace else "init")
        try:
            pending = self.emulator.write(_placed(path), data, writer)
        except OSError as error:
            return Done(error_name(error))
        except Killed:
            return Done("killed")
        return Done("ok") if pending is None else _Waiting(self.emulator, pending)

    def sleep(self, us: int) -> None:
        """See `Machine`."""
        self.emulator.advance(us)

    def now_us(self) -> int:
        """See `Machine`."""
        return self.emulator.now_us

    def free_permille(self) -> int:
        """See `Machine`."""
        return self._memory.free_permille()

    def squeeze(self, permille: int) -> None:
        """See `Machine`."""
        if self.free_permille() > permille:
            self._memory.set_free_permille(permille)

    def release(self) -> None:
        """See `Machine`."""
        self._memory.set_free_permille(_FREE_PERMILLE)

    def start(self, name: str, namespace: str | None, pid: int | None) -> dict[str, int]:
        """See `Machine`."""
        identity = self._processes.spawn(pid)
        self._by_name[name] = identity
        self._memory.set_usage(identity, Usage(_OWN_BYTES, hot_bytes=0, hole_bytes=_HOLE_BYTES))
        numbers = {"pid": identity.pid}
        if namespace is not None:
            inside = self._namespaces[namespace]
            inside.last_pid += 1
            numbers["inner"] = inside.last_pid
            self._processes.enter(inside.name, inside.last_pid, identity)
        return numbers

    def end(self, name: str, how: str) -> None:
        """See `Machine`."""
        pid = self._by_name[name].pid
        if how in {"exit", "kill", "abandon"}:
            self._processes.exit(pid)
        if how in {"reap", "kill", "abandon"}:
            self._processes.reap(pid)
        if how == "abandon":
            self._processes.hold_number(pid)

    def touch(self, name: str, size_bytes: int, *, steadily: bool) -> None:
        """See `Machine`."""
        identity = self._by_name[name]
        usage = self._memory.usage(identity)
        cold_bytes = usage.cold_bytes + usage.hot_bytes
        hot_bytes = size_bytes if steadily else 0
        if not steadily:
            cold_bytes += size_bytes
        self._memory.set_usage(identity, replace(usage, cold_bytes=cold_bytes, hot_bytes=hot_bytes))

    def swapped_mib(self, name: str) -> int:
        """See `Machine`."""
        return self._memory.usage(self._by_name[name]).swapped_bytes // MIB

    def make_namespace(self, name: str) -> None:
        """See `Machine`. Its pid 1 is the process that writes."""
        self._born += 1
        place = f"{name}.{self._born}"
        self._processes.enter(place, 1, self._processes.spawn())
        self._namespaces[name] = _Namespace(place)

    def boot(self) -> bool:
        """See `Machine`."""
        self.emulator.reboot()
        return True

    def panic_on_oops(self, *, on: bool) -> None:
        """See `Machine`."""
        self.emulator.panic_on_oops = on

    def clear(self) -> None:
        """See `Machine`."""
        for name, identity in self._by_name.items():
            if self._processes.exists(identity):
                self.end(name, "kill")
        self._by_name.clear()
        self._namespaces.clear()
        self.release()
        self.panic_on_oops(on=True)
        if self.emulator.broken:
            self.emulator.reboot()


def _placed(path: str) -> str:
    if path.partition("/")[0] == "module":
        return path
    return f"damon/admin/kdamonds/{path}".rstrip("/")
