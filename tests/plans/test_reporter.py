import pytest

from damon_agent.plans.reporter import Reporter
from damon_agent.plans.store import PlanStore
from damon_agent.plans.watcher import Watcher
from damon_agent.plans.wire import wire
from damon_contract.v1alpha1.model import Condition
from damon_contract.v1alpha1.node import (
    DamonNodeStatus,
    Kernel,
    Lane,
    MemoryReclaim,
    PodReclaim,
    PodStatus,
)
from damon_contract.v1alpha1.totals import Totals
from damon_contract.watches import Backoff

NODE = "worker-1"
S = 1_000_000


class ManualClock:
    def __init__(self):
        self.us = 1000 * S

    def now_us(self):
        return self.us

    def wall_s(self):
        return self.us / S


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def paced(client, clock):
    """A reporter whose thread does not run: the test owns the time."""
    return Reporter(client, clock, backoff=Backoff(lambda: 0.0, first_s=4, most_s=4))


@pytest.fixture
def uid(api, damon_node):
    return api.call(api.server.cluster.create, damon_node())["metadata"]["uid"]


def status(reason="Applied", **changes):
    condition = Condition(
        type="Ready",
        status="True",
        reason=reason,
        message="",
        last_transition_time="2026-01-01T00:00:00Z",
    )
    return DamonNodeStatus(conditions=(condition,), **changes)


def stored(api):
    return api.call(api.server.cluster.get, "damonnodes", NODE).get("status", {})


def test_the_first_status_is_due_at_once(paced, uid):
    paced.report(uid, status())
    assert paced.due_us() == 0


def test_an_unchanged_status_is_never_written_again(paced, uid):
    paced.report(uid, status())
    paced.write()
    paced.report(uid, status())
    assert paced.due_us() is None


def test_a_changed_condition_waits_a_second_other_content_ten(paced, clock, uid):
    paced.report(uid, status())
    paced.write()
    paced.report(uid, status("DamonBusy"))
    assert paced.due_us() == clock.us + S
    paced.report(uid, status(targets=3))
    assert paced.due_us() == clock.us + 10 * S


def test_another_object_of_the_name_gets_the_status_although_it_did_not_change(paced, clock, uid):
    paced.report(uid, status())
    paced.write()
    clock.us += 5 * S
    paced.report("another-uid", status())
    assert paced.due_us() <= clock.us


def test_the_status_stands_in_the_api_and_only_there(api, paced, uid):
    paced.report(uid, status(targets=7, kernel=Kernel(release="6.12", driver="lanes")))
    paced.write()
    assert stored(api)["targets"] == 7
    writes = api.server.journal.writes()
    assert [(w.resource, w.name, w.subresource) for w in writes] == [("damonnodes", NODE, "status")]


def test_what_is_not_there_any_more_goes_away(api, paced, uid):
    paced.report(uid, status(kernel=Kernel(release="6.12", driver="lanes")))
    paced.write()
    paced.report(uid, status())
    paced.write()
    assert "kernel" not in stored(api)


def test_a_failed_write_is_tried_again_after_a_while(api, paced, clock, uid, caplog):
    api.call(api.server.faults.fail_next, 1, 503)
    paced.report(uid, status())
    paced.write()
    assert "503" in caplog.text
    due_us = paced.due_us()
    assert due_us > clock.us
    clock.us = due_us
    paced.write()
    assert stored(api)["conditions"][0]["reason"] == "Applied"
    assert paced.due_us() is None


def test_a_status_without_an_object_is_dropped(paced):
    paced.report("gone", status())
    paced.write()
    assert paced.due_us() is None


def test_the_same_trouble_is_logged_once(api, paced, uid, caplog):
    api.call(api.server.faults.fail_next, 3, 503)
    paced.report(uid, status())
    for _ in range(3):
        paced.write()
    assert len(caplog.records) == 1


def test_the_thread_writes_what_is_due_and_stops(api, reporter, uid, eventually):
    reporter.start()
    reporter.report(uid, status(targets=9))
    eventually(lambda: stored(api).get("targets") == 9)
    reporter.stop()
    assert not reporter._thread.is_alive()


def test_while_the_api_is_down_reporting_does_not_block_and_later_catches_up(
    api, reporter, uid, eventually
):
    reporter.start()
    api.run(api.server.down())
    reporter.report(uid, status(targets=4))
    eventually(lambda: reporter._complaint)
    reporter.report(uid, status("DamonBusy", targets=5))
    api.run(api.server.up())
    eventually(lambda: stored(api).get("targets") == 5)


def test_a_merge_patch_names_every_field():
    assert wire(DamonNodeStatus())["kernel"] is None
    assert set(wire(DamonNodeStatus())) == {
        field.alias for field in DamonNodeStatus.model_fields.values()
    }


def test_what_an_object_below_no_longer_says_does_not_stay(api, paced, clock, uid):
    """A merge patch goes into objects: what it does not name there stays as it was."""
    told = MemoryReclaim(takes="Nothing", message="nobody to ask")
    paced.report(uid, status(memory_reclaim=told, totals=Totals(pods=1, cold="3Mi")))
    paced.write()
    assert stored(api)["memoryReclaim"]["message"] == "nobody to ask"
    clock.us += 600 * S
    paced.report(
        uid, status(memory_reclaim=MemoryReclaim(takes="FilePages"), totals=Totals(pods=1))
    )
    paced.write()
    assert "message" not in stored(api)["memoryReclaim"]
    assert "cold" not in stored(api)["totals"]


def test_counters_beyond_what_the_api_takes_do_not_cost_a_node_its_status(api, paced, uid):
    """The kernel's counters are unsigned, and sz_tried grows by all address space it looks at."""
    lane = Lane(
        kdamond=0,
        priorities=(50,),
        role="Ladder",
        pods=1,
        targets=1,
        state="on",
        active=True,
        tried_bytes=2**64 - 1,
        applied_bytes=2**63,
    )
    reclaim = PodReclaim(file_bytes=2**63)
    pod = PodStatus(uid="p", priority=50, processes=1, refaulted_bytes=2**63 - 1, reclaim=reclaim)
    paced.report(uid, status(lanes=(lane,), pods=(pod,)))
    paced.write()
    assert (paced.written, paced.failed) == (1, 0)
    (told,), (said,) = stored(api)["lanes"], stored(api)["pods"]
    assert told["triedBytes"] == told["appliedBytes"] == 2**63 - 1
    assert said["refaultedBytes"] == said["reclaim"]["fileBytes"] == 2**63 - 1
    assert told["active"] is True


def test_a_status_that_was_restored_from_a_backup_is_written_again(api, client, uid, state_dir):
    reporter = Reporter(client, ManualClock(), backoff=Backoff(lambda: 0.0))
    watcher = Watcher(
        client,
        PlanStore(state_dir),
        ManualClock(),
        on_change=lambda: None,
        on_listed=reporter.compare,
    )
    reporter.report(uid, status(observed_hash="h1"))
    reporter.write()
    watcher._list()
    assert reporter.due_us() is None, "it is what was written"
    before = {"status": {"observedHash": "h0"}}
    api.call(api.server.cluster.patch, "damonnodes", NODE, before, subresource="status")
    watcher._list()
    assert reporter.due_us() is not None
    reporter.write()
    assert stored(api)["observedHash"] == "h1"
    watcher._list()
    assert reporter.due_us() is None
