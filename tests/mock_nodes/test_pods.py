import asyncio

import pytest

from damon_mock.nodes.node import SimulatedNode
from damon_mock.nodes.scheduler import Scheduler


async def settled() -> None:
    """Let the kubelet take up what it was told of before."""
    for _ in range(100):
        await asyncio.sleep(0)


def running_ids(body):
    return {
        status["name"]: status["containerID"].removeprefix("containerd://")
        for status in body["status"]["containerStatuses"]
        if "running" in status["state"]
    }


async def test_a_pod_runs_as_real_processes_and_says_so(node, pod, is_running):
    body = await node.start_pod(pod("p", "web", "log"))
    assert body["status"]["phase"] == "Running"
    assert running_ids(body) == node.containers("p")
    assert all(len(identifier) == 64 for identifier in node.containers("p").values())
    processes = node.processes("p")
    assert len(processes) == 2
    assert all(is_running(process) for process in processes)


async def test_the_files_show_every_process_in_the_cgroup_of_its_container(node, pod, shown):
    await node.start_pod(pod("p", "web", "log"))
    for name, identifier in node.containers("p").items():
        (process,) = node.processes("p", container=name)
        cgroup = shown(node)[process.pid]
        assert cgroup.endswith(f"/cri-containerd-{identifier}.scope")
        scope = node.cgroup_root / cgroup.lstrip("/")
        assert (scope / "cgroup.procs").read_text() == f"{process.pid}\n"
        assert (scope / "cgroup.events").read_text() == "populated 1\nfrozen 0\n"
        entry = node.proc_root / str(process.pid)
        assert (entry / "comm").read_text() == f"{name}\n"
        assert (entry / "stat").read_text().startswith(f"{process.pid} ({name}) S ")


async def test_the_sandbox_has_a_cgroup_and_is_never_in_the_status(node, pod, shown):
    await node.start_pod(pod("p"))
    (pause,) = node.overhead("p")
    assert (node.proc_root / str(pause.pid) / "comm").read_text() == "pause\n"
    identifier = shown(node)[pause.pid].rpartition("-")[2].removesuffix(".scope")
    assert len(identifier) == 64
    assert identifier not in node.containers("p").values()


async def test_a_forked_process_appears_in_the_container_it_came_from(node, pod, shown):
    await node.start_pod(pod("p", "web", "log"))
    child = await node.fork("p", "log")
    grown = node.processes("p", container="log")
    assert child in grown
    assert len(grown) == 2
    assert len({shown(node)[process.pid] for process in grown}) == 1
    scope = node.cgroup_root / shown(node)[child.pid].lstrip("/")
    assert {int(pid) for pid in (scope / "cgroup.procs").read_text().split()} == {
        process.pid for process in grown
    }


async def test_a_restarted_container_has_another_id_and_other_processes(node, api, pod, shown):
    await node.start_pod(pod("p", "web", "log"))
    before_ids, before = node.containers("p"), node.processes("p", container="web")
    await node.fork("p", "web")
    new = await node.restart_container("p", "web")
    assert new != before_ids["web"]
    assert node.containers("p") == {"web": new, "log": before_ids["log"]}
    assert running_ids(api.cluster.get("pods", "p")) == node.containers("p")
    assert api.cluster.get("pods", "p")["status"]["containerStatuses"][0]["restartCount"] == 1
    after = node.processes("p", container="web")
    assert len(after) == 1
    assert not set(before) & set(after)
    assert before[0].pid not in shown(node)


async def test_a_deleted_pod_leaves_nothing(node, api, pod, shown, is_running):
    await node.start_pod(pod("p", "web", "log"))
    await node.fork("p")
    everything = [*node.processes("p"), *node.overhead("p")]
    await node.delete_pod("p")
    assert api.cluster.list("pods") == []
    assert not any(is_running(process) for process in everything)
    assert not {process.pid for process in everything} & shown(node).keys()
    assert not (node.cgroup_root / "kubepods.slice").exists()


async def test_a_container_that_crashes_is_restarted_by_itself(node, api, pod, is_running):
    await node.start_pod(pod("p"))
    await node.fork("p")
    before = node.processes("p")
    changes = api.cluster.changes("pods")
    await node.crash("p")
    async for change in changes:
        (status,) = change.after.body["status"]["containerStatuses"]
        if status["restartCount"] == 1:
            break
    await changes.aclose()
    assert running_ids(api.cluster.get("pods", "p")) == node.containers("p")
    assert not any(is_running(process) for process in before), "all of it ended, forks too"
    assert len(node.processes("p")) == 1


async def test_a_pod_that_must_not_restart_fails(node, api, pod):
    await node.start_pod(pod("p", restartPolicy="Never"))
    changes = api.cluster.changes("pods")
    await node.crash("p")
    async for change in changes:
        if change.after.body["status"]["phase"] == "Failed":
            break
    await changes.aclose()
    assert node.processes("p") == []


async def test_pods_others_create_and_delete_start_and_stop_by_themselves(
    node, api, pod, is_running
):
    changes = api.cluster.changes("pods")
    api.cluster.create(pod("mine", nodeName="n1"))
    api.cluster.create(pod("elsewhere", nodeName="n2"))
    async for change in changes:
        if change.after.body["status"]["phase"] == "Running":
            break
    assert change.after.body["metadata"]["name"] == "mine"
    (process,) = node.processes("mine")
    api.cluster.delete("pods", "mine")
    async for change in changes:
        if change.type == "DELETED":
            break
    await changes.aclose()
    assert not is_running(process)
    assert api.cluster.find("pods", "elsewhere")


async def test_pods_deleted_in_a_gap_are_stopped_all_the_same(
    node, api, pod, is_running, eventually
):
    await node.start_pod(pod("p"))
    (process,) = node.processes("p")
    await settled()
    api.gap(("pods", "p", "default"))
    await eventually(lambda: not is_running(process))


async def test_a_pod_replaced_in_a_gap_is_stopped_and_its_namesake_started(
    node, api, pod, is_running, eventually
):
    await node.start_pod(pod("p"))
    (process,) = node.processes("p")
    ids = node.containers("p")
    await settled()
    api.gap(("pods", "p", "default"))
    api.cluster.create(pod("p", nodeName="n1"))
    await eventually(lambda: api.cluster.get("pods", "p")["status"]["phase"] == "Running")
    assert not is_running(process)
    assert node.containers("p") != ids


async def test_a_recreated_pod_of_the_same_name_is_another_one(node, pod):
    await node.start_pod(pod("p"))
    before, ids = node.processes("p"), node.containers("p")
    await node.delete_pod("p")
    await node.start_pod(pod("p"))
    assert not set(before) & set(node.processes("p"))
    assert node.containers("p") != ids


async def test_sidecars_run_and_finished_init_containers_do_not(node, pod):
    init = [{"name": "setup"}, {"name": "proxy", "restartPolicy": "Always"}]
    body = await node.start_pod(pod("p", "web", initContainers=init))
    assert set(node.containers("p")) == {"proxy", "web"}
    setup, proxy = body["status"]["initContainerStatuses"]
    assert setup["state"]["terminated"]["exitCode"] == 0
    assert proxy["containerID"].endswith(node.containers("p")["proxy"])


async def test_cri_o_has_a_monitor_with_the_id_of_its_container(api, pod, shown, tmp_path):
    async with SimulatedNode("n2", tmp_path / "n2", api.cluster, runtime_name="cri-o") as node:
        body = await node.start_pod(pod("p"))
        identifier = node.containers("p")["main"]
        assert body["status"]["containerStatuses"][0]["containerID"] == f"cri-o://{identifier}"
        cgroups = {shown(node)[p.pid].rpartition("/")[2] for p in node.overhead("p")}
        assert f"crio-conmon-{identifier}.scope" in cgroups
        await node.restart_container("p")
        cgroups = {shown(node)[p.pid].rpartition("/")[2] for p in node.overhead("p")}
        assert f"crio-conmon-{node.containers('p')['main']}.scope" in cgroups


@pytest.mark.parametrize(
    ("swap", "resources", "expected"),
    [
        ("UnlimitedSwap", {}, "max"),
        ("NoSwap", {"requests": {"memory": "1Gi"}}, "0"),
        ("LimitedSwap", {}, "0"),
        ("LimitedSwap", {"requests": {"memory": "1Gi"}}, str(512 * 1024**2)),
        (
            "LimitedSwap",
            {
                "limits": {"cpu": "1", "memory": "1Gi"},
                "requests": {"cpu": "1", "memory": "1Gi"},
            },
            "0",
        ),
    ],
)
async def test_swap_is_limited_as_the_kubelet_would(
    api, pod, shown, tmp_path, swap, resources, expected
):
    async with SimulatedNode("n2", tmp_path / "n2", api.cluster, swap=swap) as node:
        body = pod("p")
        body["spec"]["containers"][0]["resources"] = resources
        await node.start_pod(body)
        (process,) = node.processes("p")
        scope = node.cgroup_root / shown(node)[process.pid].lstrip("/")
        assert (scope / "memory.swap.max").read_text().strip() == expected


async def test_the_scheduler_spreads_pods_that_name_no_node(api, pod, tmp_path):
    async with (
        SimulatedNode("n1", tmp_path / "n1", api.cluster) as one,
        SimulatedNode("n2", tmp_path / "n2", api.cluster) as two,
    ):
        await one.start_pod(pod("first"))
        task = asyncio.create_task(Scheduler(api.cluster).run())
        changes = api.cluster.changes("pods", fields="status.phase=Running")
        names = {"second", "third"}
        for name in names:
            api.cluster.create(pod(name))
        running = set()
        async for change in changes:
            running.add(change.after.body["metadata"]["name"])
            if running >= names:
                break
        await changes.aclose()
        assert sorted([len(one.kubelet.pods), len(two.kubelet.pods)]) == [1, 2]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_status_that_the_api_has_lost_is_said_again(api, node, pod, eventually):
    """As after a restore: the store knows the pod from before its containers ran."""
    before = (await node.start_pod(pod("web")))["status"]["containerStatuses"]

    def told():
        return api.cluster.get("pods", "web")["status"].get("containerStatuses")

    for lost in (None, [{**before[0], "containerID": "containerd://" + "0" * 64}]):
        change = {"status": {"phase": "Pending", "containerStatuses": lost}}
        api.cluster.patch("pods", "web", change, subresource="status")
        await eventually(lambda: told() == before)
