"""Whatever the API server counts and in which order it is told: the plan is what was seen last."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from damon_agent.clock import SystemClock
from damon_agent.plans.plan import Plan, read
from damon_agent.plans.store import PlanStore
from damon_agent.plans.watcher import Watcher

seen = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from(["u1", "u2"]),
        st.integers(1, 3),
        st.sampled_from(["a", "b", "c"]),
        st.integers(1, 3),
    ),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(seen, max_size=12))
def test_the_plan_is_the_object_last_seen_also_after_a_restore(state_dir, damon_node, objects):
    """Neither generation nor resourceVersion tells one spec from another: both may come again."""
    woken = []
    watcher = Watcher(
        None, PlanStore(state_dir), SystemClock(), on_change=lambda: woken.append(watcher.latest())
    )
    for each in objects:
        item = None
        if each is not None:
            uid, generation, content, version = each
            item = damon_node(hash=content)
            item["metadata"] |= {"uid": uid, "generation": generation}
            item["metadata"]["resourceVersion"] = str(version)
        watcher._seen(item)
        expected = None if item is None else read(item)
        assert watcher.latest().plan == expected
        assert woken == [] or isinstance(expected, Plan) or woken[-1].plan is None
        stored = PlanStore(state_dir).load()
        assert (stored and stored[0]) == expected
    assert not woken or woken[-1].plan == watcher.latest().plan
