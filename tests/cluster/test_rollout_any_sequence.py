"""Rollouts, whatever happens in which order: real `World`, no server, no clock."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damon_operator.facts import ReportedCondition, Written, digest, read_tuning, spec_digest
from damon_operator.facts import read_node as node_fact
from damon_operator.planner.plan import wire
from damon_operator.planner.status import tuning_status
from damon_operator.reconcile.world import Apply, World

NAMES = tuple(f"n{number}" for number in range(4))
NOW = "2026-01-01T00:00:00Z"
APPLIED = (
    ReportedCondition("Applied", "True", "Applied"),
    ReportedCondition("Ready", "True", "Applied"),
)
BUSY = (
    ReportedCondition("Applied", "False", "DamonBusy"),
    ReportedCondition("Degraded", "True", "DamonBusy"),
)

STOPPED = (
    ReportedCondition("Applied", "False", "KdamondStopped"),
    ReportedCondition("Degraded", "True", "KdamondStopped"),
)
"""May come of the policy, unlike DamonBusy."""


def tuning_of(spec, status=None):
    metadata = {"name": "all", "uid": "u", "resourceVersion": "1", "generation": 1}
    return read_tuning({"metadata": metadata, "spec": spec, "status": status or {}})


@dataclass
class Cluster:
    """The objects, which outlive the operator, and the operator, which is begun anew at will."""

    most: int
    spec: dict = field(default_factory=lambda: {"mode": "Observe"})
    status: dict = field(default_factory=dict)
    stored: dict[str, Written] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    """Nodes whose agents cannot carry out any plan."""
    says: tuple[ReportedCondition, ...] = BUSY
    """What such an agent says."""
    now_s: float = 0.0
    took: list[str] = field(default_factory=list)
    """Nodes in the order in which they got the newest revision."""
    done: set[str] = field(default_factory=set)
    """Nodes whose agents have carried out the newest revision."""

    def __post_init__(self):
        self.spec = {**self.spec, "rollout": {"maxNodes": self.most, "minReady": "3s"}}
        self.restart()
        self.settle()
        self.took.clear()

    @property
    def revision(self) -> str:
        return tuning_of(self.spec).revision

    def restart(self):
        """Begin with what the API server has; everything else is forgotten."""
        self.world = World(lambda: None, lambda: self.now_s)
        for name in NAMES:
            raw = {"metadata": {"name": name, "uid": f"uid-{name}"}}
            self.world.node_changed(None, node_fact(raw))
        for written in self.stored.values():
            self.world.written_changed(None, written)
        self.tuning = tuning_of(self.spec, self.status)
        self.world.tuning_changed(None, self.tuning)
        self.world.everything()
        self.plan()

    def plan(self):
        """One round of the operator."""
        for name in self.world.take_dirty():
            self.world.replan(name)
        for name in self.world.take_unchecked():
            self.world.recount(name)
        self.world.advance()

    def edit(self, **changes):
        self.spec = {**self.spec, **changes}
        self.took.clear()
        self.done = {n for n, w in self.stored.items() if w.revision == self.revision}
        self._tuned()

    def report(self):
        """Let the operator write the tuning's status."""
        status = tuning_status(self.tuning, self.world.tally("all"), now=NOW)
        self.status = status.model_dump(mode="json", by_alias=True)
        self._tuned()

    def write(self, name):
        """Let what the operator wants of a node reach the API server."""
        action = self.world.action(name)
        if not isinstance(action, Apply):
            return
        before = self.stored.get(name)
        had = before is not None and before.revision == self.revision
        assert action.revision == self.revision or not had, "nothing is taken back"
        if action.revision == self.revision and not had:
            self.took.append(name)
        self._store(
            name,
            hash=action.spec.hash,
            digest=spec_digest(wire(action.spec)),
            exempt=digest(action.exempt),
            revision=action.revision,
        )

    def carry_out(self, name):
        """Let the agent of a node take its plan, and say what came of it."""
        if name in self.stored:
            bad = name in self.bad
            if not bad and self.stored[name].revision == self.revision:
                self.done.add(name)
            hashed = self.stored[name].hash
            self._store(name, observed_hash=hashed, conditions=self.says if bad else APPLIED)

    def wait(self):
        """Let time pass."""
        self.now_s += 2.0
        self.world.ripen()

    def churn(self, name):
        """Let the agent be behind for a moment, as when a pod has come."""
        if name in self.stored:
            self._store(name, observed_hash="older")

    def settle(self):
        """Let everything happen that is to happen."""
        for _ in range(4 * len(NAMES)):
            self.wait()
            self.plan()
            for name in NAMES:
                self.write(name)
                self.carry_out(name)
            self.plan()
            self.report()

    def check(self):
        """Look that no more nodes are taking the newest revision than may."""
        if (self.status.get("standing") or {}).get("mode") != self.spec["mode"]:
            taking = [n for n, w in self.stored.items() if w.revision == self.revision]
            assert len(set(taking) - self.done) <= self.most

    def _tuned(self):
        old, self.tuning = self.tuning, tuning_of(self.spec, self.status)
        self.world.tuning_changed(old, self.tuning)

    def _store(self, name, **changes):
        old = self.stored.get(name)
        base = old or Written(name, f"dn-{name}", "", "", f"uid-{name}", "", ())
        self.stored[name] = base._replace(**changes)
        self.world.written_changed(old, self.stored[name])


FEW = settings(max_examples=20)
"""Each example plans the nodes dozens of times."""
STEPS = st.one_of(
    st.tuples(
        st.sampled_from(["write", "carry_out", "churn"]),
        st.sampled_from(NAMES),
    ),
    st.tuples(st.sampled_from(["plan", "report", "restart", "wait"])),
)


def do(cluster, steps):
    for step, *about in steps:
        getattr(cluster, step)(*about)
        cluster.check()


@given(st.integers(1, 3), st.lists(STEPS, max_size=40))
@FEW
def test_never_more_than_so_many_nodes_at_once_and_all_in_the_end(most, steps):
    cluster = Cluster(most)
    cluster.edit(mode="Enforce")
    do(cluster, steps)
    for _ in range(4 * len(NAMES)):
        do(cluster, [("wait",)])
        for name in NAMES:
            do(cluster, [("plan",), ("write", name), ("carry_out", name), ("report",)])
    assert {written.revision for written in cluster.stored.values()} == {cluster.revision}
    assert cluster.status["standing"]["mode"] == "Enforce"


@given(st.lists(STEPS, max_size=40))
@FEW
def test_the_order_is_the_same_however_often_the_operator_begins_anew(steps):
    orders = []
    for between in ([], steps):
        cluster = Cluster(1)
        cluster.edit(mode="Enforce")
        do(cluster, between)
        cluster.settle()
        orders.append(cluster.took)
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == list(NAMES)


@given(st.integers(1, 3), st.lists(STEPS, max_size=40))
@FEW
def test_a_node_that_fails_with_it_halts_the_others_until_it_is_well(most, steps):
    cluster = Cluster(most)
    cluster.edit(mode="Enforce")
    do(cluster, steps)
    failed = [n for n, w in cluster.stored.items() if w.revision == cluster.revision]
    cluster.bad = set(failed[:1])
    for each in failed[:1]:
        cluster.carry_out(each)
    allowed = {*failed, *let(cluster)}
    cluster.settle()
    after = {n for n, w in cluster.stored.items() if w.revision == cluster.revision}
    if failed and len(allowed) < len(NAMES):
        assert after <= allowed
        conditions = {c["type"]: c for c in cluster.status["conditions"]}
        assert conditions["RolledOut"]["reason"] == "RolloutHalted"
        assert failed[0] in conditions["RolledOut"]["message"]
    cluster.bad.clear()
    cluster.settle()
    assert {written.revision for written in cluster.stored.values()} == {cluster.revision}


@given(st.lists(STEPS, max_size=40), st.booleans())
@FEW
def test_off_goes_everywhere_at_once(steps, paused):
    cluster = Cluster(1)
    cluster.edit(mode="Enforce")
    do(cluster, steps)
    cluster.bad = {NAMES[0]}
    cluster.edit(mode="Off", rollout={"maxNodes": 1, "paused": paused})
    cluster.plan()
    for name in NAMES:
        cluster.write(name)
    assert {written.revision for written in cluster.stored.values()} == {cluster.revision}


@given(st.integers(1, 2), st.lists(STEPS, max_size=40), st.lists(STEPS, max_size=40))
@FEW
def test_a_tuning_changed_again_begins_anew_from_what_stood_last(most, first, second):
    cluster = Cluster(most)
    cluster.edit(mode="Enforce", protectFrom=70)
    do(cluster, first)
    stood = cluster.status["standing"]
    cluster.edit(protectFrom=60)
    cluster.plan()
    do(cluster, second)
    for name in NAMES:
        cluster.write(name)
    revisions = {tuning_of(cluster.spec).revision}
    stands = tuning_of({**cluster.spec, **{k: stood[k] for k in ("mode", "protectFrom")}})
    now = {written.revision for written in cluster.stored.values()}
    assert now <= revisions | {stands.revision, tuning_of(cluster.spec, cluster.status).revision}
    cluster.settle()
    assert {written.revision for written in cluster.stored.values()} == revisions


@pytest.mark.parametrize("halfway", range(1, len(NAMES)))
def test_an_operator_that_begins_anew_takes_nothing_back(halfway):
    cluster = Cluster(1)
    cluster.edit(mode="Enforce")
    while len(cluster.done) < halfway:
        cluster.wait()
        cluster.plan()
        for name in NAMES:
            cluster.write(name)
            cluster.carry_out(name)
    cluster.restart()
    took = list(cluster.took)
    for name in NAMES:
        cluster.write(name)
    assert cluster.took == took
    cluster.settle()
    assert sorted(cluster.took) == list(NAMES)


def test_a_node_has_to_be_ready_with_it_for_a_while():
    cluster = Cluster(1)
    cluster.edit(mode="Enforce")
    for _ in range(3):
        for name in NAMES:
            do(cluster, [("plan",), ("write", name), ("carry_out", name), ("plan",)])
    assert len(cluster.took) == 1
    do(cluster, [("wait",), ("plan",)])
    assert len(cluster.world._let) == 0
    do(cluster, [("wait",), ("plan",)])
    assert len(cluster.world._let) == 1


def rolled_out(cluster):
    """Return what the tuning's status says of its rollout."""
    (said,) = (c for c in cluster.status["conditions"] if c["type"] == "RolledOut")
    return said


def let(cluster):
    """Return the nodes that may have the newest revision, or are planned with it."""
    plans = cluster.world.plans.items()
    return {*cluster.world._let, *(n for n, o in plans if o.revision == cluster.revision)}


def first_with_it(cluster):
    """Let the first node take a change, and return its name."""
    cluster.edit(mode="Enforce")
    for _ in range(2):
        cluster.plan()
        for name in NAMES:
            cluster.write(name)
    (first,) = cluster.took
    return first


def test_a_node_that_flaps_lets_nobody_follow():
    cluster = Cluster(1)
    first = first_with_it(cluster)
    for well in (True, False) * 5:
        cluster.bad = set() if well else {first}
        cluster.carry_out(first)
        do(cluster, [("plan",), ("wait",), ("plan",)])
    assert let(cluster) == {first}
    cluster.bad = set()
    cluster.settle()
    assert sorted(cluster.took) == list(NAMES)


def test_a_node_that_takes_the_cure_is_not_said_to_fail_with_it():
    cluster = Cluster(1)
    first = first_with_it(cluster)
    cluster.bad, cluster.says = {first}, STOPPED
    do(cluster, [("carry_out", first), ("plan",), ("report",)])
    assert rolled_out(cluster)["reason"] == "RolloutHalted"
    cluster.bad = set()
    cluster.edit(mode="Enforce", protectFrom=70)
    while first not in cluster.took:
        do(cluster, [("wait",), ("plan",), *(("write", name) for name in NAMES)])
        do(cluster, [("plan",), ("report",)])
        assert rolled_out(cluster)["reason"] == "RollingOut", rolled_out(cluster)
        for name in set(NAMES) - {first}:
            cluster.carry_out(name)
    do(cluster, [("carry_out", first), ("plan",), ("report",)])
    assert rolled_out(cluster)["reason"] != "RolloutHalted"


def test_a_node_that_is_made_anew_under_its_name_and_has_no_agent_holds_nobody_up():
    cluster = Cluster(1)
    first = first_with_it(cluster)
    cluster.carry_out(first)
    gone, node = cluster.stored.pop(first), cluster.world.nodes[first]
    cluster.world.written_changed(gone, None)
    cluster.world.node_changed(node, node._replace(uid="another"))
    cluster.plan()
    do(cluster, [("wait",), ("wait",), ("plan",)])
    assert let(cluster) == {first}, "it is waited for"
    cluster.now_s += 400
    do(cluster, [("wait",), ("plan",)])
    assert len(let(cluster)) == 2


def test_a_node_whose_agent_never_takes_the_plan_halts_the_rollout_with_its_reason():
    cluster = Cluster(1)
    first = first_with_it(cluster)
    cluster.now_s += 400
    do(cluster, [("wait",), ("plan",), ("report",)])
    said = rolled_out(cluster)
    assert said["reason"] == "RolloutHalted"
    assert f"node {first}: PlanPending for too long" in said["message"]
    cluster.settle()
    assert sorted(cluster.took) == list(NAMES)


def test_without_a_rollout_nothing_is_labelled_and_all_change_at_once():
    cluster = Cluster(1)
    del cluster.spec["rollout"]
    cluster._tuned()
    cluster.settle()
    cluster.edit(mode="Enforce")
    cluster.plan()
    for name in NAMES:
        cluster.write(name)
        assert cluster.world.action(name) is None
    assert {written.revision for written in cluster.stored.values()} == {""}
    assert {outline.revision for outline in cluster.world.plans.values()} == {""}
