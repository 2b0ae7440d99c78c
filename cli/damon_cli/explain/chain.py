"""The chain of one pod in words: the planner's own steps, one line each. Pure."""

from collections.abc import Sequence
from typing import Final

from damon_cli.explain.explanation import ChainStep
from damon_contract import names, priorities
from damon_contract.v1alpha1.tuning import Priorities
from damon_operator.facts import Pod
from damon_operator.planner import priorities as planner
from damon_operator.planner.priorities import Step

EXEMPTIONS: Final = (
    planner.SYSTEM_CRITICAL,
    planner.OWN,
    planner.EXEMPT_ANNOTATION,
    planner.EXEMPT_NAMESPACES,
    planner.SANDBOX,
)


def chain(pod: Pod, steps: Sequence[Step], how: Priorities) -> tuple[ChainStep, ...]:
    """Return the steps in words; the first with a verdict decides, the second would be next."""
    deciding = [i for i, step in enumerate(steps) if step.verdict is not None]
    return tuple(
        ChainStep(
            name=step.name,
            says=_says(pod, step, how),
            priority=step.verdict.priority if step.verdict else None,
            exempts=step.verdict is not None and step.verdict.priority is None,
            decides=i == deciding[0],
            next=len(deciding) > 1 and i == deciding[1],
        )
        for i, step in enumerate(steps)
    )


def _says(pod: Pod, step: Step, how: Priorities) -> str:
    if step.notes:
        return "; ".join(note.message for note in step.notes)
    if step.name.startswith("rule/"):
        return f"{step.mismatch} does not match" if step.mismatch else _rule_says(step)
    words = _SILENT if step.verdict is None else _SAYS
    return words.get(step.name, "").format(pod=pod, how=how)


_SAYS: Final = {
    planner.SYSTEM_CRITICAL: "its priority value {pod.priority} is the system's",
    planner.OWN: "it belongs to damon-operator itself",
    planner.EXEMPT_ANNOTATION: f'{names.EXEMPT_ANNOTATION}: "true"',
    planner.EXEMPT_NAMESPACES: "the tuning's exemptNamespaces has {pod.namespace}",
    planner.SANDBOX: "RuntimeClass {pod.runtime_class}: its processes run in a sandbox",
    planner.ANNOTATION: f'{names.PRIORITY_ANNOTATION}: "{{pod.asked}}"',
    planner.NAMESPACE: "the annotation of its namespace {pod.namespace}",
    planner.PRIORITY_CLASS: "{pod.priority_class} has the value {pod.priority}",
    planner.DEFAULT: "the tuning's priorities.default is {how.default}",
}
_SILENT: Final = {
    planner.SYSTEM_CRITICAL: f"its priority value is below {priorities.SYSTEM_CRITICAL_VALUE}",
    planner.OWN: "it does not belong to damon-operator",
    planner.EXEMPT_ANNOTATION: f"no annotation {names.EXEMPT_ANNOTATION}",
    planner.EXEMPT_NAMESPACES: "its namespace is not in exemptNamespaces",
    planner.SANDBOX: "it runs in no sandbox",
    planner.ANNOTATION: f"no annotation {names.PRIORITY_ANNOTATION}",
    planner.NAMESPACE: f"its namespace has no annotation {names.PRIORITY_ANNOTATION}",
    planner.PRIORITY_CLASS: "it has no PriorityClass",
}


def _rule_says(step: Step) -> str:
    return "matches, and exempts" if step.verdict and step.verdict.priority is None else "matches"
