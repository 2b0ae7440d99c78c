"""Who is asked for memory, and for how much: in the order of the ladder, little, and ever less."""

from dataclasses import replace
from itertools import pairwise

from cluster_objects import planned_pod
from hypothesis import given, settings
from hypothesis import strategies as st

from damon_agent import intents
from damon_agent.brake import brake
from damon_agent.brake.brake import Brake, History, Limits, Spared
from damon_agent.facts import MemoryReading, PodMemory
from damon_agent.kernel.availability import Availability
from damon_agent.reclaim.steps import (
    LEAST_BYTES,
    STEP_US,
    file_pages,
    left_behind,
    shared,
    steps,
    wanted,
)
from damon_contract.v1alpha1.node import DamonNodeSpec

MIB = 1 << 20
PAGE = 4096
S = 1_000_000
FRESH = {"pod", *map(str, range(5))}
LIMITS = Limits(10, 10, 60 * S, 960 * S, PAGE)
MEMORY = MemoryReading(
    capacity_bytes=16 << 30,
    free_bytes=1 << 30,
    available_bytes=4 << 30,
    swap_total_bytes=0,
    zone_high_bytes=50 << 20,
    page_bytes=PAGE,
)
PRIORITIES = st.integers(1, 100)


def spec(priorities, **chosen):
    pods = [planned_pod(n, f"{n:064x}", priority=p) for n, p in enumerate(priorities)]
    return DamonNodeSpec.model_validate(
        {
            "tuning": "t",
            "mode": "Enforce",
            "settings": chosen,
            "hash": "h",
            "pods": pods,
        }
    )


def asked(priorities, available_permille, **chosen):
    """Return the priorities that are to give up memory at this much available."""
    plan = spec(priorities, **chosen)
    intent = intents.intent(plan, (), MEMORY)
    seen = Availability(available_permille, available_permille)
    of = {pod.uid: pod.priority for pod in plan.pods}
    return [of[uid] for uid in wanted(intent, plan.pods, seen)]


def cache(size_bytes, refaults=0):
    return PodMemory(
        resident_bytes=size_bytes,
        anonymous_bytes=0,
        refaults=0,
        pressure_bp=0,
        file_bytes=size_bytes,
        file_refaults=refaults,
    )


@given(st.lists(PRIORITIES, min_size=1, max_size=20), st.integers(0, 1000))
def test_the_least_important_are_asked_first_and_protected_pods_never(priorities, permille):
    found = asked(priorities, permille)
    assert found == sorted(found)
    assert max(found, default=0) < 80
    assert [p for p in found if p <= 20] == sorted(p for p in priorities if p <= 20), (
        "eager: always"
    )


@given(st.lists(PRIORITIES, min_size=1, max_size=20), st.integers(0, 1000), st.integers(0, 1000))
def test_the_less_is_available_the_more_pods_are_asked(priorities, one, other):
    less, more = sorted((one, other))
    assert set(asked(priorities, more)) <= set(asked(priorities, less))


@given(st.lists(PRIORITIES, min_size=1, max_size=20), st.integers(0, 1000))
def test_nobody_is_asked_before_a_less_important_pod(priorities, permille):
    found = set(asked(priorities, permille))
    most = max(found, default=0)
    assert {p for p in priorities if p <= most} == found


def test_a_pod_is_asked_at_its_own_mark():
    chosen = {"watermarks": {"floorPermille": 100, "ceilingPermille": 500}}
    assert asked([21, 50], 499, **chosen) == [21]
    assert asked([21, 50], 500, **chosen) == []


@given(st.integers(0, 1 << 40), st.integers(0, 40))
def test_a_step_is_at_most_a_twentieth_halved_by_each_repetition_and_would_be_noticed(
    size_bytes, repeats
):
    held = Brake({"pod": History(0, repeats=repeats)})
    reading = file_pages(cache(size_bytes))
    for step in steps(["pod"], {"pod": reading}, held, LIMITS, fresh=FRESH, all_memory=False):
        assert LEAST_BYTES <= step.size_bytes <= size_bytes / 20 / 2**repeats
        back = file_pages(cache(size_bytes, step.size_bytes // PAGE))
        seen = brake.look(brake.look(held, {"pod": reading}, 1, LIMITS), {"pod": back}, 2, LIMITS)
        assert "pod" in seen.spared


def test_spared_pods_and_those_that_cannot_be_seen_are_not_asked():
    held = Brake({"spared": History(0, spared=Spared(60 * S, "Refaults"))})
    readings = {"spared": cache(100 * MIB), "unseen": None}
    assert (
        steps(["spared", "unseen", "gone"], readings, held, LIMITS, fresh=FRESH, all_memory=False)
        == ()
    )


def test_only_where_lanes_do_not_serve_anonymous_memory_counts_it_too():
    memory = replace(cache(20 * MIB), resident_bytes=100 * MIB)
    (files,) = steps(["pod"], {"pod": memory}, Brake(), LIMITS, fresh=FRESH, all_memory=False)
    (everything,) = steps(["pod"], {"pod": memory}, Brake(), LIMITS, fresh=FRESH, all_memory=True)
    assert (files.size_bytes, everything.size_bytes) == (MIB, 5 * MIB)


def test_a_pod_is_asked_for_the_least_first():
    readings, held = {"pod": cache(400 * MIB)}, Brake()
    (first,) = steps(["pod"], readings, held, LIMITS, fresh=(), all_memory=False)
    (next_one,) = steps(["pod"], readings, held, LIMITS, fresh=["pod"], all_memory=False)
    assert (first.size_bytes, next_one.size_bytes) == (LEAST_BYTES, 20 * MIB)


def test_a_pod_of_which_nothing_is_worth_a_step_is_not_asked_for_the_least_either():
    readings = {"pod": cache(LEAST_BYTES * 20 - 1)}
    assert steps(["pod"], readings, Brake(), LIMITS, fresh=(), all_memory=False) == ()


def test_a_kernel_that_does_not_tell_what_came_back_is_not_asked():
    assert file_pages(replace(cache(MIB), file_refaults=None)) is None
    assert file_pages(None) is None


@settings(max_examples=30)
@given(hot_mib=st.integers(1, 2000), cold_mib=st.integers(0, 2000))
def test_cold_cache_goes_and_little_of_the_hot_part_is_ever_taken(hot_mib, cold_mib):
    """The kernel takes cold pages first, and hot ones come back at once."""
    hot, cold, refaults, held = hot_mib * MIB, cold_mib * MIB, 0, Brake()
    hours = 4
    for now_us in range(0, hours * 3600 * S, STEP_US):
        reading = file_pages(cache(hot + cold, refaults))
        held = brake.look(held, {"pod": reading}, now_us, LIMITS)
        for step in steps(["pod"], {"pod": reading}, held, LIMITS, fresh=FRESH, all_memory=False):
            gone = min(step.size_bytes, cold)
            cold -= gone
            refaults += (step.size_bytes - gone) // PAGE
    assert cold == 0 or (hot + cold) // 20 < LEAST_BYTES
    # Half of what Google's far memory tolerates of a job (0.2 % a minute); or so few pages that the
    # brake calls them harmless, however small the pod.
    assert refaults <= max(hot // PAGE * 0.001, 16) * 60 * hours


def test_order_of_the_pods_asked_is_kept():
    uids = [f"{n}" for n in range(5)]
    found = steps(
        uids, {u: cache(40 * MIB) for u in uids}, Brake(), LIMITS, fresh=FRESH, all_memory=False
    )
    assert all(int(a.uid) < int(b.uid) for a, b in pairwise(found))


def left_of(readings, before, *, spares_cache=True):
    return left_behind(readings, readings, before, spares_cache=spares_cache, page_bytes=PAGE)


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 1 << 30)),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 1 << 30)),
)
def test_what_a_disk_has_left_is_asked_for_when_it_has_lain_there_since_the_look_before(
    now, before
):
    readings = {uid: replace(cache(0), left_bytes=size) for uid, size in now.items()}
    found = {step.uid: step.size_bytes for step in left_of(readings, before)}
    for uid, size_bytes in found.items():
        assert LEAST_BYTES <= size_bytes <= min(now[uid], before[uid])
    steady = {
        uid for uid in now.keys() & before.keys() if min(now[uid], before[uid]) >= LEAST_BYTES
    }
    assert found.keys() == steady


def test_where_page_cache_may_go_instead_so_much_is_not_asked_for_at_once():
    def asked_mib(file_mib, **options):
        readings = {"pod": replace(cache(file_mib * MIB), left_bytes=200 * MIB)}
        found = left_of(readings, {"pod": 200 * MIB}, **options)
        return [step.size_bytes / MIB for step in found]

    assert asked_mib(300) == [200]
    assert asked_mib(300, spares_cache=False) == [25]
    assert asked_mib(15, spares_cache=False) == [200], "the kernel goes by swappiness"


def shares(mapped_mib, *, anon_mib=100, fresh=("pod",)):
    """Return for how many MiB a pod is asked whose processes have mapped so much together."""
    memory = PodMemory((anon_mib + 50) * MIB, anon_mib * MIB, 0, 0, file_bytes=50 * MIB)
    asked = shared(["pod"], {"pod": memory}, {"pod": mapped_mib * MIB}, fresh=fresh)
    return [step.size_bytes / MIB for step in asked]


def test_a_pod_whose_processes_share_their_memory_is_asked_for_it():
    assert shares(3000) == shares(200) == [5]


def test_a_pod_whose_processes_each_have_their_own_is_left_to_the_lanes():
    assert shares(100) == shares(150) == shares(0) == []


def test_the_kernel_first_learns_what_of_the_shared_memory_is_hot():
    assert shares(3000, fresh=()) == [LEAST_BYTES / MIB]


def test_a_little_shared_memory_is_not_asked_for():
    assert shares(3000, anon_mib=4) == []


def test_of_a_pod_that_cannot_be_seen_nothing_is_asked():
    assert shared(["pod"], {"pod": None}, {"pod": MIB}, fresh=()) == ()
