"""metadata.managedFields: which manager set which field, kept through every kind of write."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from damon_mock.kube import fields
from damon_mock.kube.failures import Body
from damon_mock.kube.fields import Leaves, Path


@dataclass(frozen=True)
class Manager:
    """Who writes: the identity of one entry of managedFields."""

    name: str
    operation: Literal["Apply", "Update"]
    api_version: str
    subresource: str = ""


@dataclass
class Owners:
    """The sets of all managers of one object."""

    sets: dict[Manager, set[Path]] = field(default_factory=dict)
    times: dict[Manager, str] = field(default_factory=dict)

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Owners":
        """Read them from an object."""
        owners = cls()
        for entry in body.get("metadata", {}).get("managedFields") or ():
            manager = Manager(
                entry["manager"],
                entry["operation"],
                entry["apiVersion"],
                entry.get("subresource", ""),
            )
            owners.sets[manager] = fields.from_wire(entry["fieldsV1"])
            owners.times[manager] = entry.get("time", "")
        return owners

    def wire(self) -> list[Body]:
        """Return them as managedFields; managers that own nothing are left out."""
        return [
            {
                "manager": manager.name,
                "operation": manager.operation,
                "apiVersion": manager.api_version,
                "time": self.times[manager],
                "fieldsType": "FieldsV1",
                "fieldsV1": fields.to_wire(paths),
                **({"subresource": manager.subresource} if manager.subresource else {}),
            }
            for manager, paths in self.sets.items()
            if paths
        ]

    def updated(self, manager: Manager, before: Leaves, after: Leaves, now: str) -> None:
        """Record an ordinary write: what changed is the writer's, what is gone is nobody's."""
        missing = object()
        changed = {p for p, value in after.items() if before.get(p, missing) != value}
        gone = before.keys() - after.keys()
        if not changed and not gone:
            return
        for other, paths in self.sets.items():
            paths.difference_update(gone, () if other == manager else changed)
        if changed:
            self.sets[manager] = self.sets.get(manager, set()) | changed
            self.times[manager] = now

    def applied(self, manager: Manager, paths: set[Path], now: str) -> None:
        """Record an apply: the manager owns exactly what it said."""
        if self.sets.get(manager) != paths:
            self.times[manager] = now
        self.sets[manager] = paths
