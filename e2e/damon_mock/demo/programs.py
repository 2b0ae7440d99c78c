"""Programs of the demo: each a process of its own, with its output in a file."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_PATIENCE_S = 10.0


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
