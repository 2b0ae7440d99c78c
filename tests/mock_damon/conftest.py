"""An emulated machine with shorthands, for tests that talk to it as an agent would."""

from collections.abc import Callable

import pytest

from damon_mock.damon import (
    Emulator,
    Event,
    Identity,
    SimulatedMemory,
    SimulatedProcesses,
    VirtualFiles,
    Writer,
)
from damon_mock.damon.profiles import NAMES

ADMIN = "admin/kdamonds/"
MOST = 2**64 - 1


class Machine:
    """Paths are relative to kdamonds/0/contexts/0 in `set`, to kdamonds/ in `write` and `read`."""

    def __init__(self, profile: str) -> None:
        self.processes = SimulatedProcesses()
        self.memory = SimulatedMemory()
        self.emulator = Emulator(profile, self.processes, self.memory)
        self.files = VirtualFiles(self.emulator, "damon")

    def write(self, path: str, value: object, kdamond: int | None = None) -> None:
        prefix = "" if kdamond is None else f"{kdamond}/"
        self.files.write(f"{ADMIN}{prefix}{path}", f"{value}\n".encode())

    def read(self, path: str) -> str:
        return self.files.read(ADMIN + path).decode().removesuffix("\n")

    def set(self, path: str, value: object, kdamond: int = 0) -> None:
        self.write(f"{kdamond}/contexts/0/{path}", value)

    def get(self, path: str, kdamond: int = 0) -> str:
        return self.read(f"{kdamond}/contexts/0/{path}")

    def command(self, keyword: str, kdamond: int = 0) -> None:
        self.write(f"{kdamond}/state", keyword)

    def state(self, kdamond: int = 0) -> str:
        return self.read(f"{kdamond}/state")

    def allocate(self, kdamonds: int = 1) -> None:
        self.write("nr_kdamonds", kdamonds)
        for index in range(kdamonds):
            self.write(f"{index}/contexts/nr_contexts", 1)

    def aim(self, *targets: Identity | int, kdamond: int = 0) -> None:
        """Rewrite the target list."""
        self.set("targets/nr_targets", len(targets), kdamond)
        for slot, target in enumerate(targets):
            pid = target.pid if isinstance(target, Identity) else target
            self.set(f"targets/{slot}/pid_target", pid, kdamond)

    def scheme(
        self,
        index: int,
        action: str = "pageout",
        *,
        min_age: int = 20,
        marks: tuple[int, int, int] | None = None,
        interval_us: int = 3_000_000,
        kdamond: int = 0,
        everything: bool = True,
    ) -> None:
        """Describe one scheme: cold regions of any size, with watermarks if given."""
        base = f"schemes/{index}/"
        self.set(base + "action", action, kdamond)
        if everything:
            self.set(base + "access_pattern/sz/min", 4096, kdamond)
            self.set(base + "access_pattern/sz/max", MOST, kdamond)
            self.set(base + "access_pattern/age/min", min_age, kdamond)
            self.set(base + "access_pattern/age/max", MOST, kdamond)
        if marks is not None:
            self.set(base + "watermarks/metric", "free_mem_rate", kdamond)
            self.set(base + "watermarks/interval_us", interval_us, kdamond)
            for name, mark in zip(("high", "mid", "low"), marks, strict=True):
                self.set(f"{base}watermarks/{name}", mark, kdamond)

    def prepare(self, *targets: Identity | int, schemes: int = 1, kdamond: int = 0) -> None:
        """Allocate one kdamond with short ops updates, these targets, and blank schemes."""
        self.allocate(kdamond + 1)
        self.set("monitoring_attrs/intervals/update_us", 1_000_000, kdamond)
        self.aim(*targets, kdamond=kdamond)
        self.set("schemes/nr_schemes", schemes, kdamond)

    def targets(self, kdamond: int = 0):
        context = self.emulator.kdamonds[kdamond].context
        assert context is not None
        return context.targets

    def schemes(self, kdamond: int = 0):
        context = self.emulator.kdamonds[kdamond].context
        assert context is not None
        return context.schemes

    def reclaims(self, pid: int | None = None) -> list[Event]:
        return [
            event
            for event in self.emulator.events
            if event.kind == "reclaim" and pid in {None, event.pid}
        ]

    def errno_of(self, path: str, value: object) -> int:
        """Return the errno a write to kdamonds/<path> gives; 0 if it succeeds."""
        try:
            self.write(path, value)
        except OSError as error:
            return error.errno or -1
        return 0

    def command_errno(self, keyword: str, kdamond: int = 0) -> int:
        return self.errno_of(f"{kdamond}/state", keyword)

    def emulator_write(self, path: str, value: str, namespace: str = "init"):
        """Write without letting time pass; return what the emulator returns."""
        return self.emulator.write(
            f"damon/{ADMIN}{path}", value.encode(), Writer("agent", namespace)
        )


@pytest.fixture
def make_machine() -> Callable[[str], Machine]:
    return Machine


@pytest.fixture(params=NAMES)
def profile(request) -> str:
    return request.param


@pytest.fixture
def machine(profile, make_machine) -> Machine:
    """One kdamond, described and not yet on, that targets one process."""
    machine = make_machine(profile)
    machine.prepare(machine.processes.spawn())
    return machine
