"""How much of a node's memory is not for pods."""

from collections.abc import Mapping
from typing import Any

from damon_contract.quantities import quantity_bytes
from damon_contract.v1alpha1.node import MAX_BYTES


def reserved_bytes(status: Mapping[str, Any]) -> int:
    """Return capacity minus allocatable memory of a Node's status; 0 where it cannot be read."""
    try:
        capacity = quantity_bytes(str(status["capacity"]["memory"]))
        allocatable = quantity_bytes(str(status["allocatable"]["memory"]))
        # The kubelet takes all huge pages out of what is allocatable as memory. They are a resource
        # of their own, and the agent counts them as no capacity.
        huge_pages = sum(
            quantity_bytes(str(size))
            for name, size in status["capacity"].items()
            if str(name).startswith("hugepages-")
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        return 0  # the agent's own floor is above the zones' watermarks anyway
    reserved = max(0, capacity - allocatable - huge_pages)
    return reserved if reserved <= MAX_BYTES else 0
