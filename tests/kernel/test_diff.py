from hypothesis import given
from hypothesis import strategies as st

from damon_agent.facts import Process
from damon_agent.kernel.slots import Slot, Slots
from damon_agent.kernel.tree import context as tree
from damon_agent.kernel.tree.diff import diff, is_count
from damon_agent.kernel.tree.features import PROBED, Features

names = [feature for feature, _, _ in PROBED]
slot_lists = st.lists(
    st.builds(
        Slot,
        process=st.none() | st.builds(Process, st.integers(3, 9), st.just(1)),
        settled=st.booleans(),
    ),
    min_size=1,
    max_size=4,
)
schemes = st.lists(
    st.builds(
        tree.Scheme,
        action=st.sampled_from(["stat", "pageout"]),
        pattern=st.just(tree.cold(24_000_000, 2_000_000, 4096)),
        watermarks=st.none() | st.builds(tree.Watermarks, st.just(5_000_000), st.integers(0, 9)),
        only_target=st.none() | st.integers(0, 2),
    ),
    min_size=1,
    max_size=2,
)
contexts = st.builds(
    tree.Context,
    sample_us=st.just(220_000),
    aggregation_us=st.just(2_000_000),
    update_us=st.just(2_000_000),
    targets=slot_lists.map(lambda listed: tree.targets(Slots(tuple(listed)))),
    schemes=schemes.map(tuple),
    page_bytes=st.just(4096),
)


def applied(current: dict[str, str], writes) -> dict[str, str]:
    """Return what sysfs reads after the writes: a count destroys what is below its directory."""
    state = dict(current)
    for path, value in writes:
        if is_count(path):
            below = path.rpartition("/")[0] + "/"
            state = {other: held for other, held in state.items() if not other.startswith(below)}
        state[path] = value
    return state


@given(before=contexts, after=contexts, having=st.frozensets(st.sampled_from(names)))
def test_the_writes_lead_to_what_is_desired_and_then_there_are_none(before, after, having):
    features = Features(having)
    start = tree.render(before, features)
    desired = tree.render(after, features)
    end = applied(start, diff(start, desired))
    fresh = {"nr_": "0", "obsolete_target": "N", "target_priority": "0", "max_nr_snapshots": "0"}
    for path, value in desired.items():
        name = path.rpartition("/")[2]
        default = fresh["nr_"] if is_count(path) else fresh.get(name)
        assert end.get(path, default) == value
    assert diff(desired, desired) == ()


@given(before=contexts, after=contexts)
def test_a_count_is_written_only_when_it_differs(before, after):
    start, desired = tree.render(before, Features()), tree.render(after, Features())
    wiped: list[str] = []
    for path, value in diff(start, desired):
        if is_count(path):
            assert start.get(path) != value or path.startswith(tuple(wiped))
            wiped.append(path.rpartition("/")[0] + "/")


@given(before=contexts, after=contexts)
def test_a_region_stands_before_the_pid_of_its_target(before, after):
    writes = [
        path for path, _ in diff(tree.render(before, Features()), tree.render(after, Features()))
    ]
    for position, path in enumerate(writes):
        if path.endswith("/pid_target"):
            target = path.removesuffix("pid_target")
            later = writes[position:]
            assert not [other for other in later if other.startswith(f"{target}regions")]


def test_a_priority_of_the_rfc_kernel_is_reset_by_recreating_the_targets():
    context = tree.Context(
        1, 1, 1, tree.targets(Slots((Slot(Process(7, 1), settled=True),))), (), 4096
    )
    desired = tree.render(context, Features(frozenset({"target_priority"})))
    count, priority = "contexts/0/targets/nr_targets", "contexts/0/targets/0/target_priority"
    writes = diff({**desired, priority: "50"}, desired)
    assert writes[0] == (count, "1")
    assert priority not in [path for path, _ in writes]
    assert "contexts/nr_contexts" not in [path for path, _ in writes]


def test_nr_contexts_is_never_zero():
    context = tree.Context(1, 1, 1, (), (), 4096)
    assert tree.render(context, Features())["contexts/nr_contexts"] == "1"
