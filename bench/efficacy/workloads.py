"""In which patterns pods use their memory: the words of guest/workload.c. Data."""

from dataclasses import dataclass
from typing import Final, Literal

STREAMED_FILE: Final = "/data/streamed"


@dataclass(frozen=True, slots=True)
class Workload:
    """What a pod runs, and what is known of its memory because it was made so."""

    words: tuple[str, ...]
    """Of its command line, after the directory (guest/workload.c)."""
    program: str = "workload"
    """What is started: a file of guest/, without its ending."""
    cold_mib: int = 0
    """So much anonymous memory it does not use while it is cold."""
    cold_file_mib: int = 0
    """So much of its page cache it does not use."""
    tells_latency: bool = False
    """It writes down how long its operations took."""

    @property
    def waits(self) -> bool:
        """Tell whether it has no memory until it is woken, and says when it has all of it."""
        return self.words[0] in {"spike", "sandbox"}


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


def redis(mib: int, *, hot_permille: int = 200, hot_access_percent: int = 90) -> Workload:
    """Return redis-server with so many MiB of values, and its client (guest/redis_pod.c).

    The server takes a fifth more than its values have. Each value is asked for now and then.
    """
    words = _words(mib, hot_permille, hot_access_percent)
    return Workload(words, program="redis_pod", tells_latency=True)


def heap(
    mib: int,
    *,
    hot_mib: int,
    period_ms: int,
    stride: int = 1,
    is_huge: bool = False,
    tells_latency: bool = True,
) -> Workload:
    """Return a heap of which a part is touched once in each period, and the rest never.

    It lies in pieces of a MiB, one in each `stride` MiB of addresses: sparse, as a JVM's may be.
    One of which nothing is touched has no latency to tell.
    """
    is_told = tells_latency and hot_mib > 0
    size, said = "huge" if is_huge else "small", "told" if is_told else "untold"
    return Workload(
        _words("heap", mib, hot_mib, period_ms, stride, size, said),
        cold_mib=mib - hot_mib,
        tells_latency=is_told,
    )


def forks(mib: int, *, hot_mib: int, period_ms: int, workers: int) -> Workload:
    """Return a heap that forked processes share; each reads a part of it once in each period."""
    return Workload(_words("forks", mib, hot_mib, period_ms, workers), cold_mib=mib - hot_mib)


def cron(mib: int, *, period_ms: int) -> Workload:
    """Return a heap that is used all at once after each period; none of it is cold for long."""
    return Workload(_words("cron", mib, period_ms), tells_latency=True)


def sandbox(mib: int, *, compute_ms: int) -> Workload:
    """Return one that takes memory when it is woken, uses it, and leaves it to a forked child."""
    return Workload(_words("sandbox", mib, compute_ms))


def file(
    path: str, how: Literal["read", "map"], mib: int, *, hot_mib: int, period_ms: int = 1000
) -> Workload:
    """Return a file of which a part is used once in each period: by read(), or mapped.

    Pods share two directories: /data is on a disk, what is in /shm is memory and goes to swap.
    """
    return Workload(
        _words("file", path, mib, hot_mib, period_ms, how),
        cold_file_mib=mib - hot_mib,
        tells_latency=True,
    )


def spike(mib: int) -> Workload:
    """Return one that has nothing until it is woken: then it takes memory, and uses all of it."""
    return Workload(_words("spike", mib))


def stream(mib: int, *, mib_per_s: int) -> Workload:
    """Return one that reads a file over and over: page cache that nobody needs."""
    return Workload(_words("stream", STREAMED_FILE, mib, mib_per_s))
