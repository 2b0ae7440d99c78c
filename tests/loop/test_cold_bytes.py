"""How much cold memory a pod has, as its status says."""

import pytest

A = "a1" * 32
B = "b2" * 32
KDAMONDS = "damon/admin/kdamonds"
MIB = 1 << 20
LONG_S = 200


@pytest.mark.parametrize("mode", ["Observe", "Enforce"])
@pytest.mark.parametrize("priority", [50, 90])
def test_it_is_resident_memory_less_what_is_in_use(machine, pod, mode, priority):
    machine.start(10, machine.container(A))
    machine.plan(pod(1, A, priority=priority), mode=mode)
    machine.run(LONG_S)
    # The emulator has 64 MiB of cold memory in a process, and takes its stack for in use.
    assert machine.status.pods[0].cold_bytes == 63 * MIB
    assert machine.status.lanes[0].cold_bytes == 63 * MIB


def test_nothing_stays_behind_in_sysfs(machine, pod):
    machine.start(10, machine.container(A))
    machine.plan(pod(1, A))
    machine.run(LONG_S)
    walks = [r for r in machine.emulator.log if r.value == "update_schemes_tried_regions"]
    assert walks
    for scheme in (0, 1):
        shown = f"{KDAMONDS}/0/contexts/0/schemes/{scheme}/tried_regions"
        assert not [name for name in machine.emulator.entries(shown) if name.isdecimal()]


def test_it_is_unknown_until_somebody_has_looked(machine, pod):
    machine.start(10, machine.container(A))
    machine.plan(pod(1, A))
    machine.run(10)
    assert machine.status.pods[0].cold_bytes is None
    assert machine.status.lanes[0].cold_bytes is None


def test_all_processes_of_a_pod_add_up_to_no_more_than_its_cgroup_holds(machine, pod):
    home = machine.container(A)
    machine.start(10, home)
    machine.start(11, home)
    machine.plan(pod(1, A))
    machine.run(LONG_S)
    assert machine.status.pods[0].cold_bytes == 127 * MIB
    (home / "memory.stat").write_text(f"anon {90 * MIB}\nfile {10 * MIB}\n")
    machine.run(LONG_S)
    assert machine.status.pods[0].cold_bytes == 100 * MIB


def test_what_has_been_paged_out_is_not_counted(machine, pod):
    machine.start(10, machine.container(A))
    machine.plan(pod(1, A, priority=10))
    machine.run(LONG_S)
    (machine.proc / "10" / "statm").write_text(f"99999 {16 * 256} 0 0 0 0 0\n")
    machine.run(LONG_S)
    assert machine.status.pods[0].cold_bytes == 0


def test_it_is_unknown_on_kernels_that_do_not_show_regions(make_machine, pod):
    machine = make_machine(profile="6.1")
    machine.start(10, machine.container(A))
    machine.plan(pod(1, A))
    machine.run(LONG_S)
    assert machine.condition("Ready").status == "True"
    assert machine.status.pods[0].cold_bytes is None


def test_it_goes_with_the_pods_processes(machine, pod):
    machine.start(10, machine.container(A))
    machine.start(20, machine.container(B))
    machine.plan(pod(1, A), pod(2, B, priority=90))
    machine.run(LONG_S)
    assert all(p.cold_bytes == 63 * MIB for p in machine.status.pods)
    machine.exit(10)
    machine.run(20)
    assert machine.status.pods[0].cold_bytes is None
    assert machine.status.pods[1].cold_bytes == 63 * MIB


def test_a_process_of_which_proc_says_nothing_is_no_guess(machine, pod):
    machine.start(10, machine.container(A))
    (machine.proc / "10" / "statm").unlink()
    machine.plan(pod(1, A))
    machine.run(LONG_S)
    assert machine.status.pods[0].cold_bytes is None
