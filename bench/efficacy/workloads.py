"""In which patterns pods use their memory: the words of guest/workload.c. Data."""

from dataclasses import dataclass
from typing import Final, Literal

STREAMED_FILE: Final = "/data/streamed"


@dataclass(frozen=True, slots=True)
class Workload:
    """What a pod runs, and what is known of its memory because it was made so."""

    words: tuple[str, ...]
    """Of its command line, after the directory (guest/workload.c)."""
    cold_mib: int = 0
    """So much anonymous memory it does not use while it is cold."""
    cold_file_mib: int = 0
    """So much of its page cache it does not use."""
    tells_latency: bool = False
    """It writes down how long its operations took."""

    @property
    def is_spike(self) -> bool:
        """Tell whether it waits to take all its memory at once."""
        return self.words[0] == "spike"


def _words(*words: str | int) -> tuple[str, ...]:
    return tuple(map(str, words))


def keys(
    mib: int, *, hot_permille: int = 200, hot_access_percent: int = 90, awake: bool = True
) -> Workload:
    """Return a key-value store under load.

    Each of its pages is used now and then; while it sleeps none is.
    """
    state = "awake" if awake else "asleep"
    return Workload(
        _words("keys", mib, hot_permille, hot_access_percent, state),
        cold_mib=0 if awake else mib,
        tells_latency=True,
    )


def heap(mib: int, *, hot_mib: int, period_ms: int) -> Workload:
    """Return a heap of which a part is touched once in each period, and the rest never."""
    return Workload(_words("heap", mib, hot_mib, period_ms), cold_mib=mib - hot_mib)


def file(
    name: str, how: Literal["read", "map"], mib: int, *, hot_mib: int, period_ms: int = 1000
) -> Workload:
    """Return a file of which a part is used once in each period: by read(), or mapped."""
    return Workload(
        _words("file", f"/data/{name}", mib, hot_mib, period_ms, how),
        cold_file_mib=mib - hot_mib,
        tells_latency=True,
    )


def spike(mib: int) -> Workload:
    """Return one that has nothing until it is woken: then it takes memory, and uses all of it."""
    return Workload(_words("spike", mib))


def stream(mib: int, *, mib_per_s: int) -> Workload:
    """Return one that reads a file over and over: page cache that nobody needs."""
    return Workload(_words("stream", STREAMED_FILE, mib, mib_per_s))
