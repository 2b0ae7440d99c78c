"""Injected faults: which accesses fail, hang, stop the kdamond, or kill who makes them."""

import errno
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Operation = Literal["read", "write", "list"]


class Killed(BaseException):
    """The accessing process got SIGKILL. Not an Exception: nothing may catch it and go on."""


@dataclass(frozen=True)
class Fails:
    """The access fails with an errno and changes nothing."""

    code: int = errno.EIO


@dataclass(frozen=True)
class Hangs:
    """The write does not return; a keyword in `state` is never served, until `off` frees it."""


@dataclass(frozen=True)
class StopsKdamond:
    """The keyword is served and reports success, and the kdamond ends."""


@dataclass(frozen=True)
class Kills:
    """The writer is killed before the write takes effect, or right after."""

    when: Literal["before", "after"]


Effect = Fails | Hangs | StopsKdamond | Kills


@dataclass(frozen=True)
class Fault:
    """An effect on accesses whose path matches a shell pattern.

    path: as the emulator sees it, "damon/admin/…" or "module/…"; `*` crosses slashes. value: shell
    pattern of what is written, without the newline. skip: how many matching accesses pass before.
    times: how many are hit then; None for all.
    """

    path: str
    effect: Effect
    operation: Operation = "write"
    value: str = "*"
    skip: int = 0
    times: int | None = 1


@dataclass
class _Counted:
    fault: Fault
    seen: int = 0


class Faults:
    """The faults in force. The first that hits an access decides; all that match count it."""

    def __init__(self) -> None:
        self._counted: list[_Counted] = []

    def add(self, *faults: Fault) -> None:
        """Put faults in force, after those that are."""
        self._counted += [_Counted(fault) for fault in faults]

    def clear(self) -> None:
        """Let everything work again."""
        self._counted.clear()

    def hit(self, operation: Operation, path: str, value: str = "") -> Effect | None:
        """Count an access and return the effect it suffers."""
        effect: Effect | None = None
        for counted in self._counted:
            fault = counted.fault
            if fault.operation != operation or not fnmatchcase(path, fault.path):
                continue
            if not fnmatchcase(value, fault.value):
                continue
            counted.seen += 1
            nth = counted.seen - fault.skip
            if effect is None and nth >= 1 and (fault.times is None or nth <= fault.times):
                effect = fault.effect
        return effect
