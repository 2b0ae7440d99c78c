"""The signature by which the agent knows its kdamonds, should the ownership record be lost."""

from typing import Final

from damon_agent.kernel.tree.sysfs import Sysfs, kdamond_path

SIGNATURE: Final = (711, 503, 307)
"""High, mid and low of the watermarks of scheme 0, whose metric is none: then the kernel ignores
them, and nobody else writes just these."""


def is_signed(damon: Sysfs, kdamond: int) -> bool:
    """Say whether a kdamond carries the signature; raise KernelError."""
    paths = _paths(kdamond)
    return all(damon.found(path) == str(v) for path, v in zip(paths, SIGNATURE, strict=True))


def sign(damon: Sysfs, kdamond: int) -> None:
    """Put the signature into a stopped kdamond that has a scheme; raise KernelError."""
    for path, value in zip(_paths(kdamond), SIGNATURE, strict=True):
        damon.write(path, str(value))


def _paths(kdamond: int) -> tuple[str, ...]:
    watermarks = f"{kdamond_path(kdamond)}/contexts/0/schemes/0/watermarks"
    return tuple(f"{watermarks}/{name}" for name in ("high", "mid", "low"))
