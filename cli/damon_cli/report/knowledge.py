"""What a report says in words: its one sentence, and what it cannot know. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from damon_cli.damon_node import DamonNode
from damon_cli.report.account import Account, Age, Sums, is_silent
from damon_cli.sizes import shown_bytes


@dataclass(frozen=True)
class Report:
    """Memory that is cold, against what was requested."""

    taken_at: str
    """RFC 3339."""
    sentence: str
    total: Sums
    namespaces: tuple[Sums, ...]
    workloads: tuple[Sums, ...]
    priorities: tuple[Sums, ...]
    ages: tuple[Age, ...]
    unknown: tuple[str, ...]
    """What it cannot know, a sentence each."""


def report(sums: Account, nodes: Sequence[DamonNode], taken_at: str) -> Report:
    """Return the sums with what is to be said of them."""
    return Report(
        taken_at=taken_at,
        sentence=_sentence(sums, nodes),
        total=sums.total,
        namespaces=sums.namespaces,
        workloads=sums.workloads,
        priorities=sums.priorities,
        ages=sums.ages,
        unknown=tuple(_unknown(sums.total, nodes)),
    )


def _sentence(sums: Account, nodes: Sequence[DamonNode]) -> str:
    total = sums.total
    said = f"Of {shown_bytes(total.requested_bytes)} requested"
    if total.working_set_bytes is not None:
        said += f" {shown_bytes(total.working_set_bytes)} are resident and"
    if total.cold_bytes is None:
        why = "no pod is in a plan" if not total.planned else "no agent has measured any yet"
        if total.planned and all(node.without_damon for node in nodes if node.planned):
            why = "DAMON, which measures it, cannot be used on any of the nodes"
        return f"{said} it is not known how much is cold: {why}."
    ages = _ages(nodes)
    said += f" {shown_bytes(total.cold_bytes)} were not touched for "
    said += ages[0] if len(ages) == 1 else "their node's reclaim.minAge"
    if total.measured < total.pods:
        said += f", as far as it is known: of {total.measured} of {total.pods} pods"
    return f"{said}."


def _ages(nodes: Iterable[DamonNode]) -> list[str]:
    return sorted({node.min_age for node in nodes if node.planned})


def _unknown(total: Sums, nodes: Sequence[DamonNode]) -> Iterable[str]:
    ages = ", ".join(_ages(nodes)) or "24s"
    yield "This is one moment: another hour has another load."
    yield (
        f"Cold is what was not touched for reclaim.minAge ({ages}). Agents report this one age, "
        "and memory that is needed once an hour looks cold. A longer minAge asks for older memory."
    )
    if outside := total.pods - total.planned:
        yield (
            f"{outside} of {total.pods} pods are in no plan (`kubectl damon explain` says why): "
            "what of them is cold is not known, and counts as nothing."
        )
    if missing := total.planned - total.measured:
        yield (
            f"Of {missing} of {total.planned} planned pods nothing is measured yet, or it cannot "
            "be on their nodes (`kubectl damon status`); they count as nothing too."
        )
    if silent := sorted(node.name for node in nodes if is_silent(node)):
        shown = ", ".join(silent[:5]) + (", ..." if len(silent) > 5 else "")
        yield f"Agents of {len(silent)} nodes are silent, and left out: {shown}."
    yield (
        "Cold memory is sampled by region, and a lower bound while a lane reclaims. Mapped files "
        "and shared memory count, of which only a part can be paged out; what pods share counts "
        "in each of them."
    )
    yield "Page cache that no process maps is not seen by DAMON: it is never part of what is cold."
    if total.working_set_bytes is None:
        yield "There is no answer from metrics-server: how much is resident is not known."
    else:
        yield (
            "Resident is the working set of metrics-server, with page cache in use and without "
            "swap; pods that it does not know of count as nothing."
        )
    if total.unlimited:
        yield f"{total.unlimited} of {total.pods} pods have no memory limit."
