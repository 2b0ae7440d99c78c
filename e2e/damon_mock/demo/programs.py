"""Programs on a stage: each a process of its own, with its output in a file."""

import asyncio
import contextlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from damon_mock.nodes.memory import GIB, Memory
from damon_mock.nodes.node import SimulatedNode

Transport = Literal["fuse", "socket"]

MEMORY: Final = Memory(
    total_bytes=16 * GIB, free_bytes=5 * GIB, available_bytes=6 * GIB, zone_high_bytes=96 * 2**20
)
_PATIENCE_S: Final = 30.0
_STARTING_S: Final = 60.0


class ProgramError(Exception):
    """A program ended that should run; the message has the end of its output."""


class Program:
    """One program; `start` it again after it was killed."""

    def __init__(self, name: str, module: str, arguments: Sequence[str], directory: Path) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        self._command = (sys.executable, "-P", "-m", module, *arguments)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Its pid; 0 while it does not run."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else 0

    async def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start it; its output is appended to the log."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the demo, which ends them in order
            )

    def check(self) -> None:
        """Raise ProgramError if it has ended by itself."""
        if self._process is not None and self._process.returncode is not None:
            raise ProgramError(
                f"{self.name} ended with status {self._process.returncode}:\n{self.tail()}"
            )

    async def until_serving(self) -> None:
        """Wait until an emulated kernel says that it serves; raise ProgramError if it ends."""
        async with asyncio.timeout(_STARTING_S):
            while "serving" not in self.tail():
                self.check()
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """SIGKILL it: no chance to clean up."""
        if self._process is not None and self.pid:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM it and wait; SIGKILL when it takes too long."""
        if self._process is None or not self.pid:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _PATIENCE_S)
        except TimeoutError:
            await self.kill()

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of its output."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Staged(ABC):
    """`async with` starts everything that `_start` says, and ends all of it."""

    def __init__(self) -> None:
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @abstractmethod
    async def _start(self) -> None: ...

    async def _run(
        self, program: Program, running: contextlib.AsyncExitStack | None = None
    ) -> None:
        (running or self._stack).push_async_callback(program.stop)
        await program.start()


def agent_command(
    node: SimulatedNode, home: Path, transport: Transport, *, memory_reclaim: bool = False
) -> tuple[str, tuple[str, ...]]:
    """Return module and arguments of the agent of a node whose kernel is served in `home`.

    memory_reclaim: it is to write memory.reclaim, which is served at `home / "reclaim"`.
    """
    served: tuple[str, ...] = ()
    given: tuple[str, ...] = (
        "--node-name", node.name, "--state-dir", str(home / "state"),
        "--proc-root", str(node.proc_root), "--cgroup-root", str(node.cgroup_root),
    )  # fmt: skip
    if transport == "fuse":
        roots = ("--damon-root", str(home / "sys/damon"), "--module-root", str(home / "sys/module"))
        given = (*roots, *given)
    else:
        served = ("--socket", str(home / "socket"))
    if memory_reclaim:
        served = (*served, "--reclaim-socket", str(home / "reclaim"))
        given = (*given, "--memory-reclaim")
    return ("damon_mock", ("agent", *served, "--", *given)) if served else ("damon_agent", given)
