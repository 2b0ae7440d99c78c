"""Somebody else's pen: DAMON's files as one reads and writes them by hand in the machine."""

from dataclasses import dataclass
from typing import Final

from tests_kernel.node import DAMON, Node
from tests_kernel.waiting import until

KDAMONDS: Final = f"{DAMON}/admin/kdamonds"
TAKEN: Final = "taken"
"""What the kernel says to a command that it takes."""


@dataclass(frozen=True, slots=True)
class Region:
    """What DAMON holds of a range of addresses; of which target it does not say."""

    start: int
    end: int
    nr_accesses: int
    age: int
    """In aggregation intervals."""


def everything(node: Node) -> str:
    """Return all that DAMON's files say, and what its modules were told.

    What a module tells of its work (DAMON_STAT's percentiles) can't be written, and changes.
    """
    files = f"find {DAMON}/admin -type f -readable"
    told = "find /sys/module/damon_*/parameters -type f -perm /u+w"
    return _unlocked(node, f"({files}; {told}) | sort | xargs grep -H '' 2>&1 || true")


def write(node: Node, kdamond: int, values: dict[str, object], keyword: str = "") -> str:
    """Write files of a kdamond, then its state; return what the kernel says to the latter."""
    base = f"{KDAMONDS}/{kdamond}"
    for path, value in values.items():
        node.guest.shell(f"echo {value} >{base}/{path}")
    if not keyword:
        return ""
    # A command of the agent's may be under way; its end is waited for.
    return _unlocked(node, f"/bin/echo {keyword} 2>&1 >{base}/state || true", empty=TAKEN)


def regions(node: Node, kdamond: int, scheme: int = 0) -> list[Region]:
    """Return the regions that match the pattern of a scheme, as the kernel holds them now."""
    write(node, kdamond, {}, "update_schemes_tried_regions")
    tried = f"{KDAMONDS}/{kdamond}/contexts/0/schemes/{scheme}/tried_regions"
    names = ("start", "end", "nr_accesses", "age")
    said = node.guest.shell(
        f"cd {tried}; for r in [0-9]*; do [ ! -e $r ] || "
        f"echo {' '.join(f'$(cat $r/{name})' for name in names)}; done"
    )
    # The agent may be clearing them away at the same time.
    whole = (words for line in said.splitlines() if len(words := line.split()) == len(names))
    return [Region(*map(int, words)) for words in whole]


def _unlocked(node: Node, script: str, *, empty: str = TAKEN) -> str:
    """Return what a script says when no file that it uses is locked."""
    return until(
        "no file of DAMON is locked",
        lambda: "" if "busy" in (said := node.guest.shell(script)) else said or empty,
    )
