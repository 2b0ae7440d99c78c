"""Time as a value, so that tests own it."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one that only runs forward, one that survives a restart."""

    def now_us(self) -> int:
        """Return monotonic microseconds since an unknown moment."""
        ...

    def wall_s(self) -> float:
        """Return seconds since 1970 in UTC."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_us(self) -> int:
        """Return CLOCK_MONOTONIC in microseconds."""
        return time.monotonic_ns() // 1000

    def wall_s(self) -> float:
        """Return CLOCK_REALTIME in seconds."""
        return time.time()


def micro_time(wall_s: float) -> str:
    """Return a moment as Kubernetes writes it in a Lease, in microseconds of UTC."""
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rfc3339(wall_s: float) -> str:
    """Return a moment as Kubernetes writes it, in whole seconds of UTC."""
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
