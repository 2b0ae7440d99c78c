"""`DamonTuning`: how the pods of a set of nodes get their priority, and what DAMON does with it."""

import hashlib
import json
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, WithJsonSchema, model_validator

from damon_contract import quantities
from damon_contract.priorities import HIGHEST
from damon_contract.quantities import Duration, Permille, Priority, Size
from damon_contract.v1alpha1.bounds import matching, within
from damon_contract.v1alpha1.counts import NodeCounts, PodCounts, ReasonCount
from damon_contract.v1alpha1.model import Conditions, Model
from damon_contract.v1alpha1.rollout import Rollout, RolloutStatus
from damon_contract.v1alpha1.selectors import Labels, LabelSelector
from damon_contract.v1alpha1.totals import Totals

Mode = Literal["Observe", "Enforce", "Off"]
QosClass = Literal["Guaranteed", "Burstable", "BestEffort"]


class Rule(Model):
    """Gives the pods it matches a priority, or exempts them. All stated criteria must hold."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "has(self.priority) != (has(self.exempt) && self.exempt)",
                    "message": "a rule says either priority or exempt: true, not both, not neither",
                }
            ]
        }
    )

    name: Annotated[str, Field(default="", max_length=63)]
    """Name that status and `source` show; the position in the list when empty."""
    pod_selector: LabelSelector | None = None
    """Labels of the pod."""
    namespace_selector: LabelSelector | None = None
    """Labels of the pod's namespace."""
    priority_class_names: Annotated[
        tuple[Annotated[str, Field(max_length=253)], ...], Field(default=(), max_length=32)
    ]
    """Names of PriorityClasses, any of them."""
    qos_classes: Annotated[tuple[QosClass, ...], Field(default=(), max_length=3)]
    """Quality-of-service classes, any of them."""
    priority: Priority | None = None
    """Priority of the matching pods: 1..100, higher = more important = reclaimed later."""
    exempt: bool = False
    """Take the matching pods out of every plan."""

    @model_validator(mode="after")
    def _one_verdict(self) -> Self:
        if (self.priority is not None) == self.exempt:
            raise ValueError("a rule says either priority or exempt: true, not both, not neither")
        return self


class AnnotationBounds(Model):
    """What owners may ask for with annotations; a priority outside is clamped."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {"rule": "self.min <= self.max", "message": "min must not be above max"}
            ]
        }
    )

    min: Priority = 1
    """Lowest priority a pod's owner may choose."""
    max: Priority = 100
    """Highest priority a pod's owner may choose."""
    exempt: bool | None = None
    """Whether owners may take their pods out of every plan with the annotation
    damon-operator.io/exempt. When absent they may if max is 100, and not if it is lower: an exempt
    pod is better off than one of any priority."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError("min must not be above max")
        return self

    def may_exempt(self) -> bool:
        """Return whether owners may take their pods out of every plan."""
        return self.max == HIGHEST if self.exempt is None else self.exempt


class Priorities(Model):
    """How a pod gets its priority.

    First hit wins: its annotation, rules, the annotation of its namespace, PriorityClass, default.
    """

    annotation: Annotated[AnnotationBounds, Field(default_factory=AnnotationBounds)]
    """Bounds of the pod annotations damon-operator.io/priority and damon-operator.io/exempt. The
    annotation damon-operator.io/priority of a Namespace, the default of its pods, has the same."""
    rules: Annotated[tuple[Rule, ...], Field(default=(), max_length=64)]
    """Tried in order; the first that matches decides."""
    default: Priority = 50
    """Priority of a pod that nothing else decides."""
    exempt_namespaces: Annotated[
        tuple[Annotated[str, Field(max_length=63)], ...],
        Field(default=("kube-system",), max_length=64),
    ]
    """Pods of these namespaces are in no plan."""


_COST: Final = "more often costs CPU that the pods need, less often sees too little"
_TEN_SAMPLES: Final = " + ".join(["duration(self.sampleInterval)"] * 10)


class Monitoring(Model):
    """How closely DAMON looks. Slow on purpose: fewer than 10 samples per aggregation."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "duration(self.sampleInterval) <= duration(self.aggregationInterval)",
                    "message": "sampleInterval must not be above aggregationInterval",
                },
                {
                    "rule": f"duration(self.aggregationInterval) < {_TEN_SAMPLES}",
                    "message": "an aggregation must hold fewer than 10 samples: with more, "
                    "kernels before 6.18 let rarely used regions age as if they were cold",
                },
            ]
        }
    )

    sample_interval: Annotated[Duration, within("5ms", "60s", _COST)] = "220ms"
    """Time between two looks at a region."""
    aggregation_interval: Annotated[Duration, within("5ms", "60s", _COST)] = "2s"
    """Time over which accesses are counted; schemes act once per aggregation."""
    update_interval: Annotated[Duration, within("1s", "60s", _COST)] = "2s"
    """Time after which DAMON looks for new mappings of its targets."""

    @model_validator(mode="after")
    def _intervals(self) -> Self:
        sample_us = quantities.microseconds(self.sample_interval)
        aggregation_us = quantities.microseconds(self.aggregation_interval)
        if sample_us > aggregation_us:
            raise ValueError("sampleInterval must not be above aggregationInterval")
        if aggregation_us >= 10 * sample_us:
            raise ValueError(
                "an aggregation must hold fewer than 10 samples: with more, "
                "kernels before 6.18 let rarely used regions age as if they were cold"
            )
        return self


_QUOTA_BYTES: Final = (
    "409[6-9]|4[1-9][0-9]{2}|[5-9][0-9]{3}|[1-9][0-9]{4,14}"
    "|([4-9]|[1-9][0-9]{1,11})Ki|([5-9]|[1-9][0-9]{1,11})k"
    "|[1-9][0-9]{0,8}Mi?|[1-9][0-9]{0,5}Gi?|[1-9][0-9]{0,2}Ti?"
)
"""Sizes from 4096 bytes to some 10^15: far from 2^64, which the kernel cannot hold."""


class Quota(Model):
    """How much a lane may try to reclaim per window; DAMON charges virtual bytes, with holes."""

    bytes: Annotated[
        Size,
        matching(
            _QUOTA_BYTES,
            "is 4Ki to 999Ti: the kernel takes 0 for no limit and can take no less than a page; "
            "for no limit leave the quota out",
        ),
    ]
    """Bytes per window, from 4Ki, a page, to 999Ti."""
    window: (
        Annotated[Duration, within("5ms", "24h", "the kernel keeps it in milliseconds, in 32 bits")]
        | None
    ) = None
    """Length of the window, at least the aggregation interval; that interval when absent.

    A shorter window is refused: schemes act once per aggregation, windows in between are lost.
    Before Linux 6.18 a longer one is spread evenly over its aggregations: the kernel would not
    limit the first."""


MIN_AGE: Final = "24s"
"""`reclaim.minAge` where the tuning states none."""

_AGELESS: Final = (
    "without any age all memory is cold, and the kernel counts aggregations in 32 bits"
)


class Reclaim(Model):
    """What happens to cold memory of pods that are not protected."""

    action: Literal["pageout", "cold"] = "pageout"
    """DAMOS action: pageout reclaims at once, cold only moves pages to the inactive list."""
    min_age: Annotated[Duration, within("1s", "720h", _AGELESS)] | None = None
    """How long a region must go without access before it counts as cold; whole aggregations,
    rounded up. 24s when absent, and with `tuning: Auto` 24s to 1h, chosen on each node."""
    quota: Quota | None = None
    """Upper bound per lane; none by default. Time quotas are not offered: DAMON measures them
    by a guess that starves small lanes."""


class Watermarks(Model):
    """The ladder: below which share of available memory each priority's lane works."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "!has(self.floorPermille) || "
                    "self.floorPermille <= self.ceilingPermille",
                    "message": "floorPermille must not be above ceilingPermille",
                },
            ]
        }
    )

    metric: Literal["AvailableMemory", "FreeMemory"] = "AvailableMemory"
    """AvailableMemory counts page cache that can be dropped as available; FreeMemory does not."""
    interval: Annotated[
        Duration,
        within("1s", "60s", "more often costs CPU, less often comes too late for pressure"),
    ] = "5s"
    """How often the kernel compares, and how often the agent looks at available memory."""
    floor_permille: Permille | None = None
    """Mark of the most important pod that is not protected, in per mille of capacity.

    When absent the agent puts it above the kernel's zone watermarks and the kubelet's eviction
    threshold."""
    ceiling_permille: Permille = 600
    """Mark of the least important pod, in per mille of capacity."""
    scaling: Literal["Relative", "Absolute"] = "Relative"
    """Relative: the least important pod of the node gets the ceiling; Absolute: priority 1 does."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.floor_permille is not None and self.floor_permille > self.ceiling_permille:
            raise ValueError("floorPermille must not be above ceilingPermille")
        return self


_SPARED: Final = "pressure is an average over 10s, and what hurt yesterday says little of today"


class Brake(Model):
    """When a pod is spared: DAMON does not see the faults it causes, the agent looks for them.

    Only in mode Enforce. A spared pod is watched and not reclaimed; it is forgiven when the time is
    over and it is well below both limits.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "duration(self.spareFor) <= duration(self.spareForAtMost)",
                    "message": "spareFor must not be above spareForAtMost",
                },
            ]
        }
    )

    enabled: bool = True
    """Whether pods are ever spared."""
    pressure_permille: Permille = 10
    """Share of the last 10 seconds in which some process of the pod waited for memory (`some
    avg10` of its memory.pressure); above it the pod is spared. 1000: never for that."""
    refaults_permille: Permille = 10
    """Share of its anonymous pages that came back from swap within a minute; above it the pod is
    spared."""
    spare_for: Annotated[Duration, within("10s", "24h", _SPARED)] = "1m"
    """How long a pod is spared the first time; each repetition doubles it."""
    spare_for_at_most: Annotated[Duration, within("10s", "24h", _SPARED)] = "16m"
    """Longest time a pod is spared; a pod that is not spared for so long counts one repetition
    less."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        spare_us = quantities.microseconds(self.spare_for)
        at_most_us = quantities.microseconds(self.spare_for_at_most)
        if spare_us > at_most_us:
            raise ValueError("spareFor must not be above spareForAtMost")
        return self


_SOME_BYTES: Final = matching(
    "[1-9][0-9]{0,2}[MG]i?|[1-9][0-9]{0,2}Ti?", "is 1M to 999Ti: less is what one pod gives up"
)


class Safety(Model):
    """When to stop by itself. Only `maxPlanAge` has effect in mode Observe."""

    max_plan_age: Annotated[
        Duration,
        within(
            "2m",
            "720h",
            "an agent may need 90s to notice that a watch has gone silent, and a plan of last "
            "month says nothing of the pods of today",
        ),
    ] = "1h"
    """An agent that has not reached the API server for this long switches its schemes off."""
    max_swap_used_permille: Permille | None = None
    """Share of the node's swap that may be used, whoever uses it; above it every lane of the node
    only watches, until it is below nine tenths of that. No limit when absent."""
    max_protected_pressure_permille: Permille | None = None
    """Share of the last 10 seconds in which some process of a protected pod waited for memory
    (`some avg10` of its memory.pressure); while one is above it every lane of the node only
    watches, until all are below half of that. No limit when absent."""
    max_reclaim_per_minute: Annotated[Size, _SOME_BYTES] | None = None
    """How much the pods that may be reclaimed give up to swap within a minute, all together and
    whoever takes it; above it every lane of the node only watches for a minute at least. It is
    measured once a minute, so it bounds what goes on and not a single minute. No limit when
    absent."""


class Settings(Model):
    """The part of a tuning that goes to the agents as it is."""

    protect_from: Annotated[int, Field(ge=2, le=100)] = 80
    """Pods of this priority and above are watched, never reclaimed."""
    eager_up_to: Annotated[int, Field(ge=0, le=99)] = 20
    """Pods of this priority and below are reclaimed whenever their memory is cold; 0: none."""
    tuning: Literal["Fixed", "Auto"] = "Auto"
    """Auto: in mode Enforce agents choose what this tuning does not state. That is
    `reclaim.minAge`, by priority: longer while more of what was swapped out comes back than the
    priority should bear, and shorter again later. Fixed: what is not stated has its default."""
    monitoring: Annotated[Monitoring, Field(default_factory=Monitoring)]
    """How closely DAMON looks."""
    reclaim: Annotated[Reclaim, Field(default_factory=Reclaim)]
    """What happens to cold memory."""
    watermarks: Annotated[Watermarks, Field(default_factory=Watermarks)]
    """The ladder."""
    brake: Annotated[Brake, Field(default_factory=Brake)]
    """When a pod is spared."""
    safety: Annotated[Safety, Field(default_factory=Safety)]
    """When to stop by itself."""

    @model_validator(mode="after")
    def _cross(self) -> Self:
        if self.eager_up_to >= self.protect_from:
            raise ValueError("eagerUpTo must be below protectFrom")
        quota = self.reclaim.quota
        if (
            quota is not None
            and quota.window is not None
            and quantities.microseconds(quota.window)
            < quantities.microseconds(self.monitoring.aggregation_interval)
        ):
            raise ValueError(
                "reclaim.quota.window must not be below monitoring.aggregationInterval"
            )
        return self


SETTINGS_RULES: Final[list[JsonValue]] = [
    {
        "rule": "self.eagerUpTo < self.protectFrom",
        "message": "eagerUpTo must be below protectFrom",
    },
    {
        "rule": "!has(self.reclaim.quota) || !has(self.reclaim.quota.window) || "
        "duration(self.reclaim.quota.window) >= duration(self.monitoring.aggregationInterval)",
        "message": "reclaim.quota.window must not be below monitoring.aggregationInterval",
    },
]


class Policy(Settings):
    """What decides about the plans of the nodes that a tuning governs."""

    mode: Mode = "Observe"
    """Observe measures and never reclaims, Enforce reclaims, Off leaves the nodes alone."""
    priorities: Annotated[Priorities, Field(default_factory=Priorities)]
    """How pods get their priority."""

    def settings(self) -> Settings:
        """Return the part that goes to the agents."""
        return Settings(**{name: getattr(self, name) for name in Settings.model_fields})

    def revision(self) -> str:
        """Return a short digest, the same for the same policy.

        Defaults are left out, so that a later version with more fields finds the same one.
        """
        stated = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        text = json.dumps(_without_empty(stated), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]


def _without_empty(value: JsonValue) -> JsonValue:
    if not isinstance(value, dict):
        return value
    kept = {name: _without_empty(inner) for name, inner in value.items()}
    return {name: inner for name, inner in kept.items() if inner != {}}


class DamonTuningSpec(Policy):
    """What a cluster administrator writes; every field is optional."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-validations": SETTINGS_RULES})

    node_selector: Labels
    """Labels of the nodes this tuning is for; empty: all nodes."""
    precedence: Annotated[int, Field(ge=-1000, le=1000)] = 0
    """Of several tunings that match a node the highest precedence governs it, then the older one,
    then the name; the others report Overridden."""
    rollout: Rollout | None = None
    """How a changed tuning reaches its nodes; absent: all of them at once."""

    def policy(self) -> Policy:
        """Return the part that decides about plans."""
        return Policy(**{name: getattr(self, name) for name in Policy.model_fields})


class DamonTuningStatus(Model):
    """What became of it."""

    observed_generation: int = 0
    """The metadata.generation this status was computed from."""
    conditions: Conditions = ()
    """Ready, Degraded, Overridden, Valid; RolledOut where spec.rollout is set."""
    nodes: Annotated[NodeCounts, Field(default_factory=NodeCounts)]
    """How many nodes are in which state."""
    pods: Annotated[PodCounts, Field(default_factory=PodCounts)]
    """How pods got their priority."""
    totals: Annotated[Totals, Field(default_factory=Totals)]
    """What the agents of the governed nodes say of their pods, added up; changes of these figures
    alone are written at most once a minute."""
    reasons: Annotated[tuple[ReasonCount, ...], Field(default=(), max_length=5)]
    """The most frequent reasons for a node not to be applied, or to have no plan."""
    rollout: RolloutStatus | None = None
    """How far the newest spec has come, where spec.rollout is set."""
    standing: Annotated[
        Policy | dict[str, JsonValue] | None,
        Field(union_mode="left_to_right"),
        WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
    ] = None
    """What was in force on all nodes last, of what decides about plans: nodes that wait for a
    changed tuning go on with it."""
