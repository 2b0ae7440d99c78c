"""What happens while the API server is away, or forgets."""

import pytest


async def test_pods_deleted_before_a_410_are_gone_from_the_plan_after_one_list(lab):
    await lab.eventually(lambda: lab.api.journal.requests is not None)
    lists = len(lab.api.journal.reads("pods"))
    lab.api.gap(("pods", "n1-low", "default"), ("pods", "n2-high", "default"))
    await lab.planned_as("n1", {"n1-high": 60})
    await lab.planned_as("n2", {"n2-low": 30})
    (stream,) = [s for s in lab.service.streams if s.resource.name == "pods"]
    assert stream.relists == 2
    pages = [r for r in lab.api.journal.reads("pods")[lists:] if "continue" not in r.query]
    assert len(pages) == 1


@pytest.mark.parametrize("as_status", [True, False])
async def test_a_watch_that_expires_on_the_way_is_replaced_too(lab, as_status):
    lab.api.faults.expired_as_status = as_status
    lab.api.expire_watches()
    lab.api.cluster.delete("pods", "n1-low", grace_seconds=0)
    await lab.planned_as("n1", {"n1-high": 60})


async def test_nodes_and_tunings_deleted_in_a_gap_are_gone_as_well(lab):
    lab.create(lab.tuning("other", precedence=5, nodeSelector={"pool": "b"}))
    await lab.eventually(lambda: lab.plan("n2")["tuning"] == "other")
    lab.api.gap(("nodes", "n1", ""), ("damontunings", "other", ""))
    await lab.eventually(lambda: lab.plan("n2")["tuning"] == "all")
    await lab.eventually(lambda: lab.plan("n1") is None)


async def test_after_an_outage_the_operator_catches_up(lab):
    await lab.api.down()
    lab.create(lab.prioritised("born", "41", "n1"))
    lab.api.cluster.delete("pods", "n2-low", grace_seconds=0)
    lab.api.compact()
    stream = lab.service.streams[-1]
    before = stream.heard
    await lab.eventually(lambda: stream.heard > before)
    assert lab.service.stalled() == ()
    assert not lab.task.done()
    await lab.api.up()
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "born": 41})
    await lab.planned_as("n2", {"n2-high": 60})


async def test_an_operator_that_starts_without_an_api_server_waits_for_it(idle):
    idle.create(idle.node("n1"), idle.tuning(), idle.prioritised("p", "30"))
    await idle.api.down()
    idle.start()
    stream = idle.service.streams[-1]
    await idle.eventually(lambda: stream.heard > idle.service.streams[0].heard - 1)
    await idle.api.up()
    await idle.planned_as("n1", {"p": 30})


async def test_nothing_is_written_or_deleted_before_everything_has_been_listed(idle):
    idle.create(idle.node("n1"), idle.tuning(mode="Enforce"), idle.prioritised("p", "30"))
    idle.start()
    await idle.planned_as("n1", {"p": 30})
    await idle.quiet()
    idle.task.cancel()
    idle.api.journal.clear()
    idle.service = type(idle.service)(
        port=idle.cluster,
        tempo=idle.service.tempo,
        instance="second",
        clock=idle.service.clock,
        now=idle.service.now,
        random=idle.service.random,
    )
    idle.api.faults.fail_next(6, 503, method="GET", path="/api/v1/pods")
    idle.start()
    await idle.eventually(lambda: idle.service.world.plans)
    await idle.quiet()
    assert idle.api.journal.writes() == []


async def test_streams_that_stand_still_are_named(lab):
    assert lab.service.stalled() == ()
    lab.service.streams[-1].heard -= 10_000
    assert lab.service.stalled() == ("pods",)


async def test_a_status_that_is_refused_delays_no_other(idle):
    """A webhook that objects to one DamonTuning keeps the operator from that one alone."""
    await idle.replace(retry_first_s=600.0, retry_most_s=600.0)
    idle.api.faults.fail_next(10**6, 403, method="PATCH", path="damontunings/bad/status")
    idle.create(idle.node("n1"), idle.tuning("bad"))
    idle.start()
    await idle.eventually(lambda: idle.api.faults.refusals[0].count < 10**6)
    idle.create(idle.tuning("all", precedence=5))
    await idle.conditioned("all", "Ready", "NoReport")
    idle.change_tuning("all", nodeSelector={"pool": "none"})
    await idle.conditioned("all", "Ready", "NoNodes")
    statuses = idle.service.statuses
    await idle.eventually(lambda: statuses.written >= 2 and statuses.queue.waiting == 1)
    assert statuses.queue.failed == 1
