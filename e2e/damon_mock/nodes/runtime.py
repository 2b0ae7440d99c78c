"""Container runtimes: one with real processes, one that only pretends, for large numbers."""

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from damon_mock.damon.processes import stat_text
from damon_mock.nodes import processes, shim
from damon_mock.nodes.processes import Process, Sessions


class Runtime(Protocol):
    """Starts sessions of processes; a session is named by the pid of its first process."""

    exits: "asyncio.Queue[int]"
    """Sessions whose first process has exited."""
    pid: int
    """The runtime's own process."""

    async def up(self) -> None:
        """Get ready."""

    async def close(self) -> None:
        """End all sessions."""

    async def start(self, comm: str) -> int:
        """Start a session; return its pid."""
        ...

    async def fork(self, session: int) -> int:
        """Let the first process of a session fork; return the child's pid."""
        ...

    async def end(self, session: int) -> None:
        """Kill all processes of a session; return when none is left."""

    async def crash(self, session: int) -> None:
        """Kill the first process of a session; `exits` tells when all are gone."""

    def members(self) -> Mapping[int, set[int]]:
        """Return the pids of all sessions."""
        ...

    def processes(self, sessions: set[int]) -> list[Process]:
        """Return the processes of sessions by looking at each, not by memory."""
        ...

    def describe(self, pid: int, directory: Path) -> None:
        """Put `stat` and `comm` of a process into a directory."""


class ShimRuntime:
    """Real processes, forked by a shim process of its own."""

    def __init__(self) -> None:
        self.exits: asyncio.Queue[int] = asyncio.Queue()
        self.pid = 0
        self._sessions: dict[int, asyncio.Event] = {}
        """Living sessions, each with what is set when it has ended."""
        self._seen = Sessions()
        self._starting: deque[asyncio.Future[int]] = deque()
        self._forking: dict[int, deque[asyncio.Future[int]]] = {}
        self._shim: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def up(self) -> None:
        """See `Runtime`."""
        self._shim = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", shim.__file__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the demo; the shim ends with its stdin
        )
        self.pid = self._shim.pid
        self._reader = asyncio.create_task(self._read())

    async def close(self) -> None:
        """See `Runtime`."""
        if self._shim is None or self._shim.stdin is None or self._reader is None:
            return
        self._shim.stdin.close()
        await self._reader
        await self._shim.wait()
        self._shim = None
        self._sessions.clear()

    async def start(self, comm: str) -> int:
        """See `Runtime`."""
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._starting.append(started)
        await self._ask("start", comm[:15])
        session = await started
        self._sessions[session] = asyncio.Event()
        self._seen.forget(session)
        return session

    async def fork(self, session: int) -> int:
        """See `Runtime`."""
        forked: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._forking.setdefault(session, deque()).append(forked)
        await self._ask("fork", session)
        return await forked

    async def end(self, session: int) -> None:
        """See `Runtime`."""
        if session in self._sessions:
            await self._ask("end", session)
            await self._sessions[session].wait()

    async def crash(self, session: int) -> None:
        """See `Runtime`."""
        await self._ask("crash", session)

    def members(self) -> Mapping[int, set[int]]:
        """See `Runtime`."""
        return self._seen.members(self._sessions)

    def processes(self, sessions: set[int]) -> list[Process]:
        """See `Runtime`."""
        return processes.of_sessions(sessions & self._sessions.keys())

    def describe(self, pid: int, directory: Path) -> None:
        """See `Runtime`."""
        for name in ("stat", "comm"):
            (directory / name).symlink_to(f"/proc/{pid}/{name}")

    async def _ask(self, what: str, value: str | int) -> None:
        if self._shim is None or self._shim.stdin is None:
            raise RuntimeError("the container runtime is not up")
        self._shim.stdin.write(json.dumps({what: value}).encode() + b"\n")
        await self._shim.stdin.drain()

    async def _read(self) -> None:
        assert self._shim is not None
        assert self._shim.stdout is not None
        async for line in self._shim.stdout:
            self._hear(json.loads(line))
        for waiting in (*self._starting, *(f for queue in self._forking.values() for f in queue)):
            waiting.set_exception(RuntimeError("the container runtime has ended"))
        for ended in self._sessions.values():
            ended.set()

    def _hear(self, said: dict[str, int]) -> None:
        if "started" in said:
            self._starting.popleft().set_result(said["started"])
        elif "forked" in said:
            self._forking[said["session"]].popleft().set_result(said["forked"])
        else:
            for waiting in self._forking.pop(said["exited"], ()):
                waiting.set_exception(ProcessLookupError(f"{said['exited']} did not live to fork"))
            self._sessions.pop(said["exited"]).set()
            self.exits.put_nowait(said["exited"])


class PretendedRuntime:
    """No processes at all: numbers nobody has, described by plain files. For scale benchmarks."""

    def __init__(self, *, first_pid: int = 10_000_000) -> None:
        self.exits: asyncio.Queue[int] = asyncio.Queue()
        self.pid = os.getpid()
        self._next = first_pid
        self._members: dict[int, set[int]] = {}

    async def up(self) -> None:
        """See `Runtime`."""

    async def close(self) -> None:
        """See `Runtime`."""
        self._members.clear()

    async def start(self, comm: str) -> int:
        """See `Runtime`."""
        del comm
        self._next += 1
        self._members[self._next] = {self._next}
        return self._next

    async def fork(self, session: int) -> int:
        """See `Runtime`."""
        self._next += 1
        self._members[session].add(self._next)
        return self._next

    async def end(self, session: int) -> None:
        """See `Runtime`."""
        self._members.pop(session, None)

    async def crash(self, session: int) -> None:
        """See `Runtime`."""
        await self.end(session)
        self.exits.put_nowait(session)

    def members(self) -> Mapping[int, set[int]]:
        """See `Runtime`."""
        return self._members

    def processes(self, sessions: set[int]) -> list[Process]:
        """See `Runtime`."""
        return sorted(
            Process(pid, pid) for session in sessions for pid in self._members.get(session, ())
        )

    def describe(self, pid: int, directory: Path) -> None:
        """See `Runtime`."""
        (directory / "stat").write_text(stat_text(pid, "workload", start_ticks=pid))
        (directory / "comm").write_text("workload\n")
