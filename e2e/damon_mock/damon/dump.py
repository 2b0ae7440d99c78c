"""Everything there is to know about an emulator, as data for JSON."""

from dataclasses import asdict
from typing import Any

from .context import Context
from .emulator import Emulator
from .processes import Identity
from .scheme import Scheme
from .target import Target


def everything(emulator: Emulator, *, since_write: int = 0, since_event: int = 0) -> dict[str, Any]:
    """Return sysfs copy, kernel copy, events and writes from an index on, and the verdicts."""
    return {
        "now_us": emulator.now_us,
        "sysfs": emulator.snapshot(),
        "kdamonds": _kernel_copy(emulator),
        "inherited": [asdict(entry) for entry in emulator.inherited()],
        "events": [asdict(event) for event in emulator.events[since_event:]],
        "nr_events": len(emulator.events),
        "nr_writes": len(emulator.log),
        "writes": [asdict(record) for record in emulator.log[since_write:]],
    }


def _kernel_copy(emulator: Emulator) -> list[dict[str, Any]]:
    """Return what each kdamond runs, or ran when it stopped; `context` is None if it never did."""
    return [
        {
            "index": kdamond.index,
            "running": kdamond.running,
            "pid": kdamond.pid,
            "creator": kdamond.directory.creator,
            "context": None if kdamond.context is None else _context(kdamond.context),
        }
        for kdamond in emulator.kdamonds
    ]


def _context(context: Context) -> dict[str, Any]:
    return {
        "operations": context.operations,
        "attrs": asdict(context.attrs),
        "targets": [_target(target) for target in context.targets],
        "schemes": [_scheme(scheme) for scheme in context.schemes],
    }


def _target(target: Target) -> dict[str, Any]:
    return {
        "process": _process(target.process),
        "priority": target.priority,
        "regions": [
            {
                "start": region.start,
                "end": region.end,
                "nr_accesses": region.nr_accesses,
                "age": region.age,
                "owner": _process(region.owner),
            }
            for region in target.regions
        ],
    }


def _process(identity: Identity | None) -> dict[str, int] | None:
    return None if identity is None else asdict(identity)


def _scheme(scheme: Scheme) -> dict[str, Any]:
    return {
        **asdict(scheme.wanted),
        "activated": scheme.activated,
        "stats": asdict(scheme.stats),
        "effective_bytes": scheme.quota.effective_bytes,
    }
