import pytest
from node_files import OWN_PID

from damon_agent.errors import UnreadableError
from damon_agent.facts import Process
from damon_agent.node.hierarchy import Hierarchy
from damon_agent.node.procfs import Procfs
from damon_agent.node.resolver import Resolver

A = "a1" * 32
B = "b2" * 32
PAUSE = "c3" * 32
S = 1_000_000
UID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"


def planned(*containers):
    return dict.fromkeys(containers, UID)


def pids(resolver, *containers, at=0):
    resolution = resolver.resolve(planned(*containers), at)
    return {c: [p.pid for p in found] for c, found in resolution.processes.items()}


def test_every_process_of_a_planned_container_is_found_with_its_start_time(node, resolver):
    home = node.container(A)
    node.start(11, home, start_ticks=5)
    node.start(10, home, start_ticks=4)
    resolution = resolver.resolve(planned(A), 0)
    assert resolution.processes == {A: (Process(10, 4), Process(11, 5))}


def test_a_process_forked_later_becomes_one_too(node, resolver):
    home = node.container(A)
    node.start(10, home)
    assert pids(resolver, A) == {A: [10]}
    node.start(12, home)
    assert pids(resolver, A, at=5 * S) == {A: [10, 12]}


def test_a_process_forked_long_after_everything_settled_becomes_one_too(node, resolver):
    home = node.container(A)
    node.start(10, home)
    for second in range(0, 200, 5):
        pids(resolver, A, at=second * S)
    node.start(12, home)
    assert pids(resolver, A, at=205 * S) == {A: [10, 12]}


def test_pause_container_monitor_and_unknown_ids_are_never_targets(node, resolver):
    node.start(10, node.container(A))
    node.start(20, node.container(PAUSE))
    node.start(30, node.container(A, name="crio-conmon-{}.scope"))
    node.start(40, node.container(B, name="docker-{}.scope"))
    assert pids(resolver, A) == {A: [10]}


def test_a_monitors_directory_is_not_taken_for_the_containers_even_when_it_is_alone(node, resolver):
    node.start(30, node.container(A, name="crio-conmon-{}.scope"))
    assert pids(resolver, A) == {}


def test_processes_in_cgroups_below_the_containers_own_are_found(node, resolver):
    home = node.container(A)
    (home / "init.scope").mkdir()
    (home / "init.scope" / "cgroup.procs").touch()
    node.start(10, home / "init.scope")
    assert pids(resolver, A) == {A: [10]}


def test_a_cgroup_made_below_the_container_later_is_found(node, resolver):
    home = node.container(A)
    node.start(10, home)
    pids(resolver, A)
    (home / "worker").mkdir()
    (home / "worker" / "cgroup.procs").touch()
    node.start(11, home / "worker")
    assert pids(resolver, A, at=5 * S) == {A: [10, 11]}


def test_a_process_listed_under_two_containers_is_targeted_once(node, resolver):
    home = node.container(A)
    node.start(10, home)
    with (node.container(B) / "cgroup.procs").open("a") as procs:
        procs.write("10\n")
    assert pids(resolver, A, B) == {A: [10]}


def test_a_container_asked_for_twice_is_answered_once(node, resolver):
    node.start(10, node.container(A))
    assert pids(resolver, A, A) == {A: [10]}


def test_the_agent_never_targets_itself(node, resolver):
    home = node.container(A)
    node.start(OWN_PID, home)
    node.start(10, home)
    assert pids(resolver, A) == {A: [10]}


def test_zombies_are_no_members(node, resolver):
    home = node.container(A)
    node.start(10, home)
    node.start(11, home, state="Z")
    assert pids(resolver, A) == {A: [10]}


def test_an_exited_process_is_gone_at_the_next_look(node, resolver):
    home = node.container(A)
    node.start(10, home)
    node.start(11, home)
    pids(resolver, A)
    node.exit(10)
    assert pids(resolver, A, at=S) == {A: [11]}


def test_a_reused_pid_gets_a_new_identity(node, resolver):
    home = node.container(A)
    node.start(10, home, start_ticks=100)
    resolver.resolve(planned(A), 0)
    node.exit(10)
    node.start(10, home, start_ticks=900)
    assert resolver.resolve(planned(A), S).processes == {A: (Process(10, 900),)}


def test_a_pid_reused_by_a_stranger_is_dropped(node, resolver):
    home = node.container(A)
    node.start(10, home, start_ticks=100)
    resolver.resolve(planned(A), 0)
    # The old list still names the pid, the process behind it is somebody else's.
    node.appear(10, f"/kubepods.slice/cri-containerd-{PAUSE}.scope", start_ticks=900)
    assert resolver.resolve(planned(A), 61 * S).processes == {}


def test_a_restarted_container_is_found_by_its_new_id(node, resolver):
    old = node.container(A)
    node.start(10, old)
    pids(resolver, A)
    node.exit(10)
    node.remove(old)
    node.start(20, node.container(B))
    assert pids(resolver, B, at=S) == {B: [20]}


def test_a_vanished_directory_is_dropped_and_found_again_when_it_returns(node, resolver):
    home = node.container(A)
    node.start(10, home)
    pids(resolver, A)
    node.exit(10)
    node.remove(home)
    assert pids(resolver, A, at=5 * S) == {}
    home.mkdir()
    (home / "cgroup.procs").touch()
    node.start(11, home)
    assert pids(resolver, A, at=70 * S) == {A: [11]}


def test_a_container_that_appears_after_it_was_planned_is_found_within_seconds(node, resolver):
    assert pids(resolver, A, at=0) == {}
    node.start(10, node.container(A))
    assert pids(resolver, A, at=2 * S) == {A: [10]}


def test_a_process_moved_into_its_container_after_the_fork_is_found(node, resolver):
    home = node.container(A)
    node.appear(10, "/system.slice/containerd.service")
    pids(resolver, A, at=0)
    node.start(10, home)
    assert pids(resolver, A, at=2 * S) == {A: [10]}


def test_without_a_directory_in_the_tree_the_processes_are_found_by_proc(node):
    resolver = Resolver(Procfs(node.proc), Hierarchy(node.cgroup), own_pid=OWN_PID)
    node.appear(10, f"/../../pod7/{A}")
    assert pids(resolver, A) == {A: [10]}


def test_a_v1_mount_is_read_through_one_of_its_hierarchies(node):
    (node.cgroup / "cgroup.procs").unlink()
    home = node.cgroup / "memory/kubepods/pod7" / A
    home.mkdir(parents=True)
    for directory in (home, node.cgroup / "memory"):
        (directory / "cgroup.procs").touch()
    node.start(10, home)
    resolver = Resolver(Procfs(node.proc), Hierarchy(node.cgroup), own_pid=OWN_PID)
    assert pids(resolver, A) == {A: [10]}


def test_a_container_without_a_swap_allowance_is_told(node):
    resolver = Resolver(Procfs(node.proc), Hierarchy(node.cgroup), own_pid=OWN_PID)
    node.container(A, swap_max="0")
    node.container(B, swap_max="max")
    assert resolver.resolve(planned(A, B), 0).unswappable == {A}


def test_a_swap_allowance_of_the_pod_counts_for_its_containers(node):
    resolver = Resolver(Procfs(node.proc), Hierarchy(node.cgroup), own_pid=OWN_PID)
    (node.container(A).parent / "memory.swap.max").write_text("0\n")
    assert resolver.resolve(planned(A), 0).unswappable == {A}


def test_a_changed_swap_allowance_is_noticed_within_a_minute(node):
    resolver = Resolver(Procfs(node.proc), Hierarchy(node.cgroup), own_pid=OWN_PID)
    home = node.container(A, swap_max="0")
    resolver.resolve(planned(A), 0)
    (home / "memory.swap.max").write_text("max\n")
    assert resolver.resolve(planned(A), 61 * S).unswappable == frozenset()


def test_a_settled_node_is_not_walked_or_scanned_again(node):
    reads: list[int] = []

    class Counting(Procfs):
        def cgroup_text(self, pid: int) -> bytes | None:
            reads.append(pid)
            return super().cgroup_text(pid)

    home = node.container(A)
    node.start(10, home)
    node.appear(11, "/system.slice/cron.service")
    resolver = Resolver(Counting(node.proc), None, own_pid=OWN_PID)
    for second in (0, 5, 10, 15):
        pids(resolver, A, at=second * S)
    reads.clear()
    for second in (20, 25, 30, 35, 40, 45, 50, 55):
        pids(resolver, A, at=second * S)
    assert reads == []


def test_a_proc_that_cannot_be_read_is_an_error(node):
    resolver = Resolver(Procfs(node.proc / "absent"), None, own_pid=OWN_PID)
    with pytest.raises(UnreadableError):
        resolver.resolve(planned(A), 0)


def test_a_watched_process_is_known_without_reading_it_again(node, resolver):
    home = node.container(A)
    node.start(10, home, start_ticks=5)
    first = resolver.resolve(planned(A), 0)
    (node.proc / "10" / "stat").unlink()
    assert resolver.resolve(planned(A), S, watched=[Process(10, 5)]) == first


def test_a_watched_process_that_has_left_its_container_is_dropped(node, resolver):
    home = node.container(A)
    node.start(10, home, start_ticks=5)
    resolver.resolve(planned(A), 0)
    node.exit(10)
    assert resolver.resolve(planned(A), S, watched=[Process(10, 5)]).processes == {}


def exit_first_thread(node, pid, thread):
    """Let the first thread of a process exit and another go on."""
    (node.proc / str(pid) / "task" / str(thread)).mkdir(parents=True)
    stat = node.proc / str(pid) / "stat"
    line = stat.read_text()
    (node.proc / str(pid) / "task" / str(thread) / "stat").write_text(
        line.replace(f"{pid} (", f"{thread} (", 1).replace(" 100 0", " 107 0")
    )
    stat.write_text(line.replace(") S ", ") Z "))


def test_a_watched_process_whose_first_thread_exits_is_known_by_another_within_a_minute(
    node, resolver
):
    node.start(10, node.container(A))
    first = resolver.resolve(planned(A), 0).processes[A]
    assert first == (Process(10, 100),)
    exit_first_thread(node, 10, 17)
    for second in range(5, 65, 5):
        found = resolver.resolve(planned(A), second * S, watched=first).processes[A]
    assert found == (Process(17, 107),)


def test_those_that_are_watched_are_read_again_once_a_minute_and_no_more_often(node):
    reads: list[int] = []

    class Counting(Procfs):
        def process(self, pid: int) -> Process | None:
            reads.append(pid)
            return super().process(pid)

    home = node.container(A)
    node.start(10, home)
    node.start(11, home)
    resolver = Resolver(Counting(node.proc), Hierarchy(node.cgroup), own_pid=OWN_PID)
    watched = resolver.resolve(planned(A), 0).processes[A]
    for second in range(1, 300):
        resolver.resolve(planned(A), second * S, watched=watched)
    assert len(reads) == 2 * 5


def test_a_process_of_a_container_in_a_container_is_targeted_once_when_both_are_planned(
    node, resolver
):
    outer = node.container(A)
    inner = outer / "docker" / B
    inner.mkdir(parents=True)
    for directory in (outer / "docker", inner):
        (directory / "cgroup.procs").touch()
    node.start(10, inner)
    found = pids(resolver, A, B)
    assert [pid for members in found.values() for pid in members] == [10]


def test_a_further_process_moved_into_its_container_after_the_fork_is_found_soon(node, resolver):
    home = node.container(A)
    node.start(10, home)
    pids(resolver, A, at=0)
    pids(resolver, A, at=20 * S)
    node.appear(12, "/system.slice/containerd.service")
    pids(resolver, A, at=25 * S)
    node.start(12, home)
    assert pids(resolver, A, at=30 * S) == {A: [10, 12]}
