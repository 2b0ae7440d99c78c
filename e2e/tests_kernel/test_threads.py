"""Processes whose first thread has exited: a zombie by /proc, and all of the memory in use."""

from tests_kernel.containers import Containers, Pod
from tests_kernel.node import PROGRAMS, Node
from tests_kernel.plans import Plans
from tests_kernel.waiting import until

MIB = 64


def test_a_process_without_its_first_thread_gives_up_what_is_cold(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    """DAMON takes the id of any living thread as pid_target, and looks at the whole process."""
    pod, directory = Pod("headless", 10), "/run/victims/headless"
    node.guest.shell(f"rm -rf {directory}; mkdir -p {directory}")
    container = containers.run(
        ["/usr/bin/python3", f"{PROGRAMS}/headless.py", "/victim", str(MIB)],
        pod=pod,
        mounts=[(directory, "/victim", "rw"), (PROGRAMS, PROGRAMS, "ro")],
    )
    try:
        until("its first thread has exited", lambda: node.exists(f"{directory}/ready"))
        plans.applied([pod])
        targets = [pid for kdamond in node.kdamonds() for pid in kdamond.targets if pid]
        assert targets not in ([], [container.pid]), "the first thread is no target"
        swapped = f"{container.cgroup}/memory.swap.current"
        until("what is cold is gone", lambda: int(node.guest.read(swapped)) >= MIB * 9 // 10 << 20)
    finally:
        # To the runtime it has ended already, so that it would not kill it.
        node.guest.kill(container.pid, 9)
        until("it is gone", lambda: not node.exists(f"/proc/{container.pid}"))
