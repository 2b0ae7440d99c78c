"""The real programs of the soak: each a process that may end only when the soak ends it."""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from damon_mock.demo.programs import Program

_EVENTS: Final = logging.getLogger("soak.events")
_BEGIN: Final = "Traceback (most recent call last)"
_TRACE: Final = f'trace="{_BEGIN}'
_GRACE_S: Final = 30.0
"""As a kubelet gives a pod."""
_CLEAN: Final = {k: v for k, v in os.environ.items() if k not in {"KUBECONFIG", "DAMON_ROOT"}}
EXPECTED: Final = ("LeaseLost",)
"""Exceptions that belong to the design: the Lease is lost. Their traceback is no defect."""


@dataclass(frozen=True)
class Usage:
    """What a process holds."""

    rss_mb: float
    descriptors: int
    threads: int


class Watched(Program):
    """A program whose end is noticed. `lock` is held by whoever does something to it."""

    def __init__(self, name: str, module: str, arguments: tuple[str, ...], directory: Path) -> None:
        super().__init__(name, module, arguments, directory)
        self.lock = asyncio.Lock()
        self.wanted = False
        """Whether it should run now."""
        self.starts = 0
        self._read = 0
        self._begins = 0

    async def start(self, environment: Mapping[str, str] | None = None) -> None:  # type: ignore[explicit-override]  # typing.override is of 3.12
        """Start it, with an environment that names no cluster."""
        self._begins = self.log.stat().st_size if self.log.exists() else 0
        await super().start(environment or _CLEAN)
        self.wanted = True
        self.starts += 1
        _EVENTS.info("%s started, pid %d", self.name, self.pid)

    async def kill(self) -> None:  # type: ignore[explicit-override]  # as above
        """SIGKILL it."""
        self.wanted = False
        _EVENTS.info("%s gets SIGKILL", self.name)
        await super().kill()

    async def stop(self) -> None:  # type: ignore[explicit-override]  # as above
        """SIGTERM it and wait for as long as a kubelet does."""
        self.wanted = False
        if self._process is None or not self.pid:
            return
        _EVENTS.info("%s gets SIGTERM", self.name)
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _GRACE_S)
        except TimeoutError:
            await super().kill()

    async def pause(self, seconds: float) -> None:
        """SIGSTOP it for a while: time leaps, as it does for a suspended machine."""
        if self.pid:
            _EVENTS.info("%s gets SIGSTOP for %.1f s", self.name, seconds)
            os.kill(self.pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                if self.pid:
                    os.kill(self.pid, signal.SIGCONT)

    async def until_said(self, words: str, seconds: float = 60.0) -> None:
        """Wait until it has logged these words since its start, or it takes too long."""
        for _ in range(round(seconds / 0.2)):
            if words.encode() in self.log.read_bytes()[self._begins :]:
                return
            await asyncio.sleep(0.2)

    def ended_by_itself(self) -> int | None:
        """Return its status if it has ended and should not have; it is not wanted any more then."""
        if not self.wanted or self._process is None or self._process.returncode is None:
            return None
        self.wanted = False
        return self._process.returncode

    def news(self) -> str:
        """Return what it has logged since the last call."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._read)
            text = log.read()
        self._read += len(text)
        return text.decode(errors="replace")

    def usage(self) -> Usage | None:
        """Return what it holds now; None while it does not run."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
            descriptors = len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208 - only counted
        except OSError:
            return None
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        if "VmRSS" not in fields:
            return None
        rss_mb = int(fields["VmRSS"].split()[0]) / 1024
        return Usage(rss_mb, descriptors, int(fields["Threads"]))


def tracebacks(text: str) -> list[str]:
    """Return the last line of every traceback in a log, but those that belong to the design.

    Our own lines carry one as the last of their values, with its newlines escaped.
    """
    found = []
    inside = False
    for line in text.replace(_TRACE, f"\n{_BEGIN}").replace("\\n", "\n").splitlines():
        if line.startswith(_BEGIN):
            inside = True
        elif inside and line and not line.startswith((" ", "\t")):
            inside = False
            if not any(name in line for name in EXPECTED):
                found.append(line.removesuffix('"'))
    return found
