"""Every name that crosses a process boundary, each written once."""

from typing import Final

GROUP: Final = "damon-operator.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

TUNING_KIND: Final = "DamonTuning"
TUNING_PLURAL: Final = "damontunings"
NODE_KIND: Final = "DamonNode"
NODE_PLURAL: Final = "damonnodes"

PRIORITY_ANNOTATION: Final = f"{GROUP}/priority"
"""On a pod: its priority, 1..100 in ASCII digits; higher = more important = reclaimed later. On a
Namespace: that of its pods for which neither their own annotation nor a rule decides."""

EXEMPT_ANNOTATION: Final = f"{GROUP}/exempt"
"""On a pod: "true" takes it out of every plan, where its DamonTuning lets owners do so."""

EXEMPT_PODS_ANNOTATION: Final = f"{GROUP}/exempt-pods"
"""On a DamonNode: which of its node's pods are in no plan, by reason, for people. No part of the
plan: agents do not look at it, so a pod that comes or goes there costs them nothing."""

REVISION_LABEL: Final = f"{GROUP}/revision"
"""On a DamonNode: digest of the policy that its plan was made by, where its DamonTuning has a
rollout. No part of the plan: an agent has nothing to do for it."""

PART_OF_LABEL: Final = "app.kubernetes.io/part-of"
PART_OF: Final = "damon-operator"
"""What our objects are labelled with, for people; nothing is decided by it."""

AGENT_LEASE_LABELS: Final = {PART_OF_LABEL: PART_OF, "app.kubernetes.io/component": "agent"}
"""Of the Leases that agents renew; the operator lists them by these."""

OPERATOR_FIELD_MANAGER: Final = "damon-operator"
AGENT_FIELD_MANAGER: Final = "damon-agent"


def agent_lease(node: str) -> str:
    """Return the name of the Lease that the agent of a node renews (docs/adr/0020)."""
    return f"damon-agent-{node}"
