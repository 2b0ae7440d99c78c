"""The two custom resources: what `crds/*.yaml` is generated from."""

from typing import Final

from damon_contract import names
from damon_contract.schema import Column, Resource
from damon_contract.v1alpha1.node import DamonNodeSpec, DamonNodeStatus
from damon_contract.v1alpha1.tuning import DamonTuningSpec, DamonTuningStatus


def _condition(kind: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].status'


TUNING: Final = Resource(
    kind=names.TUNING_KIND,
    plural=names.TUNING_PLURAL,
    short_name="dt",
    description="Maps the priority of pods to DAMON settings on the nodes it selects.",
    spec=DamonTuningSpec,
    status=DamonTuningStatus,
    columns=(
        Column("Mode", ".spec.mode"),
        Column("Ready", _condition("Ready")),
        Column("Nodes", ".status.nodes.governed", "integer"),
        Column("Applied", ".status.nodes.applied", "integer"),
        Column("Pods", ".status.totals.pods", "integer"),
        Column("Spared", ".status.totals.spared", "integer"),
        Column("Cold", ".status.totals.cold", description="Not touched for reclaim.minAge"),
        Column("Given Up", ".status.totals.givenUp", description="Out in swap now"),
        Column("Degraded", ".status.nodes.degraded", "integer", priority=1),
        Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
)

NODE: Final = Resource(
    kind=names.NODE_KIND,
    plural=names.NODE_PLURAL,
    short_name="dn",
    description="The plan for one node, and what its agent made of it. Written by the operator "
    "(spec) and the agent (status), not by people.",
    spec=DamonNodeSpec,
    status=DamonNodeStatus,
    columns=(
        Column("Mode", ".spec.mode"),
        Column("Ready", _condition("Ready")),
        Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
        Column("Pods", ".status.totals.pods", "integer"),
        Column("Spared", ".status.totals.spared", "integer"),
        Column("Cold", ".status.totals.cold", description="Not touched for reclaim.minAge"),
        Column("Given Up", ".status.totals.givenUp", description="Out in swap now"),
        Column("Refaulted", ".status.totals.refaulted", priority=1),
        Column("Targets", ".status.targets", "integer", priority=1),
        Column("Driver", ".status.kernel.driver", priority=1),
        Column("Kernel", ".status.kernel.release", priority=1),
        Column("Tuning", ".spec.tuning", priority=1),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
)

ALL: Final = (TUNING, NODE)
