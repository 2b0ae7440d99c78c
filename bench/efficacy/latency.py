"""How long operations took: histograms, merged and read. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict

BUCKETS_PER_OCTAVE: Final = 16
"""As guest/workload.c counts: each bucket is at most 1/16 wide."""


class Window(BaseModel):
    """A quarter of a second of one pod: how many operations were in each bucket."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    begin_s: float
    end_s: float
    buckets: Mapping[int, int]


class Latency(BaseModel):
    """What a pod did in one step of a run; latencies are None if it did nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operations_per_s: float
    p50_us: float | None
    p99_us: float | None
    p999_us: float | None


def floor_ns(bucket: int) -> int:
    """Return the shortest time of a bucket."""
    if bucket < BUCKETS_PER_OCTAVE:
        return bucket
    exponent, part = divmod(bucket, BUCKETS_PER_OCTAVE)
    return int((1 << (exponent + 3)) + (part << (exponent - 1)))


def percentile_us(buckets: Mapping[int, int], share: float) -> float | None:
    """Return the time below or at which this share of the operations was."""
    wanted = share * sum(buckets.values())
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= wanted:
            return floor_ns(bucket) / 1000
    return None


def latency(windows: Iterable[Window], begin_s: float, end_s: float) -> Latency | None:
    """Return what happened in the windows whose middle is in a step; None if there is none.

    A window is longer than a quarter of a second if one operation was, so it is the windows'
    own length that operations are divided by.
    """
    inside = [w for w in windows if begin_s <= (w.begin_s + w.end_s) / 2 < end_s]
    if not inside:
        return None
    merged: Counter[int] = Counter()
    for window in inside:
        merged.update(window.buckets)
    length_s = sum(w.end_s - w.begin_s for w in inside)
    return Latency(
        operations_per_s=merged.total() / length_s,
        p50_us=percentile_us(merged, 0.5),
        p99_us=percentile_us(merged, 0.99),
        p999_us=percentile_us(merged, 0.999),
    )
