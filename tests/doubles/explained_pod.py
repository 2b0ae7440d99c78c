"""A pod among raw API objects, and what is explained of it."""

import cluster_objects as made

from damon_cli.explain.answer import explain
from damon_cli.explain.explanation import Explanation
from damon_cli.explain.facts import gather

WEB = made.prioritised("web", 60)
PLANNED = made.damon_node("n1", ("report", 40), ("web", 60), ("database", 90))


def explained(
    pod, *, damon_node=None, tunings=None, node="there", labels=None, **spec
) -> Explanation:
    asked = [made.tuning(mode="Enforce", **spec)] if tunings is None else tunings
    place = None
    if node == "there":
        place = made.node()
    elif node is not None:
        place = node
    facts = gather(
        pod,
        made.namespace(**(labels or {})),
        place,
        [made.stored(each) for each in asked],
        damon_node,
    )
    return explain(facts)
