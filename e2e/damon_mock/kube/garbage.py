"""Who owns whom: dependants go when the last of their owners is gone."""

from collections.abc import Mapping
from typing import Any

from damon_mock.kube.store import Key

Place = tuple[str, Key]
"""Collection and key of an object."""


class Dependants:
    """Index of metadata.ownerReferences, kept up with every write."""

    def __init__(self) -> None:
        self._living: dict[str, Place] = {}
        self._owners: dict[Place, frozenset[str]] = {}
        self._owned: dict[str, set[Place]] = {}

    def written(self, place: Place, body: Mapping[str, Any]) -> None:
        """Note an object that exists."""
        metadata = body["metadata"]
        self._living[metadata["uid"]] = place
        owners = frozenset(ref["uid"] for ref in metadata.get("ownerReferences") or ())
        if owners != self._owners.get(place, frozenset()):
            self._forget_owners(place)
            self._owners[place] = owners
            for uid in owners:
                self._owned.setdefault(uid, set()).add(place)

    def removed(self, place: Place, uid: str) -> list[Place]:
        """Note that an object is gone; return the dependants that have no owner left."""
        self._living.pop(uid, None)
        self._forget_owners(place)
        return [other for other in sorted(self._owned.get(uid, ())) if self.is_orphaned(other)]

    def is_orphaned(self, place: Place) -> bool:
        """Whether an object names owners and none of them exists."""
        owners = self._owners.get(place, frozenset())
        return bool(owners) and not any(uid in self._living for uid in owners)

    def _forget_owners(self, place: Place) -> None:
        for uid in self._owners.pop(place, frozenset()):
            self._owned[uid].discard(place)
            if not self._owned[uid]:
                del self._owned[uid]
