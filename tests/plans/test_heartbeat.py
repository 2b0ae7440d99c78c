"""The Lease that says an agent works."""

import pytest

from damon_agent.plans.heartbeat import RENEW_US, Heartbeat, Pulse
from damon_agent.plans.plan import conditions, silenced
from damon_agent.plans.reporter import Reporter
from damon_contract import names
from damon_contract.v1alpha1.model import Condition
from damon_contract.v1alpha1.node import DamonNodeStatus
from damon_contract.watches import Backoff

NODE = "worker-1"
LEASE = names.agent_lease(NODE)
S = 1_000_000


class ManualClock:
    def __init__(self):
        self.us = 1000 * S

    def now_us(self):
        return self.us

    def wall_s(self):
        return 1_800_000_000 + self.us / S


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def works():
    """Whether the agent works; the test decides."""
    return [True]


@pytest.fixture
def heartbeat(client, clock, works):
    return Heartbeat(client, clock, works=lambda: works[0], random=lambda: 0.0)


@pytest.fixture
def paced(client, clock, heartbeat):
    """A reporter whose thread does not run: the test owns the time."""
    backoff = Backoff(lambda: 0.0, first_s=4, most_s=4)
    return Reporter(client, clock, heartbeat=heartbeat, backoff=backoff)


@pytest.fixture
def uid(api, damon_node):
    return api.call(api.server.cluster.create, damon_node())["metadata"]["uid"]


def lease(api):
    return api.call(api.server.cluster.find, "leases.coordination.k8s.io", LEASE)


def status(since="2026-01-01T00:00:00Z", **changes):
    ready = Condition(
        type="Ready", status="True", reason="Applied", message="", last_transition_time=since
    )
    return DamonNodeStatus(conditions=(ready,), **changes)


def test_the_first_beat_makes_a_lease_that_goes_with_the_damon_node(api, heartbeat, uid):
    assert heartbeat.beat(uid)
    found = lease(api)
    assert found["spec"]["holderIdentity"] == NODE
    assert found["spec"]["leaseDurationSeconds"] == 60
    assert found["metadata"]["labels"].items() >= names.AGENT_LEASE_LABELS.items()
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("DamonNode", NODE, uid)
    assert "blockOwnerDeletion" not in owner


def test_the_following_beats_move_its_time_and_nothing_else(api, clock, heartbeat, uid):
    heartbeat.beat(uid)
    before = lease(api)
    clock.us = heartbeat.due_us
    assert heartbeat.beat(uid)
    after = lease(api)
    assert after["spec"].pop("renewTime") > before["spec"].pop("renewTime")
    assert after["spec"] == before["spec"]
    assert [w.method for w in api.server.journal.writes("leases")] == ["PATCH", "POST", "PATCH"]


def test_a_beat_is_due_well_within_the_time_after_which_an_agent_is_silent(clock, heartbeat, uid):
    heartbeat.beat(uid)
    assert heartbeat.due_us == clock.us + RENEW_US
    assert 2 * RENEW_US < 50 * S


def test_a_failed_beat_is_tried_again_soon_and_told_once(api, clock, heartbeat, uid, caplog):
    heartbeat.beat(uid)
    api.call(api.server.faults.fail_next, 3, 503)
    for _ in range(3):
        assert not heartbeat.beat(uid)
        assert clock.us < heartbeat.due_us < clock.us + RENEW_US
    assert heartbeat.beat(uid)
    assert len(caplog.records) == 1


def test_an_agent_that_does_not_work_renews_nothing(api, clock, heartbeat, uid, works):
    works[0] = False
    assert not heartbeat.beat(uid)
    assert heartbeat.due_us > clock.us
    assert lease(api) is None
    works[0] = True
    assert heartbeat.beat(uid)


def test_a_loop_that_stands_still_has_no_pulse(clock):
    ticks = [0]
    pulse = Pulse(lambda: ticks[0], clock, 90 * S)
    clock.us += 89 * S
    assert pulse.beats()
    clock.us += S
    assert not pulse.beats()
    ticks[0] = 1
    assert pulse.beats()


def test_a_status_names_the_lease(api, paced, uid):
    paced.report(uid, status())
    paced.write()
    found = api.call(api.server.cluster.get, "damonnodes", NODE)["status"]
    assert found["lease"] == LEASE


def test_who_is_found_silent_renews_before_it_says_that_it_is_not(api, paced, clock, uid):
    """Where it cannot renew, two would contradict each other for ever."""
    paced.report(uid, status())
    paced.write()
    paced.beat()
    paced.doubt()
    paced.report(uid, status("2026-01-02T00:00:00Z"))
    clock.us += 60 * S
    assert paced.due_us() is None
    api.call(api.server.faults.fail_next, 1, 403, path="/leases")
    paced.beat()
    assert paced.due_us() is None
    paced.beat()
    assert paced.due_us() <= clock.us


def test_a_doubt_during_a_renewal_is_answered_by_one_of_its_own(client, clock, uid):
    """The renewal under way was begun before the doubt, and sets the time of the next one."""
    meanwhile = []
    heartbeat = Heartbeat(client, clock, works=lambda: meanwhile.pop(0)() is None)
    reporter = Reporter(client, clock, heartbeat=heartbeat)
    meanwhile += [lambda: None, reporter.doubt, lambda: None]
    reporter.report(uid, status())
    reporter.beat()
    assert reporter._beat_us() > clock.us
    reporter.beat()
    assert reporter._beat_us() <= clock.us
    assert reporter.due_us() is None
    reporter.beat()
    assert reporter._beat_us() > clock.us
    assert reporter.due_us() is not None


def test_a_doubt_is_answered_at_once(api, reporter_thread, uid, eventually):
    reporter, heartbeat = reporter_thread
    reporter.report(uid, status())
    eventually(lambda: lease(api))
    assert heartbeat.due_us > 1000 * S
    renewals = len(api.server.journal.writes("leases"))
    reporter.doubt()
    eventually(lambda: len(api.server.journal.writes("leases")) > renewals)
    eventually(lambda: not reporter._doubted)


@pytest.fixture
def reporter_thread(client, clock, heartbeat):
    reporter = Reporter(client, clock, heartbeat=heartbeat)
    reporter.start()
    yield reporter, heartbeat
    reporter.stop()


SAID = {
    "type": "Ready",
    "status": "Unknown",
    "reason": "AgentSilent",
    "message": "",
    "lastTransitionTime": "2026-01-02T00:00:00Z",
}


@pytest.mark.usefixtures("uid")
def test_a_watcher_hears_that_its_agent_is_called_silent(api, watcher, eventually, woken):
    doubts = []
    watcher._on_silenced = lambda: doubts.append(1)
    watcher.start()
    eventually(lambda: watcher.latest().plan)
    assert not doubts
    api.call(
        api.server.cluster.patch,
        "damonnodes",
        NODE,
        {"status": {"conditions": [SAID]}},
        subresource="status",
    )
    eventually(lambda: doubts)
    eventually(lambda: watcher.latest().said.conditions)
    assert watcher.latest().said.conditions[0].reason == "AgentSilent"
    assert woken.count > 1


@pytest.mark.parametrize("item", [None, {}, {"status": None}, {"status": {"conditions": [7]}}])
def test_what_cannot_be_read_calls_nobody_silent(item):
    assert not silenced(item)
    assert conditions(item) == ()
