"""What a pod requests of its node's memory, as the scheduler counts it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from damon_contract.quantities import quantity_bytes

Raw = Mapping[str, Any]


def requested_bytes(pod: Raw) -> int:
    """Return the pod's memory request; 0 where there is none."""
    return _effective(pod, "requests", 0) or 0


def limit_bytes(pod: Raw) -> int | None:
    """Return the pod's memory limit; None where one of its containers has none."""
    return _effective(pod, "limits", None)


def _effective(pod: Raw, kind: str, absent: int | None) -> int | None:
    """Add up containers and sidecars; an init container counts where it needs more than they do."""
    spec = pod.get("spec") or {}
    whole = _memory(spec, kind, None)
    if whole is None:
        sidecars: list[int | None] = []
        phases: list[int | None] = []
        for each in spec.get("initContainers") or ():
            size = _memory(each, kind, absent)
            phases.append(_sum([*sidecars, size]))
            if each.get("restartPolicy") == "Always":
                sidecars.append(size)
        running = [_memory(each, kind, absent) for each in spec.get("containers") or ()]
        phases.append(_sum([*running, *sidecars]))
        known = [size for size in phases if size is not None]
        whole = max(known) if len(known) == len(phases) else None
    overhead = _quantity((spec.get("overhead") or {}).get("memory")) or 0
    return None if whole is None else whole + overhead


def _memory(part: Raw, kind: str, absent: int | None) -> int | None:
    size = _quantity(((part.get("resources") or {}).get(kind) or {}).get("memory"))
    return absent if size is None else size


def _quantity(text: object) -> int | None:
    try:
        return None if text is None else quantity_bytes(str(text))
    except ValueError:
        return None  # the API server takes no such quantity; it costs this one figure


def _sum(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None
