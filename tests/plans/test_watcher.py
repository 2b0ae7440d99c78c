from damon_agent.clock import SystemClock
from damon_agent.plans.plan import read, said
from damon_agent.plans.store import PlanStore
from damon_agent.plans.watcher import Watcher
from damon_contract.watches import Backoff

NODE = "worker-1"


def test_the_plan_of_this_node_arrives_and_no_other(
    api, watcher, woken, damon_node, pod, eventually
):
    api.call(api.server.cluster.create, damon_node(name="worker-2", hash="other"))
    api.call(api.server.cluster.create, damon_node(pod(1)))
    watcher.start()
    latest = eventually(lambda: watcher.latest().plan and watcher.latest())
    assert latest.plan.spec.hash == "h1"
    assert woken.count == 1
    selectors = {r.query.get("fieldSelector") for r in api.server.journal}
    assert selectors == {f"metadata.name={NODE}"}


def test_a_changed_plan_arrives_by_the_watch(api, watcher, damon_node, eventually):
    api.call(api.server.cluster.create, damon_node())
    watcher.start()
    eventually(lambda: watcher.latest().plan)
    change = {"spec": {"hash": "h2"}}
    api.call(api.server.cluster.patch, "damonnodes", NODE, change)
    eventually(lambda: watcher.latest().plan.spec.hash == "h2")
    assert len(api.server.journal.reads("damonnodes")) == 1


def test_without_an_object_it_is_known_that_there_is_no_plan(watcher, eventually):
    watcher.start()
    latest = eventually(lambda: watcher.latest().known and watcher.latest())
    assert latest.plan is None


def test_before_the_first_answer_nothing_is_known(watcher):
    assert not watcher.latest().known


def test_a_deleted_object_takes_the_plan_away(api, watcher, state_dir, damon_node, eventually):
    api.call(api.server.cluster.create, damon_node())
    watcher.start()
    eventually(lambda: watcher.latest().plan)
    api.call(api.server.cluster.delete, "damonnodes", NODE)
    eventually(lambda: watcher.latest().plan is None)
    assert PlanStore(state_dir).load() is None


def test_an_object_deleted_while_the_watch_is_broken_is_gone_after_the_relist(
    api, watcher, damon_node, eventually
):
    api.call(api.server.cluster.create, damon_node())
    watcher.start()
    eventually(lambda: watcher.latest().plan)
    api.call(api.server.gap, ("damonnodes", NODE, ""))
    eventually(lambda: watcher.latest().plan is None)
    assert len(api.server.journal.reads("damonnodes")) == 2


def test_an_expired_watch_lists_again(api, watcher, damon_node, eventually):
    api.call(api.server.cluster.create, damon_node())
    watcher.start()
    eventually(lambda: watcher.latest().plan)
    api.call(api.server.expire_watches)
    eventually(lambda: len(api.server.journal.reads("damonnodes")) == 2)
    api.call(api.server.cluster.patch, "damonnodes", NODE, {"spec": {"hash": "h3"}})
    eventually(lambda: watcher.latest().plan.spec.hash == "h3")


def test_the_api_may_go_away_and_come_back(api, watcher, damon_node, eventually):
    api.call(api.server.cluster.create, damon_node())
    watcher.start()
    eventually(lambda: watcher.latest().plan)
    api.run(api.server.down())
    eventually(lambda: watcher.latest().trouble)
    assert watcher.latest().plan is not None
    before_us = watcher.latest().contact_us
    api.call(api.server.cluster.patch, "damonnodes", NODE, {"spec": {"hash": "h4"}})
    api.run(api.server.up())
    eventually(lambda: watcher.latest().plan.spec.hash == "h4")
    eventually(lambda: not watcher.latest().trouble)
    assert watcher.latest().contact_us > before_us


def test_a_refused_request_is_asked_again(api, watcher, damon_node, eventually):
    api.call(api.server.cluster.create, damon_node())
    api.call(api.server.faults.fail_next, 2, 503)
    api.call(api.server.faults.fail_next, 1, 403)
    watcher.start()
    eventually(lambda: watcher.latest().plan)


def test_a_starting_server_that_knows_no_damon_nodes_yet_takes_no_plan_away(
    api, watcher, damon_node, eventually
):
    api.call(api.server.cluster.create, damon_node())
    watcher.start()
    eventually(lambda: watcher.latest().plan)
    api.call(api.server.faults.fail_next, 5, 404)
    api.call(api.server.drop_watches)
    eventually(lambda: len(api.server.journal.reads("damonnodes")) >= 4)
    assert watcher.latest().plan is not None


def test_an_unreadable_object_keeps_the_last_plan_and_says_so(
    api, watcher, woken, damon_node, eventually
):
    api.call(api.server.cluster.create, damon_node())
    watcher.start()
    eventually(lambda: watcher.latest().plan)
    seen = woken.count
    api.call(_grow, api.server.cluster)
    api.call(api.server.cluster.patch, "damonnodes", NODE, {"spec": {"unheardOf": "x"}})
    latest = eventually(lambda: watcher.latest().invalid and watcher.latest())
    assert latest.plan.spec.hash == "h1"
    assert woken.count > seen


def _grow(cluster):
    """Add a field to the CRD, as a later release would."""
    name = "damonnodes.damon-operator.io"
    versions = cluster.get("crds", name)["spec"]["versions"]
    fields = versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    fields["unheardOf"] = {"type": "string"}
    cluster.patch("crds", name, {"spec": {"versions": versions}})


def test_a_restarted_agent_goes_on_with_the_stored_plan_while_the_api_is_down(
    api, client, watcher, state_dir, woken, damon_node, pod, eventually
):
    api.call(api.server.cluster.create, damon_node(pod(1)))
    watcher.start()
    eventually(lambda: watcher.latest().plan)
    watcher.stop()
    api.run(api.server.down())
    again = Watcher(client, PlanStore(state_dir), SystemClock(), on_change=woken)
    assert again.latest().known
    assert again.latest().plan == watcher.latest().plan


def test_a_stored_plan_is_as_old_as_the_last_contact(client, state_dir, woken, damon_node):
    class Later(SystemClock):
        def wall_s(self):
            return super().wall_s() + 600

    PlanStore(state_dir).save(read(damon_node()), SystemClock().wall_s())
    watcher = Watcher(client, PlanStore(state_dir), Later(), on_change=woken)
    age_s = (SystemClock().now_us() - watcher.latest().contact_us) / 1_000_000
    assert 600 <= age_s < 660


def test_a_surprise_in_the_thread_is_survived(
    api, client, state_dir, damon_node, eventually, caplog
):
    api.call(api.server.cluster.create, damon_node())
    calls = []

    def surprised():
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("boom")

    watcher = Watcher(
        client,
        PlanStore(state_dir),
        SystemClock(),
        on_change=surprised,
        backoff=Backoff(lambda: 0.0, first_s=0.01, most_s=0.01),
    )
    watcher.start()
    eventually(lambda: "boom" in caplog.text)
    api.call(api.server.cluster.patch, "damonnodes", NODE, {"spec": {"hash": "h2"}})
    eventually(lambda: watcher.latest().plan.spec.hash == "h2")
    watcher.stop()


def test_it_stops_at_once_although_the_watch_is_silent(api, watcher, damon_node, eventually):
    api.call(api.server.cluster.create, damon_node())
    watcher.start()
    eventually(lambda: api.server.journal.watches("damonnodes"))
    watcher.stop()
    assert not watcher._thread.is_alive()


def test_an_object_made_anew_says_what_its_own_status_says(watcher, damon_node):
    for uid in ("u1", "u2"):
        item = damon_node()
        item["metadata"]["uid"] = uid
        item["status"] = {"observedHash": f"of {uid}"}
        watcher._seen(item)
        assert watcher.latest().said == said(item)
        # The echo of a report is no news.
        watcher._seen(item | {"status": {"observedHash": "reported"}})
        assert watcher.latest().said == said(item)
