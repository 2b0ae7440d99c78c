"""`kubectl damon check` against the embedded API: what it starts, what it says, and that it leaves
nothing behind. Between two looks the test plays kubelet, operator and agent."""

import json
import signal
import time
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cluster_objects as made
import pytest

from damon_cli import options
from damon_cli.check import command
from damon_cli.check.command import CheckOptions
from damon_cli.client import Client
from damon_cli.errors import CliError, Exit, ForbiddenError, UnreachableError

MIB = 2**20
ASKED = CheckOptions(nodes=(), every=False, timeout_s=300.0, image="python:3", keep=False)
PRIORITIES = {"low-0": 1, "high-0": 100}


class World:
    """The cluster that a check runs in; each pause of the check lets it go on."""

    def __init__(self, lab, mode="Enforce", swap_max=None, pace_s=5):
        self.lab, self.mode, self.swap_max, self.pace_s = lab, mode, swap_max, pace_s
        self.now_s = 0.0
        self.second = 0
        self.manifests = {}

    def clock(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds
        where = [name for name in self.namespaces() if name.startswith("damon-check-")]
        pods = self.lab.api.call(self.lab.cluster.list, "pods", namespace=where[0]) if where else []
        for pod in pods:
            self.kubelet(pod)
        if len(pods) == 2:
            self.agent(pods)

    def kubelet(self, pod):
        name, where = pod["metadata"]["name"], pod["metadata"]["namespace"]
        self.manifests[name] = pod
        status = made.pod(name)["status"]
        self.lab.api.call(
            self.lab.cluster.patch,
            "pods",
            name,
            {"status": status},
            namespace=where,
            subresource="status",
        )
        self.second += self.pace_s
        gone = name == "low-0" and self.mode == "Enforce" and self.swap_max != 0
        out = 60 * MIB if gone and self.second > 30 else 0
        said = {
            "second": self.second,
            "coldResidentBytes": 64 * MIB - out,
            "coldSwapBytes": out,
            "hotResidentBytes": 16 * MIB,
            "hotSwapBytes": 0,
            **({} if self.swap_max is None else {"swapMaxBytes": self.swap_max}),
        }
        logs = self.lab.api.server.kubelets.logs
        logs[where, name, "main"] = logs.get((where, name, "main"), "") + json.dumps(said) + "\n"

    def agent(self, pods):
        names = [(pod["metadata"]["name"], PRIORITIES[pod["metadata"]["name"]]) for pod in pods]
        cold = {"coldBytes": 70 * MIB}
        seen = made.damon_node("n1", *names, mode=self.mode, figures={"high-0": cold})
        known = {pod["metadata"]["name"]: pod["metadata"] for pod in pods}
        for each in (*seen["spec"]["pods"], *seen["status"]["pods"]):
            each["uid"] = known[each["name"]]["uid"]
            each["namespace"] = known[each["name"]]["namespace"]
        self.lab.api.call(self.lab.cluster.patch, "dn", "n1", {"spec": seen["spec"]})
        self.lab.set_status("dn", "n1", seen["status"])

    def namespaces(self):
        found = self.lab.api.call(self.lab.cluster.list, "namespaces")
        return [each["metadata"]["name"] for each in found]

    def left_behind(self):
        pods = self.lab.api.call(self.lab.cluster.list, "pods")
        return [name for name in self.namespaces() if name.startswith("damon-check-")] + pods

    def check(self, client, asked=ASKED, form=options.Format.JSON):
        return command.run(client, asked, form, clock=self.clock, sleep=self.sleep)


@pytest.fixture(name="governed")
def governed_fixture(lab):
    lab.create(made.node(), made.damon_node("n1"))
    lab.tuned(mode="Enforce")
    return lab


@pytest.fixture(name="client")
def client_fixture(governed):
    with options.client(str(governed.kubeconfig), "") as found:
        yield found


def outcomes(capsys):
    (node,) = json.loads(capsys.readouterr().out)["nodes"]
    return {phase["name"]: phase["outcome"] for phase in node["phases"]}


def test_cold_memory_goes_hot_memory_stays_and_nothing_is_left(governed, client, capsys):
    world = World(governed)
    assert world.check(client) == Exit.FINE
    assert set(outcomes(capsys).values()) == {"Happened"}
    assert not world.left_behind()


def test_the_document_keeps_its_schema(governed, client, capsys):
    World(governed).check(client)
    told = {**json.loads(capsys.readouterr().out), "namespace": "NAMESPACE"}
    golden = Path(__file__).parent / "goldens" / "check.json"
    if not golden.exists():
        golden.write_text(json.dumps(told, indent=2) + "\n")
        pytest.fail(f"{golden} was not there; it is now")
    assert told == json.loads(golden.read_text())


def test_the_pods_ask_for_their_priority_are_burstable_and_may_run_anywhere(governed, client):
    world = World(governed)
    world.check(client)
    low, high = world.manifests["low-0"], world.manifests["high-0"]
    asked = [each["metadata"]["annotations"]["damon-operator.io/priority"] for each in (low, high)]
    assert asked == ["1", "100"]
    (container,) = low["spec"]["containers"]
    assert (
        container["resources"]["requests"]["memory"] != container["resources"]["limits"]["memory"]
    )
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert low["spec"]["nodeName"] == "n1"
    assert low["spec"]["activeDeadlineSeconds"] > ASKED.timeout_s


def test_in_observe_it_passes_and_says_that_nothing_is_taken(governed, client, capsys):
    governed.tuned(mode="Observe")
    governed.api.call(governed.cluster.patch, "dt", "default", {"spec": {"mode": "Observe"}})
    assert World(governed, mode="Observe").check(client) == Exit.FINE
    assert outcomes(capsys)["given up"] == "NotDue"


def test_without_swap_it_fails_and_says_why_on_the_terminal(governed, client, capsys):
    world = World(governed, swap_max=0)
    assert world.check(client, form=options.Format.TABLE) == Exit.NOT_MET
    said = capsys.readouterr()
    assert "memory.swap.max of the pod is 0" in said.out
    assert "failed: 0 of 1 nodes" in said.out
    assert "waiting: n1: running: the pods have said nothing yet" in said.err
    assert not world.left_behind()


def test_a_failure_leaves_a_sysdump_if_it_is_asked_for(
    governed, client, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    asked = replace(ASKED, sysdump=True)
    assert World(governed).check(client, asked) == Exit.FINE
    assert not list(tmp_path.glob("*.zip"))
    assert World(governed, swap_max=0).check(client, asked) == Exit.NOT_MET
    (dump,) = tmp_path.glob("*.zip")
    assert dump.name in capsys.readouterr().err
    with zipfile.ZipFile(dump) as opened:
        (plan,) = [name for name in opened.namelist() if "n1" in name and "damonnodes" in name]
        assert b"low-0" in opened.read(plan)


def test_a_sysdump_that_cannot_be_written_changes_no_answer(governed, client, capsys, monkeypatch):
    monkeypatch.chdir("/proc")
    world = World(governed, swap_max=0)
    assert world.check(client, replace(ASKED, sysdump=True)) == Exit.NOT_MET
    assert "no sysdump: " in capsys.readouterr().err
    assert not world.left_behind()


def test_what_did_not_happen_in_time_is_a_failure(governed, client, capsys):
    world = World(governed)
    world.agent = lambda _pods: None
    assert world.check(client) == Exit.NOT_MET
    assert outcomes(capsys) == {"running": "Happened", "planned": "Failed"}
    assert world.now_s >= ASKED.timeout_s


def test_kept_pods_stay_and_the_command_to_delete_them_is_told(governed, client, capsys):
    world = World(governed)
    world.check(client, CheckOptions((), every=True, timeout_s=300.0, image="python:3", keep=True))
    where, *pods = world.left_behind()
    assert len(pods) == 2
    assert f"kubectl delete namespace {where}" in capsys.readouterr().err


class Failing(Client):
    """A client whose request of one number fails, before it is sent or after."""

    def __init__(self, connection, number, error, *, sent):
        super().__init__(connection)
        self.left, self.error, self.sent = number, error, sent

    def _open(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0 and not self.sent:
            raise self.error
        answer = super()._open(*args, **kwargs)
        if self.left == 0:
            raise self.error
        return answer


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (ForbiddenError("no"), False),
        (UnreachableError("not sent"), False),
        (UnreachableError("answer lost"), True),
        (KeyboardInterrupt(), False),
        (KeyboardInterrupt(), True),
    ],
)
def test_whichever_request_fails_nothing_is_left_behind(governed, client, error, sent):
    for number in range(1, 200):
        world = World(governed, pace_s=20)
        failing = Failing(client.connection, number, error, sent=sent)
        with suppress(CliError, KeyboardInterrupt):
            world.check(failing)
        failing.close()
        # Nobody can delete after the person has interrupted the deletion as well; it is told then.
        interrupted = isinstance(error, KeyboardInterrupt) and failing.left == 0 and not sent
        assert not world.left_behind() or interrupted, number
        for name in world.left_behind()[:1]:
            governed.api.call(governed.cluster.delete, "namespaces", name)
        if failing.left > 0:
            return
    pytest.fail("a check takes more than 200 requests")


def test_a_deletion_that_fails_is_tried_again(governed, client):
    governed.api.call(governed.api.server.faults.fail_next, 3, 503, method="DELETE")
    world = World(governed)
    assert world.check(client) == Exit.FINE
    assert not world.left_behind()


def test_an_api_server_that_does_not_answer_for_a_while_is_waited_for(governed, client, capsys):
    def stage(world, seconds):
        World.sleep(world, seconds)
        if not failing:
            failing.append(seconds)
            fail_next = governed.api.server.faults.fail_next
            governed.api.call(fail_next, 8, 503, method="GET", path="/pods")

    failing, world = [], World(governed)
    world.sleep = lambda seconds: stage(world, seconds)
    assert world.check(client) == Exit.FINE
    assert capsys.readouterr().err.count("waiting: the API server cannot answer now") == 1


def test_a_namespace_without_its_service_account_is_waited_for(governed, client):
    governed.api.call(
        governed.api.server.faults.fail_next,
        2,
        403,
        method="POST",
        path="/pods",
        message='pods "low-0" is forbidden: error looking up service account x/default',
    )
    assert World(governed).check(client) == Exit.FINE


DAEMON_SETS = made.crd("apps", "daemonsets", "DaemonSet")


def test_the_image_is_the_agents_own(governed, client):
    labels = {
        "app.kubernetes.io/part-of": "damon-operator",
        "app.kubernetes.io/component": "agent",
    }
    governed.create(made.namespace("damon"), DAEMON_SETS)
    governed.create(
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "agent", "namespace": "damon", "labels": labels},
            "spec": {"template": {"spec": {"containers": [{"name": "agent", "image": "a:1"}]}}},
        }
    )
    world = World(governed)
    asked = CheckOptions(("n1",), every=False, timeout_s=300.0, image="", keep=False)
    assert world.check(client, asked) == Exit.FINE
    assert world.manifests["low-0"]["spec"]["containers"][0]["image"] == "a:1"


def test_without_agents_it_asks_for_an_image(governed):
    governed.create(DAEMON_SETS)
    asked = governed.ask("check")
    assert asked.code == 3
    assert "--image names one" in asked.err


def test_a_node_that_does_not_exist_is_no_answer(governed):
    asked = governed.ask("check", "--node", "n9", "--image", "python:3")
    assert asked.code == 3
    assert "n9" in asked.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_check_that_is_ended_by_a_signal_takes_its_namespace_with_it(governed, number):
    world = World(governed)
    with governed.start("check", "--image", "python:3") as running:
        until = time.monotonic() + 60
        while len(world.left_behind()) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        assert world.left_behind()
        running.send_signal(number)
        assert running.wait(timeout=60) == Exit.INTERRUPTED
        assert "Traceback" not in running.stderr.read()
    assert not world.left_behind()
