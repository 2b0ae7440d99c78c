"""Pod priority in the Kubernetes sense, and the one place where it turns into the kernel's sense.

Pure: integers and strings in, integers out.
"""

import math
import re
from dataclasses import dataclass
from typing import Final

LOWEST: Final = 1
HIGHEST: Final = 100

SYSTEM_CRITICAL_VALUE: Final = 2_000_000_000
"""PriorityClass values from here on are the system's (scheduling.SystemCriticalPriority)."""

_WRITTEN_PRIORITY: Final = re.compile(r"[1-9][0-9]?|100", re.ASCII)


@dataclass(frozen=True)
class Rejected:
    """An annotation that is not a priority, and why, in words for the pod's owner."""

    reason: str


def reclaim_rank(priority: int) -> int:
    """Return the kernel-facing number of a priority: 101 - priority.

    THE TRAP: in the kernel RFC a *higher* `target_priority` gets a *higher* watermark, so it is
    reclaimed *earlier*. To Kubernetes a higher priority is more important, so it must be reclaimed
    *later*. The two meet here and nowhere else; no other module may subtract a priority.
    """
    if not LOWEST <= priority <= HIGHEST:
        raise ValueError(f"priority {priority} is outside {LOWEST}..{HIGHEST}")
    return HIGHEST + LOWEST - priority


def from_priority_class(value: int) -> int:
    """Return the priority, 1..99, of a PriorityClass value: 50 + 49 sign(v) log10(1 + |v|) / 9.

    Monotone in `value`. User classes reach from -2^31 to 10^9, most of them powers of ten, so the
    map is logarithmic: 0 -> 50, 1000 -> 66, 10^6 -> 83, -1000 -> 34. 100 is left to annotations
    and rules, which say it on purpose.
    """
    magnitude = 49 * math.log10(1 + abs(value)) / 9
    return max(LOWEST, min(HIGHEST - 1, round(50 + math.copysign(magnitude, value))))


def from_annotation(text: str) -> int | Rejected:
    """Return the priority an annotation states, or why it states none.

    Only "1" to "100" in ASCII digits count: no sign, no fraction, no exponent, no space, no leading
    zero, no digits of other scripts (which `int()` would take).
    """
    if _WRITTEN_PRIORITY.fullmatch(text):
        return int(text)
    shown = text if len(text) <= 40 else f"{text[:40]}... ({len(text)} characters)"
    return Rejected(f"{shown!a} is not a whole number from {LOWEST} to {HIGHEST}")
