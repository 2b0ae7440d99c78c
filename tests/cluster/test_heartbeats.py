"""Agents that fall silent, as the operator sees them: by the Leases they stop renewing."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_contract import names
from damon_operator.facts import read_written
from damon_operator.reconcile.heartbeats import Heartbeats

LOOKS = 3


@pytest.mark.parametrize("stated", ["a", "b"])
def test_a_lease_that_nobody_renews_or_that_is_not_there_is_silent_after_some_looks(stated):
    heartbeats = Heartbeats(LOOKS)
    found = [heartbeats.look([stated], {"a": "1"}) for _ in range(LOOKS + 1)]
    assert found == [frozenset()] * LOOKS + [{stated}]
    assert heartbeats.look([stated], {stated: "2"}) == frozenset(), "it speaks again"


@given(st.lists(st.booleans(), max_size=30))
def test_silent_is_who_was_not_renewed_since_so_many_looks(renewals):
    heartbeats, moment, since = Heartbeats(LOOKS), 0, -1
    for renewed in renewals:
        moment += renewed
        since = 0 if renewed or since < 0 else since + 1
        silent = heartbeats.look(["a"], {"a": str(moment)})
        assert silent == ({"a"} if since >= LOOKS else set())


class Agent:
    """Writes what the agent of a node writes."""

    def __init__(self, lab, node="n1"):
        self._cluster = lab.api.cluster
        self.node = node
        self._moments = itertools.count()

    def renew(self):
        spec = {"renewTime": f"2026-01-01T00:00:00.{next(self._moments):06}Z"}
        name = names.agent_lease(self.node)
        if self._cluster.find("leases.coordination.k8s.io", name):
            self._cluster.patch("leases.coordination.k8s.io", name, {"spec": spec})
            return
        self._cluster.create(
            {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {
                    "name": name,
                    "namespace": "default",
                    "labels": names.AGENT_LEASE_LABELS,
                },
                "spec": spec,
            }
        )

    def report(self, *, lease=None):
        """Report; `lease`: the one to state, nothing for none, by default the own."""
        lease = names.agent_lease(self.node) if lease is None else lease
        found = self._cluster.get("damonnodes", self.node)
        conditions = [
            {
                "type": kind,
                "status": "True",
                "reason": reason,
                "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
            for kind, reason in (("Ready", "Applied"), ("Applied", "Applied"))
        ]
        status = {
            "conditions": conditions,
            "observedHash": found["spec"]["hash"],
            "targets": 4,
            **({"lease": lease} if lease else {}),
        }
        self._cluster.patch("damonnodes", self.node, {"status": status}, subresource="status")

    def ready(self):
        found = self._cluster.get("damonnodes", self.node)["status"]["conditions"]
        return {c["type"]: (c["status"], c["reason"]) for c in found}["Ready"]


SILENT = ("Unknown", "AgentSilent")


@pytest.fixture(name="lab")
async def lab_fixture(idle):
    """One node that an agent works for, and an operator that looks at its Lease all the time."""
    idle.service._listener.pause_s = 0.02
    idle.create(idle.node("n1"), idle.tuning(), idle.prioritised("web", "30"))
    idle.start()
    await idle.planned_as("n1", {"web": 30})
    return idle


async def keep_renewing(agent, done):
    while not done():
        agent.renew()
        await asyncio.sleep(0.01)


async def test_an_agent_that_stops_renewing_reads_unknown_until_it_writes_again(lab):
    agent = Agent(lab)
    agent.renew()
    agent.report()
    await lab.eventually(lambda: agent.ready() == SILENT)
    found = lab.api.cluster.get("damonnodes", "n1")["status"]
    assert found["targets"] == 4, "what it said last stays"
    assert {c["type"]: c["status"] for c in found["conditions"]}["Applied"] == "True"
    ready = await lab.conditioned("all", "Ready", "AgentSilent")
    assert ready["status"] == "Unknown"
    assert "AgentSilent on 1 (such as n1)" in ready["message"]
    nodes = lab.api.cluster.get("damontunings", "all")["status"]["nodes"]
    assert (nodes["silent"], nodes["applied"]) == (1, 0)
    agent.report()
    async with asyncio.timeout(60):
        await keep_renewing(agent, lambda: lab.condition("all", "Ready").get("status") == "True")
    assert agent.ready() == ("True", "Applied")


async def test_silence_is_told_once(lab):
    agent = Agent(lab)
    agent.report()
    await lab.eventually(lambda: agent.ready() == SILENT)
    await lab.quiet()
    told = [w for w in lab.api.journal.writes("damonnodes") if w.user_agent == "damon-operator"]
    assert [w.subresource for w in told] == ["", "status"]


async def test_a_living_agent_is_never_silent(lab):
    agent = Agent(lab)
    agent.renew()
    agent.report()
    async with asyncio.timeout(60):
        await keep_renewing(agent, lambda: len(lab.api.journal.reads("leases")) > 20)
    assert agent.ready() == ("True", "Applied")


async def test_an_agent_that_states_no_lease_is_not_judged_and_nothing_is_asked(lab):
    agent = Agent(lab)
    agent.report(lease="")
    await lab.conditioned("all", "Ready", "Applied")
    await asyncio.sleep(0.3)
    assert agent.ready() == ("True", "Applied")
    assert not [r for r in lab.api.journal if r.resource == "leases"]


async def test_while_leases_cannot_be_read_nobody_is_taken_for_silent(lab):
    agent = Agent(lab)
    agent.renew()
    lab.api.faults.fail_next(30, 503, path="/leases")
    agent.report()
    await lab.eventually(lambda: len([r for r in lab.api.journal if r.status == 503]) == 30)
    assert agent.ready() == ("True", "Applied")
    await lab.eventually(lambda: agent.ready() == SILENT)


async def test_one_silence_that_cannot_be_told_costs_itself_and_is_told_later(lab):
    agent = Agent(lab)
    agent.report()
    lab.api.faults.fail_next(1, 403, method="PATCH", path="/damonnodes/n1/status")
    await lab.eventually(lambda: agent.ready() == SILENT)


@pytest.mark.parametrize("odd", [7, "x" * 300, "a\nb", None, names.agent_lease("n2"), ""])
def test_a_lease_that_is_not_the_nodes_own_is_none(odd):
    raw = {"metadata": {"name": "n1", "uid": "u"}, "status": {"lease": odd}}
    assert read_written(raw).lease == ""


async def test_an_agent_that_states_the_lease_of_another_hides_nobodys_silence(lab):
    lab.create(lab.node("n2"), lab.prioritised("other", "30", "n2"))
    await lab.planned_as("n2", {"other": 30})
    agent, odd = Agent(lab), Agent(lab, "n2")
    agent.report()
    odd.report(lease=names.agent_lease("n1"))
    await lab.eventually(lambda: agent.ready() == SILENT)
    assert odd.ready() == ("True", "Applied")
