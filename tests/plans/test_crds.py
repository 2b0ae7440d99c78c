"""The CRD is deleted, with and without word of each object, and comes back."""

import contextlib

import pytest
from cluster_objects import CRDS, planned_node

from damon_agent.clock import SystemClock
from damon_agent.plans.errors import ApiError, RefusedError, UnreachableError
from damon_agent.plans.store import PlanStore
from damon_agent.plans.watcher import Watcher
from damon_contract.watches import Backoff

NODE = "worker-1"
CRD = "damonnodes.damon-operator.io"


class Clock(SystemClock):
    """The machine's clock, and a way to be in a later minute."""

    ahead_us = 0

    def now_us(self):
        return super().now_us() + self.ahead_us

    def later(self):
        """Let time pass: the minute begins with the first list that answers 404."""
        self.ahead_us += 31_000_000
        return True


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watcher(client, state_dir, woken, clock):
    backoff = Backoff(lambda: 0.0, first_s=0.02, most_s=0.1)
    watcher = Watcher(client, PlanStore(state_dir), clock, on_change=woken, backoff=backoff)
    yield watcher
    watcher.stop()


def said(caplog):
    return [record.getMessage() for record in caplog.records]


def test_a_deleted_crd_takes_the_plan_away_and_is_called_by_its_name(
    api, watcher, clock, damon_node, eventually, caplog
):
    caplog.set_level("INFO")
    api.call(api.server.cluster.create, damon_node())
    watcher.start()
    eventually(lambda: watcher.latest().plan)
    eventually(lambda: api.server.journal.watches("damonnodes"))
    api.call(api.server.cluster.delete, "crds", CRD)
    eventually(lambda: "does not serve DamonNodes" in watcher.latest().trouble)
    # At once if the watch had begun, and told of the object's end; else after a minute.
    eventually(lambda: clock.later() and watcher.latest().plan is None)
    api.call(api.server.journal.clear)
    eventually(lambda: len(list(api.server.journal)) > 3)
    api.call(api.server.cluster.install, CRDS / "damonnodes.yaml")
    api.call(api.server.cluster.create, damon_node(hash="back"))
    eventually(lambda: watcher.latest().plan and watcher.latest().plan.spec.hash == "back")
    assert watcher.latest().trouble == ""
    told = said(caplog)
    assert sum("does not serve DamonNodes" in line for line in told) == 1
    assert told[-1] == "DamonNodes are served again"
    assert not any("out of reach" in line for line in told)


def test_a_crd_that_went_while_nobody_watched_is_believed_to_be_gone_after_a_minute(
    api, watcher, clock, damon_node, eventually
):
    """A starting API server answers like that as well, for some seconds."""
    api.call(api.server.cluster.create, damon_node())
    watcher.start()
    eventually(lambda: watcher.latest().plan)
    api.call(api.server.faults.fail_next, 10_000, 404)
    api.call(api.server.drop_watches)
    eventually(lambda: "does not serve DamonNodes" in watcher.latest().trouble)
    assert watcher.latest().plan is not None
    eventually(lambda: clock.later() and watcher.latest().plan is None)


class Answers:
    """An API server that answers as it is told."""

    error = None

    def list(self):
        if self.error is not None:
            raise self.error
        return {"metadata": {"resourceVersion": "1"}, "items": [planned_node()]}


@pytest.mark.parametrize(
    "between", [UnreachableError("no answer"), RefusedError("", 503, ""), None]
)
def test_a_server_that_starts_twice_takes_no_plan_away(state_dir, woken, clock, between):
    """The minute is one of nothing but this answer: what comes between begins it anew."""
    api = Answers()
    watcher = Watcher(api, PlanStore(state_dir), clock, on_change=woken)
    watcher._list()
    missing = RefusedError("", 404, "")

    def lists(error):
        api.error = error
        with contextlib.suppress(ApiError):
            watcher._list()

    lists(missing)
    lists(between)
    clock.ahead_us += 61_000_000
    lists(missing)
    assert watcher.latest().plan is not None
    clock.ahead_us += 61_000_000
    lists(missing)
    assert watcher.latest().plan is None
