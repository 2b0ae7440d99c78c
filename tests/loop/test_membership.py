"""Which processes become targets of the emulated kernel, from plan to kdamond."""

A = "a1" * 32
B = "b2" * 32
PAUSE = "c3" * 32


def test_every_process_of_the_planned_containers_becomes_a_target(machine, pod):
    home = machine.container(A)
    machine.start(10, home)
    machine.start(11, home)
    machine.start(20, machine.container(B))
    machine.plan(pod(1, A), pod(2, B, priority=90))
    machine.run(10)
    assert machine.targets() == [10, 11, 20]
    assert machine.condition("Ready").status == "True"


def test_a_process_forked_later_in_a_container_becomes_a_target(machine, pod):
    home = machine.container(A)
    machine.start(10, home)
    machine.plan(pod(1, A))
    machine.run(10)
    machine.start(11, home)
    machine.run(20)
    assert machine.targets() == [10, 11]
    assert machine.status.pods[0].processes == 2


def test_pause_container_monitor_unknown_ids_and_the_agent_never_do(machine, pod):
    home = machine.container(A)
    machine.start(10, home)
    machine.start(4242, home)
    machine.start(20, machine.container(PAUSE))
    machine.start(30, machine.container(A, name="crio-conmon-{}.scope"))
    machine.start(40, machine.container(B, name="docker-{}.scope"))
    machine.plan(pod(1, A))
    machine.run(20)
    assert machine.targets() == [10]


def test_a_process_that_two_pods_claim_is_targeted_once_with_the_more_important(machine, pod):
    machine.start(10, machine.container(A))
    machine.plan(pod(1, A, priority=30), pod(2, A, priority=60))
    machine.run(10)
    assert machine.targets() == [10]
    assert [p.processes for p in machine.status.pods] == [0, 1]
    assert [lane.priorities for lane in machine.status.lanes] == [(60,)]


def test_an_exited_process_leaves_and_the_others_stay(machine, pod):
    home = machine.container(A)
    machine.start(10, home)
    machine.start(11, home)
    machine.plan(pod(1, A))
    machine.run(10)
    machine.exit(10)
    machine.run(20)
    assert machine.targets() == [11]
    assert machine.condition("Ready").status == "True"


def test_a_pod_that_leaves_the_plan_leaves_the_kernel(machine, pod):
    machine.start(10, machine.container(A))
    machine.start(20, machine.container(B))
    machine.plan(pod(1, A), pod(2, B))
    machine.run(10)
    machine.plan(pod(1, A), generation=2)
    machine.run(20)
    assert machine.targets() == [10]
    assert machine.status.observed_hash == "h2"
    assert machine.status.observed_generation == 2
