"""A keyword on its way to a kdamond, and the write(2) that waits for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

POLL_US: Final = 100_000
"""How often a writer looks whether its request was served, on kernels before 6.16."""

Moment = Literal["sampled", "aggregated", "inactive"]


@dataclass
class Pending:
    """A write(2) that has not returned.

    done: it has. error: what it raised, None for success. started_us: virtual time of the call.
    when_done: called with the error when it returns.
    """

    path: str
    value: str
    started_us: int
    done: bool = False
    error: OSError | None = None
    when_done: list[Callable[[OSError | None], None]] = field(default_factory=list)

    def resolve(self, error: OSError | None = None) -> None:
        """Let it return, or raise."""
        self.done = True
        self.error = error
        for callback in self.when_done:
            callback(error)


@dataclass
class Request:
    """What a kdamond shall do.

    served: the kdamond has done it (the writer may not know yet). hangs: nobody will ever serve it.
    stops_kdamond: after doing it the kdamond ends, and the writer is told success (both injected).
    walk_left: schemes that must be applied once before a walk is over, as ids.
    """

    keyword: str
    pending: Pending
    next_poll_us: int = 0
    served: bool = False
    error: OSError | None = None
    hangs: bool = False
    stops_kdamond: bool = False
    walk_left: set[int] | None = field(default=None)

    @property
    def is_walk(self) -> bool:
        """Whether it asks for tried regions."""
        return self.keyword in {"update_schemes_tried_regions", "update_schemes_tried_bytes"}
