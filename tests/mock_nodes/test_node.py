import asyncio
import os
import signal
import time

import pytest

from damon_mock.nodes.memory import GIB, Memory
from damon_mock.nodes.node import SimulatedNode
from damon_mock.nodes.runtime import PretendedRuntime


async def test_a_node_registers_with_its_memory(node, api):
    body = api.cluster.get("nodes", "n1")
    capacity = int(body["status"]["capacity"]["memory"].removesuffix("Ki"))
    allocatable = int(body["status"]["allocatable"]["memory"].removesuffix("Ki"))
    assert capacity * 1024 == node.memory.total_bytes
    assert capacity - allocatable == 100 * 1024
    assert body["metadata"]["labels"]["kubernetes.io/hostname"] == "n1"


async def test_proc_looks_like_the_hosts(node):
    assert (node.proc_root / "2/comm").read_text() == "kthreadd\n"
    fields = (node.proc_root / "2/stat").read_text().rpartition(")")[2].split()
    assert int(fields[6]) & 0x00200000, "a kernel thread"
    assert len((node.proc_root / "sys/kernel/random/boot_id").read_text().strip()) == 36


async def test_memory_pressure_is_two_files(node):
    node.set_memory(Memory(total_bytes=10 * GIB).with_available(permille=250))
    rows = (node.proc_root / "meminfo").read_text().splitlines()
    kib = {row.split()[0]: int(row.split()[1]) for row in rows}
    assert kib["MemTotal:"] * 1024 == 10 * GIB
    assert kib["MemAvailable:"] * 4 == kib["MemTotal:"]
    assert kib["MemFree:"] < kib["MemAvailable:"]
    marks = [
        int(line.split()[1])
        for line in (node.proc_root / "zoneinfo").read_text().splitlines()
        if line.split()[0] == "high"
    ]
    assert sum(marks) * 4096 == node.memory.zone_high_bytes


async def test_all_processes_end_with_the_node(api, pod, tmp_path, shown, is_running):
    async with SimulatedNode("n1", tmp_path, api.cluster) as node:
        await node.start_pod(pod("p", "web", "log"))
        await node.fork("p")
        everything = [*node.processes("p"), *node.overhead("p")]
    assert len(everything) == 4
    assert not any(is_running(process) for process in everything)
    assert shown(node).keys() == {1, 2}


async def test_all_processes_end_after_an_error(api, pod, tmp_path, is_running):
    everything = []

    async def fails():
        async with SimulatedNode("n1", tmp_path, api.cluster) as node:
            await node.start_pod(pod("p"))
            everything.extend(node.processes("p"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert not any(is_running(process) for process in everything)


async def test_containers_do_not_outlive_a_killed_runtime(
    api, pod, tmp_path, is_running, eventually
):
    async with SimulatedNode("n1", tmp_path, api.cluster) as node:
        await node.start_pod(pod("p"))
        await node.fork("p")
        everything = [*node.processes("p"), *node.overhead("p")]
        os.kill(node._runtime.pid, signal.SIGKILL)
        await eventually(lambda: not any(is_running(process) for process in everything))


async def test_a_node_that_comes_back_runs_its_pods_again(api, pod, tmp_path):
    async with SimulatedNode("n1", tmp_path / "before", api.cluster) as node:
        await node.start_pod(pod("p"))
        ids = node.containers("p")
    async with SimulatedNode("n1", tmp_path / "after", api.cluster) as node:
        assert node.containers("p").keys() == ids.keys()
        assert node.containers("p") != ids
        assert len(node.processes("p")) == 1


async def test_other_processes_can_be_shown_until_they_end(node, shown):
    process = await asyncio.create_subprocess_exec("sleep", "60")
    node.add_process(process.pid, "/kubepods.slice/agent.scope")
    assert shown(node)[process.pid] == "/kubepods.slice/agent.scope"
    process.kill()
    await process.wait()
    node.refresh()
    assert process.pid not in shown(node)


async def test_an_exited_process_leaves_the_files_without_being_asked(node, pod, shown, eventually):
    await node.start_pod(pod("p"))
    child = await node.fork("p")
    os.kill(child.pid, signal.SIGTERM)
    await eventually(lambda: child.pid not in shown(node))
    assert len(node.processes("p")) == 1


async def test_pretended_nodes_hold_many_pods(api, pod, tmp_path, shown):
    runtime = PretendedRuntime()
    async with SimulatedNode("n1", tmp_path, api.cluster, runtime=runtime) as node:
        for index in range(20):
            await node.start_pod(pod(f"p{index}"))
        child = await node.fork("p7")
        assert child in node.processes("p7")
        pids = {p.pid for i in range(20) for p in node.processes(f"p{i}")}
        assert pids <= shown(node).keys()
        entries = os.listdir("/proc")  # noqa: PTH208 - no blocking file system
        assert not pids & set(map(int, filter(str.isdecimal, entries)))
        assert (node.proc_root / str(child.pid) / "stat").read_text().startswith(f"{child.pid} (")
        await node.delete_pod("p7")
        assert child.pid not in shown(node)


async def test_processes_start_after_the_pod_was_asked_for(node, pod):
    ticks = os.sysconf("SC_CLK_TCK")
    before = int(time.clock_gettime(time.CLOCK_BOOTTIME) * ticks)
    await node.start_pod(pod("p"))
    assert all(process.start_ticks >= before - 1 for process in node.processes("p"))
