"""What a pod has given up and what came back, as its status says: the kernel's own figures."""

A = "a1" * 32
B = "b2" * 32
MIB = 1 << 20


def memory(home, *, out_mib=0, cached_mib=0, refaults=0):
    (home / "memory.stat").write_text(
        f"anon {8 * MIB}\nfile {4 * MIB}\nswapcached {cached_mib * MIB}\n"
        f"workingset_refault_anon {refaults}\n"
    )
    (home / "memory.swap.current").write_text(f"{out_mib * MIB}\n")


def figures(machine, index=0):
    pod = machine.status.pods[index]
    return pod.given_up_bytes, pod.refaulted_bytes


def test_it_is_what_is_out_in_swap_and_not_in_memory_as_well(machine, pod):
    home = machine.container(A)
    machine.start(10, home)
    memory(home, out_mib=9, cached_mib=2, refaults=256)
    machine.plan(pod(1, A))
    machine.run(5)
    assert figures(machine) == (7 * MIB, MIB)
    assert machine.status.pods[0].name == "pod-1"
    assert machine.status.totals.given_up == "7Mi"


def test_observed_and_protected_pods_have_it_too(machine, pod):
    """What the kernel took by itself shows before anything is enforced."""
    for container, pid in ((A, 10), (B, 20)):
        home = machine.container(container)
        machine.start(pid, home)
        memory(home, out_mib=3)
    machine.plan(pod(1, A), pod(2, B, priority=95), mode="Observe")
    machine.run(5)
    assert [figures(machine, n) for n in (0, 1)] == [(3 * MIB, 0)] * 2


def test_it_is_read_again_within_a_minute(machine, pod):
    home = machine.container(A)
    machine.start(10, home)
    memory(home)
    machine.plan(pod(1, A))
    machine.run(5)
    memory(home, out_mib=1, refaults=1)
    machine.run(60)
    assert figures(machine) == (MIB, MIB)


def test_a_restart_of_the_agent_neither_resets_nor_doubles_it(machine, pod):
    home = machine.container(A)
    machine.start(10, home)
    memory(home, out_mib=5, refaults=512)
    machine.plan(pod(1, A))
    machine.run(5)
    before = figures(machine)
    machine.restart()
    machine.run(5)
    assert figures(machine) == before == (5 * MIB, 2 * MIB)


def test_without_cgroup_v2_it_is_unknown_and_not_zero(machine, pod):
    home = machine.container(A)
    machine.start(10, home)
    (home / "memory.stat").write_text("cache 1\nrss 2\n")
    machine.plan(pod(1, A))
    machine.run(5)
    assert figures(machine) == (None, None)
    assert machine.status.totals.given_up is None


def test_without_swap_accounting_only_what_came_back_is_known(machine, pod):
    home = machine.container(A)
    machine.start(10, home)
    (home / "memory.stat").write_text("anon 1\nfile 2\nworkingset_refault_anon 3\n")
    machine.plan(pod(1, A))
    machine.run(5)
    assert figures(machine) == (None, MIB)


def test_what_comes_back_adds_up_by_priority_and_never_falls(machine, pod):
    """For metrics: a counter of the node, whichever pods come and go."""
    homes = [machine.container(container) for container in (A, B)]
    for pid, home in enumerate(homes, 10):
        machine.start(pid, home)
        memory(home, refaults=1000)
    machine.plan(pod(1, A, priority=30), pod(2, B, priority=40))
    machine.run(5)
    assert machine.loop.returned_bytes == {}, "what a pod brings along is no news"
    memory(homes[0], refaults=1256)
    memory(homes[1], refaults=0)
    machine.run(60)
    assert machine.loop.returned_bytes == {30: MIB}, "a container that ended takes its count along"
    memory(homes[1], refaults=512)
    machine.run(60)
    machine.plan(pod(2, B, priority=40), generation=2)
    machine.run(60)
    assert machine.loop.returned_bytes == {30: MIB, 40: 2 * MIB}
