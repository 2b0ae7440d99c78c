"""A lane waits as long as the most patient of its priorities, and nothing else of it changes."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from damon_agent import intents
from damon_agent.facts import MemoryReading, Process
from damon_agent.kernel.availability import Availability
from damon_agent.kernel.intent import Member
from damon_agent.kernel.lanes.assignment import assign
from damon_agent.kernel.lanes.wanted import wanted
from damon_agent.kernel.schemes import RECLAIM
from damon_agent.kernel.tree.features import Features
from damon_contract.v1alpha1.node import DamonNodeSpec

S = 1_000_000
MEMORY = MemoryReading(64 << 30, 6 << 30, 32 << 30, 8 << 30, 1 << 28, 4096)
SPEC = DamonNodeSpec.model_validate(
    {"tuning": "t", "mode": "Enforce", "hash": "h", "settings": {}, "pods": []}
)


def of(intent, band):
    memory = Availability()
    return wanted(intent, band, memory, Features(), processes=(), is_whole=True)


@given(
    ages=st.dictionaries(st.integers(1, 100), st.integers(24 * S, 3600 * S), min_size=1),
    unknown=st.integers(1, 100),
    kdamonds=st.integers(1, 8),
    swap=st.booleans(),
)
def test_no_priority_is_taken_from_earlier_than_its_own_age(ages, unknown, kdamonds, swap):
    priorities = {*ages, unknown}
    members = tuple(Member(Process(p + 10, 1), f"pod-{p}", p) for p in priorities)
    memory = MEMORY if swap else replace(MEMORY, swap_total_bytes=0)
    intent = intents.intent(SPEC, members, memory, min_ages_us=ages)
    fixed = replace(intent, min_ages_us={})
    for band in assign(intent, dict.fromkeys(range(kdamonds), ())).bands.values():
        chosen, before = of(intent, band), of(fixed, band)
        pattern = [scheme.pattern for scheme in chosen.schemes[RECLAIM:]]
        longest_us = max(ages.get(p, intent.min_age_us) for p in band.priorities)
        for each in pattern:
            assert 0 <= each.age[0] * chosen.aggregation_us - longest_us < chosen.aggregation_us
        assert bool(pattern) is (band.role != "Protected")
        assert replace(chosen, schemes=before.schemes) == before
