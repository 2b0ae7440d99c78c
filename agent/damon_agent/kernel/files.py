"""The files of one kdamond: what they are known to read, and writing the difference."""

from collections.abc import Mapping

from damon_agent.kernel.diff import Write, diff, is_count, wiped_by
from damon_agent.kernel.features import CONTEXT
from damon_agent.kernel.sysfs import Sysfs


class KdamondFiles:
    """Reads and writes below admin/kdamonds/<K>, remembering the values."""

    def __init__(self, damon: Sysfs, base: str) -> None:
        self._damon = damon
        self._base = base
        self._known: dict[str, str] | None = None
        self._written: set[str] = set()
        self._complete: Mapping[str, str] | None = None
        """What `missing` last found nothing missing of."""

    @property
    def is_unknown(self) -> bool:
        """Whether the files have to be read before they can be compared."""
        return self._known is None

    @property
    def known(self) -> Mapping[str, str]:
        """What the files read when they were last read or written."""
        return self._known or {}

    def forget(self) -> None:
        """Do not trust what is remembered."""
        self._known = None
        self._complete = None
        self._written.clear()

    def missing(self, desired: Mapping[str, str]) -> tuple[Write, ...]:
        """Return the writes that are still to be made."""
        if desired is self._complete:
            return ()
        writes = diff(self.known, desired)
        self._complete = None if writes else desired
        return writes

    def sweep(self, desired: Mapping[str, str]) -> frozenset[str]:
        """Read all files of `desired`; return those that do not read what was remembered."""
        before = self._known
        now: dict[str, str] = {}
        for path in desired:
            value = self._damon.found(f"{self._base}/{path}")
            if value is not None:
                now[path] = value
        self._known = now
        self._complete = None
        expected = desired if before is None else before
        return frozenset(
            path for path in desired if path in expected and now.get(path) != expected[path]
        )

    def write(self, desired: Mapping[str, str]) -> None:
        """Make the writes that are missing; raise KernelError at the first that fails."""
        if self._known is None:
            self._known = {}
        for path, value in self.missing(desired):
            self._write(path, value)
        self._known |= desired  # with what recreated directories have by default

    def compare_written(self) -> frozenset[str]:
        """Read again what was written since the last call; return what reads differently."""
        now = {path: self._damon.found(f"{self._base}/{path}") for path in sorted(self._written)}
        differing = {path for path, value in now.items() if value != self.known.get(path)}
        for path in differing:
            self._remember(path, now[path])
        self._written.clear()
        return frozenset(differing)

    def remove_regions(self, target: int) -> None:
        """Take back the initial regions of a target; does nothing if there are none."""
        path = f"{CONTEXT}/targets/{target}/regions/nr_regions"
        if self.known.get(path) != "0":
            self._write(path, "0")

    def counted_bytes(self, scheme: int) -> tuple[int, int]:
        """Return sz_tried and sz_applied of a scheme, as last updated; zeros if there is none."""
        stats = f"{self._base}/{CONTEXT}/schemes/{scheme}/stats"
        tried, applied = (
            self._damon.found(f"{stats}/{name}") for name in ("sz_tried", "sz_applied")
        )
        return int(tried or 0), int(applied or 0)

    def _write(self, path: str, value: str) -> None:
        known = self._known if self._known is not None else {}
        self._complete = None
        if is_count(path):
            # Forgotten before the write: it may destroy them and fail, or kill us.
            for gone in wiped_by(path, known):
                del known[gone]
                self._written.discard(gone)
        known.pop(path, None)
        self._damon.write(f"{self._base}/{path}", value)
        known[path] = value
        self._known = known
        self._written.add(path)

    def _remember(self, path: str, value: str | None) -> None:
        known = self._known if self._known is not None else {}
        self._complete = None
        if value is None:
            known.pop(path, None)
        else:
            known[path] = value
        self._known = known
