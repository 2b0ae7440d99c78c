"""What the product's processes hold, from the first minute to the last."""

from dataclasses import dataclass, field
from typing import Final

from soak.program import Usage

_WARM_S: Final = 60.0
"""After its start a process still imports, lists and fills its caches."""
_LONG_S: Final = 600.0
"""Whether something grows is judged of processes that lived longer than that."""
_MOST: Final = Usage(rss_mb=256.0, descriptors=96, threads=48)
"""No process of the product may ever hold more, on this stage."""
_SLACK: Final = Usage(rss_mb=12.0, descriptors=16, threads=4)
"""By so much more the last third of a life may hold than the middle one: an operator that begins to
lead opens a dozen connections."""


@dataclass
class Life:
    """One process: samples of what it held, by seconds since its start."""

    name: str
    pid: int
    began_s: float
    samples: list[tuple[float, Usage]] = field(default_factory=list)

    @property
    def length_s(self) -> float:
        """How long it was seen."""
        return self.samples[-1][0] if self.samples else 0.0

    def at(self, share: float) -> Usage:
        """Return what it held at this share of its life after warming up."""
        warm = [s for s in self.samples if s[0] >= min(_WARM_S, self.length_s / 2)]
        return warm[min(len(warm) - 1, int(share * len(warm)))][1]

    def most(self, begin: float = 0.0, end: float = 1.0) -> Usage:
        """Return the most it held of each in a stretch of its life."""
        stretch = [u for s, u in self.samples if begin <= s / max(1.0, self.length_s) <= end]
        return Usage(
            max(u.rss_mb for u in stretch),
            max(u.descriptors for u in stretch),
            max(u.threads for u in stretch),
        )

    def slope_mb_per_h(self) -> float:
        """Return by how much its memory grew per hour: least squares after warming up."""
        warm = [(s, u.rss_mb) for s, u in self.samples if s >= _WARM_S]
        if len(warm) < 10:
            return 0.0
        mean_s = sum(s for s, _ in warm) / len(warm)
        mean_mb = sum(mb for _, mb in warm) / len(warm)
        spread = sum((s - mean_s) ** 2 for s, _ in warm)
        return 3600 * sum((s - mean_s) * (mb - mean_mb) for s, mb in warm) / spread

    def excess(self) -> list[str]:
        """Return what is more than it may hold."""
        found = []
        most = self.most()
        grows = self.length_s >= _LONG_S
        middle, last = (self.most(1 / 3, 2 / 3), self.most(2 / 3, 1)) if grows else (most, most)
        for what in ("rss_mb", "descriptors", "threads"):
            if getattr(most, what) > getattr(_MOST, what):
                found.append(f"{self.name}: {what} {getattr(most, what):.0f}")
            if getattr(last, what) > getattr(middle, what) + getattr(_SLACK, what):
                found.append(
                    f"{self.name}: {what} grew from {getattr(middle, what):.0f} "
                    f"to {getattr(last, what):.0f}"
                )
        return found


class Meter:
    """Follows programs from process to process."""

    def __init__(self) -> None:
        self.lives: list[Life] = []
        self._now: dict[str, Life] = {}

    def note(self, name: str, pid: int, now_s: float, usage: Usage) -> None:
        """Take a sample."""
        life = self._now.get(name)
        if life is None or life.pid != pid:
            life = self._now[name] = Life(name, pid, now_s)
            self.lives.append(life)
        life.samples.append((now_s - life.began_s, usage))

    def longest(self) -> list[Life]:
        """Return the longest life of each program, by name."""
        best: dict[str, Life] = {}
        for life in self.lives:
            if life.name not in best or life.length_s > best[life.name].length_s:
                best[life.name] = life
        return [best[name] for name in sorted(best)]

    def excess(self) -> list[str]:
        """Return what any process held that it may not."""
        return [said for life in self.lives for said in life.excess()]
