"""Memory to squeeze: that of a kernel, by using it up; that of a mock, by its gauge."""

from pathlib import Path
from typing import Final, Protocol

from .children import Process

_MEMINFO: Final = Path("/proc/meminfo")
_MIB: Final = 1024 * 1024
_LEAST_SQUEEZE_MIB: Final = 4


class Squeezing(Protocol):
    """How much is free, in per mille of all, and how to have less."""

    def free_permille(self) -> int:
        """Return MemFree in per mille of MemTotal."""
        ...

    def squeeze(self, permille: int) -> None:
        """Let at most so much be free."""
        ...

    def release(self) -> None:
        """Give back what squeezing took."""
        ...

    def has_swap(self) -> bool:
        """Return whether there is any swap."""
        ...


class KernelMemory:
    """This machine's own memory. A process takes what is not to be free."""

    def __init__(self) -> None:
        self._taker: Process | None = None

    def free_permille(self) -> int:
        """See `Squeezing`."""
        fields = read(_MEMINFO)
        return fields["MemFree"] * 1000 // fields["MemTotal"]

    def squeeze(self, permille: int) -> None:
        """See `Squeezing`."""
        if self._taker is None:
            self._taker = Process()
        total_mib = read(_MEMINFO)["MemTotal"] // 1024
        while (excess := self.free_permille() - permille) > 0:
            size_mib = max(_LEAST_SQUEEZE_MIB, excess * total_mib // 1000)
            self._taker.ask(f"touch {size_mib * _MIB} once")

    def release(self) -> None:
        """See `Squeezing`."""
        if self._taker is not None:
            self._taker.close()
            self._taker = None

    def has_swap(self) -> bool:
        """See `Squeezing`."""
        return read(_MEMINFO)["SwapTotal"] > 0


class Gauge:
    """The file a mock takes for /proc/meminfo; squeezing is writing it. OSError, KeyError."""

    def __init__(self, meminfo: Path) -> None:
        self._meminfo = meminfo
        self._found = read(meminfo)

    def free_permille(self) -> int:
        """See `Squeezing`."""
        fields = read(self._meminfo)
        return fields["MemFree"] * 1000 // fields["MemTotal"]

    def squeeze(self, permille: int) -> None:
        """See `Squeezing`."""
        if self.free_permille() > permille:
            # Rounded up: so many whole per mille are free, as the kernel counts.
            self._write({**self._found, "MemFree": -(-self._found["MemTotal"] * permille // 1000)})

    def release(self) -> None:
        """See `Squeezing`."""
        if read(self._meminfo) != self._found:
            self._write(self._found)

    def has_swap(self) -> bool:
        """See `Squeezing`."""
        return self._found.get("SwapTotal", 0) > 0

    def _write(self, fields: dict[str, int]) -> None:
        beside = self._meminfo.with_name(f".{self._meminfo.name}.new")
        beside.write_text("".join(f"{name}: {kib} kB\n" for name, kib in fields.items()), "utf-8")
        beside.replace(self._meminfo)


def read(meminfo: Path) -> dict[str, int]:
    """Return a file in the form of /proc/meminfo, in KiB; OSError, ValueError."""
    lines = meminfo.read_text("utf-8").splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name: int(value.split()[0]) for name, _, value in pairs}
