"""The plan as the agent holds it, and how it is read from an API object. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pydantic import ValidationError

from damon_contract.v1alpha1.model import Condition
from damon_contract.v1alpha1.node import DamonNodeSpec, NodeCondition, NodeReason

_SHOWN_ERRORS: Final = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What the operator wants of this node."""

    uid: str
    """metadata.uid of the DamonNode: another one is another object, with an empty status."""
    generation: int
    spec: DamonNodeSpec


@dataclass(frozen=True, slots=True)
class Invalid:
    """An object that can't be read as a plan."""

    uid: str
    generation: int
    message: str
    """The first few fields that are wrong, and how."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the status of a DamonNode says, and of which plan of which object."""

    uid: str = ""
    """metadata.uid of the DamonNode."""
    observed_hash: str = ""
    conditions: tuple[Condition, ...] = ()
    """With the generation that they speak of."""

    def applied(self, plan: Plan) -> bool:
        """Say whether it says of just this plan that it is applied."""
        return (self.uid, self.observed_hash) == (plan.uid, plan.spec.hash) and any(
            condition.type == NodeCondition.APPLIED.value
            and condition.status == "True"
            and condition.observed_generation == plan.generation
            for condition in self.conditions
        )


@dataclass(frozen=True, slots=True)
class Latest:
    """What is known of the plan at one moment."""

    known: bool = False
    """Whether it is known at all if there is a plan; False until the first answer of the API."""
    plan: Plan | None = None
    """The plan to follow: the last valid one."""
    invalid: Invalid | None = None
    """The object as it is now, if it can't be read; `plan` is then older."""
    contact_us: int = 0
    """When the API server was last heard of, on the monotonic clock."""
    trouble: str = ""
    """Why the API server is not heard of, if it is not."""
    said: Said | None = Said()
    """What the object said when this agent first saw it (a restart is no transition), or when the
    operator last said that this agent is silent. None: the API server has not answered since the
    start, so what stands there is unknown."""


def read(item: object) -> Plan | Invalid:
    """Read a DamonNode; anything but a plan gives the reason, never an exception."""
    uid, generation = _identity(item)
    try:
        spec = DamonNodeSpec.model_validate(item.get("spec") if isinstance(item, Mapping) else None)
    except ValidationError as error:
        return Invalid(uid, max(0, generation), _shown(error))
    return Plan(uid, max(0, generation), spec)


def apply(latest: Latest, found: Plan | Invalid | None) -> Latest:
    """Return what is known after the object was seen as `found`; None: it does not exist."""
    match found:
        case Plan():
            return replace(latest, known=True, plan=found, invalid=None)
        case Invalid():
            return replace(latest, known=True, invalid=found)
        case None:
            return replace(latest, known=True, plan=None, invalid=None)


def said(item: object) -> Said:
    """Return what the status of a DamonNode says."""
    status = item.get("status") if isinstance(item, Mapping) else None
    observed = status.get("observedHash") if isinstance(status, Mapping) else None
    uid, _ = _identity(item)
    return Said(uid, observed if isinstance(observed, str) else "", conditions(item))


def conditions(item: object) -> tuple[Condition, ...]:
    """Return the conditions in the status of a DamonNode; those that can't be read are left out."""
    status = item.get("status") if isinstance(item, Mapping) else None
    listed = status.get("conditions") if isinstance(status, Mapping) else None
    found: list[Condition] = []
    for entry in listed if isinstance(listed, list) else ():
        try:
            found.append(Condition.model_validate(entry))
        except ValidationError:
            continue  # it is written anew
    return tuple(found)


def silenced(item: object) -> bool:
    """Say whether the status says that this agent is silent."""
    return any(said.reason == NodeReason.AGENT_SILENT for said in conditions(item))


def identity(item: object) -> tuple[str, int, bytes]:
    """Return what tells one state of an object from another: uid, generation, digest of the spec.

    The generation alone does not: after etcd was restored from a backup it counts from there again.
    """
    spec = item.get("spec") if isinstance(item, Mapping) else None
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
    return *_identity(item), hashlib.sha256(text.encode()).digest()


def _identity(item: object) -> tuple[str, int]:
    metadata = item.get("metadata") if isinstance(item, Mapping) else None
    metadata = metadata if isinstance(metadata, Mapping) else {}
    generation = metadata.get("generation")
    return str(metadata.get("uid", "")), generation if isinstance(generation, int) else 0


def _shown(error: ValidationError) -> str:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    shown = "; ".join(
        f"{'.'.join(('spec', *map(str, e['loc'])))}: {e['msg']}" for e in errors[:_SHOWN_ERRORS]
    )
    more = len(errors) - _SHOWN_ERRORS
    return f"{shown} (and {more} more)" if more > 0 else shown
