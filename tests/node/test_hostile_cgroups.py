"""Cgroups that a container made itself, or that only look like a container's: whose are they?"""

import errno
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent.node.hierarchy import Hierarchy
from damon_agent.node.procfs import Procfs
from damon_agent.node.resolver import Resolver
from damon_agent.node.shares import fair_share

VICTIM = "a1" * 32
ATTACKER = "b2" * 32
VICTIMS_POD = "98bf9974-3c5a-4a6e-9d40-1d2f3a4b5c6d"
ATTACKERS_POD = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
WANTED = {VICTIM: VICTIMS_POD, ATTACKER: ATTACKERS_POD}
S = 1_000_000
LAYOUTS = {
    "containerd, systemd": "kubepods.slice/kubepods-burstable.slice/"
    "kubepods-burstable-pod{slice}.slice/cri-containerd-{id}.scope",
    "containerd, cgroupfs": "kubepods/burstable/pod{uid}/{id}",
    "CRI-O, systemd": "kubepods.slice/kubepods-pod{slice}.slice/crio-{id}.scope",
    "CRI-O, cgroupfs": "kubepods/pod{uid}/crio-{id}",
    "docker, systemd": "kubepods.slice/kubepods-pod{slice}.slice/docker-{id}.scope",
    "kind": "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{slice}.slice/"
    "cri-containerd-{id}.scope",
    "kind, seen from outside": "docker/" + "0d" * 32 + "/kubelet/kubepods/pod{uid}/{id}",
    "kubelet and runtime disagree": "system.slice/kubepods-pod{slice}.slice:cri-containerd:{id}",
}
CLAIMS = {
    "the id alone": "{id}",
    "as Docker in it does": "docker/{id}",
    "as a runtime": "cri-containerd-{id}.scope",
    "with the pod": "pod{uid}/{id}",
    "with everything": "kubepods.slice/kubepods-pod{slice}.slice/cri-containerd-{id}.scope",
}


def named(pattern: str, container: str, uid: str) -> str:
    return pattern.format(id=container, uid=uid, slice=uid.replace("-", "_"))


@pytest.fixture(params=LAYOUTS.values(), ids=LAYOUTS.keys())
def layout(request):
    return request.param


def make(node, path: str) -> Path:
    directory = node.cgroup / path
    missing = [d for d in (directory, *directory.parents) if not d.exists()]
    for each in reversed(missing):
        each.mkdir()
        (each / "cgroup.procs").touch()
    return directory


def found(resolver, at=0, wanted=WANTED):
    resolution = resolver.resolve(wanted, at)
    return {c: [p.pid for p in members] for c, members in resolution.processes.items()}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS.keys())
@pytest.mark.parametrize("first", [True, False], ids=["attacker first", "victim first"])
def test_no_container_can_claim_the_id_of_another(node, resolver, layout, claim, first):
    home = named(layout, ATTACKER, ATTACKERS_POD)
    claimed = f"{home}/{named(claim, VICTIM, VICTIMS_POD)}"
    steps = [
        lambda: node.start(666, make(node, claimed)),
        lambda: node.start(10, make(node, named(layout, VICTIM, VICTIMS_POD))),
    ]
    for step in steps if first else reversed(steps):
        step()
    assert found(resolver) == {VICTIM: [10], ATTACKER: [666]}
    node.exit(10)
    assert found(resolver, 100 * S) == {ATTACKER: [666]}, "nor after the other has ended"


def test_nor_the_id_of_another_container_of_its_own_pod(node, resolver, layout):
    wanted = {VICTIM: VICTIMS_POD, ATTACKER: VICTIMS_POD}
    node.start(666, make(node, f"{named(layout, ATTACKER, VICTIMS_POD)}/{VICTIM}"))
    node.start(10, make(node, named(layout, VICTIM, VICTIMS_POD)))
    assert found(resolver, 0, wanted) == {VICTIM: [10], ATTACKER: [666]}


def test_a_static_pod_is_found_below_the_digest_of_its_manifest(node, resolver):
    node.start(10, make(node, f"kubepods/burstable/pod{'0a' * 16}/{VICTIM}"))
    assert found(resolver) == {VICTIM: [10]}


def test_the_directory_of_another_pod_is_no_home(node, resolver):
    node.start(10, make(node, f"kubepods/pod{ATTACKERS_POD}/{VICTIM}"))
    assert found(resolver) == {}


@pytest.mark.parametrize("first", [True, False], ids=["mount first", "container first"])
def test_a_mount_unit_of_systemd_is_not_the_container(node, resolver, layout, first):
    mount = (
        f"system.slice/run-containerd-io.containerd.runtime.v2.task-k8s.io-{VICTIM}-rootfs.mount"
    )
    paths = [mount, named(layout, VICTIM, VICTIMS_POD)]
    homes = {path: make(node, path) for path in (paths if first else reversed(paths))}
    node.start(10, homes[paths[1]])
    assert found(resolver) == {VICTIM: [10]}


def test_an_empty_directory_is_doubted(node, resolver):
    for number in range(3):
        make(node, f"{number}.slice/cri-containerd-{VICTIM}.scope")
    home = make(node, f"5.slice/cri-containerd-{VICTIM}.scope")
    make(node, f"9.slice/cri-containerd-{VICTIM}.scope")
    node.start(10, home)
    assert found(resolver) == {VICTIM: [10]}


def test_an_empty_directory_keeps_nobody_from_looking_in_proc(node):
    resolver = Resolver(Procfs(node.proc), Hierarchy(node.cgroup), own_pid=4242)
    make(node, named(LAYOUTS["containerd, cgroupfs"], VICTIM, VICTIMS_POD))
    node.appear(10, f"/another/root/kubepods/pod{VICTIMS_POD}/{VICTIM}")
    assert found(resolver) == {VICTIM: [10]}


def nest(home: Path, name: str, depth: int) -> None:
    """Make directories, each in the other, beyond what a path may hold."""
    here = os.getcwd()  # noqa: PTH109 - to come back to
    os.chdir(home)
    for _ in range(depth):
        os.mkdir(name)  # noqa: PTH102 - relative
        os.chdir(name)
        Path("cgroup.procs").touch()
    os.chdir(here)


def deep(_node, home: Path) -> None:
    nest(home, "d", 1100)


def long(_node, home: Path) -> None:
    nest(home, "d" * 250, 20)


def many(_node, home: Path) -> None:
    for number in range(1000):
        (home / str(number)).mkdir()


def odd(_node, home: Path) -> None:
    for name in (b"\xff\xfe", b"new\nline", b"\x1b[31m", b" ", b":", "\u202e".encode(), b"a" * 255):
        os.mkdir(os.fsencode(home) + b"/" + name)  # noqa: PTH102 - no text
        (home / os.fsdecode(name) / "cgroup.procs").write_text("x\n")


def garbage(_node, home: Path) -> None:
    (home / "cgroup.procs").write_text("10\nmany\n")


def unreadable(_node, home: Path) -> None:
    """EISDIR here; EACCES, EIO and the like on a node."""
    (home / "cgroup.procs").unlink()
    (home / "cgroup.procs").mkdir()


def unknown_swap(_node, home: Path) -> None:
    (home / "memory.swap.max").mkdir()


def unreadable_stat(node, home: Path) -> None:
    node.start(11, home)
    (node.proc / "11/stat").unlink()
    (node.proc / "11/stat").mkdir()


@pytest.mark.parametrize(
    "does", [deep, long, many, odd, garbage, unreadable, unknown_swap, unreadable_stat]
)
def test_what_a_container_does_to_its_own_cgroup_is_told_of_it_and_costs_nobody_else(node, does):
    layout = LAYOUTS["containerd, systemd"]
    home = make(node, named(layout, ATTACKER, ATTACKERS_POD))
    node.start(666, home)
    node.start(10, make(node, named(layout, VICTIM, VICTIMS_POD)))
    does(node, home)
    resolver = Resolver(Procfs(node.proc), Hierarchy(node.cgroup), own_pid=4242)
    try:
        for at in (0, 5 * S, 70 * S):
            resolution = resolver.resolve(WANTED, at)
            assert [p.pid for p in resolution.processes[VICTIM]] == [10]
            assert [p.pid for p in resolution.processes[ATTACKER]] == [666], "nor can it hide"
            assert resolution.troubles.keys() == {ATTACKER}
            assert str(resolution.troubles[ATTACKER]).isprintable()
            assert str(resolution.troubles[ATTACKER]).isascii()
    finally:
        # Python's own way to remove a tree is as deep as the tree.
        subprocess.run(["rm", "-rf", home], check=True)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EIO, errno.ENOMEM, errno.ELOOP])
@pytest.mark.parametrize("file", ["stat", "cgroup"])
def test_one_process_that_cannot_be_read_costs_only_itself(node, resolver, monkeypatch, code, file):
    home = make(node, named(LAYOUTS["containerd, cgroupfs"], VICTIM, VICTIMS_POD))
    for pid in (10, 11, 12):
        node.start(pid, home)
    opened = os.open

    def refuse(path, *arguments, **options):
        if str(path).endswith(f"proc/11/{file}"):
            raise OSError(code, os.strerror(code), path)
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    resolution = resolver.resolve(WANTED, 0)
    assert [p.pid for p in resolution.processes[VICTIM]] == [10, 12]
    told = [*resolution.troubles.values(), *resolution.unreadable.values()]
    assert [os.strerror(code) in str(error) for error in told] == [True]


def test_a_path_that_the_kernel_cannot_tell_is_no_way_to_hide(node, monkeypatch):
    node.start(10, make(node, named(LAYOUTS["containerd, cgroupfs"], VICTIM, VICTIMS_POD)))
    procfs = Procfs(node.proc)
    opened = os.open

    def refuse(path, *arguments, **options):
        if str(path).endswith("proc/10/cgroup"):
            raise OSError(errno.ENAMETOOLONG, "File name too long", path)
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    assert found(Resolver(procfs, Hierarchy(node.cgroup), own_pid=4242)) == {VICTIM: [10]}


@pytest.mark.parametrize("text", [b"", b"\xff", b"0::", b"::" * 9, b"0::/" + b"/" * 9000])
def test_a_process_whose_cgroup_reads_as_garbage_is_nobodys(node, text):
    node.appear(10, "/")
    (node.proc / "10/cgroup").write_bytes(text)
    assert found(Resolver(Procfs(node.proc), None, own_pid=4242)) == {}


def test_a_pod_that_forks_by_the_thousand_takes_no_room_from_the_others(node, resolver):
    resolver._most = 50
    layout = LAYOUTS["containerd, cgroupfs"]
    attackers = make(node, named(layout, ATTACKER, ATTACKERS_POD))
    for pid in range(1000, 1100):
        node.start(pid, attackers)
    first = resolver.resolve(WANTED, 0)
    assert len(first.processes[ATTACKER]) == 50
    assert first.left_out == {ATTACKER: 50}
    victims = make(node, named(layout, VICTIM, VICTIMS_POD))
    for pid in range(10, 30):
        node.start(pid, victims)
    second = resolver.resolve(WANTED, 5 * S)
    assert len(second.processes[VICTIM]) == 20
    assert len(second.processes[ATTACKER]) == 30
    assert set(second.processes[ATTACKER]) <= set(first.processes[ATTACKER]), "who is in it stays"
    assert second.left_out == {ATTACKER: 70}
    assert resolver.resolve(WANTED, 10 * S).processes == second.processes


@given(st.lists(st.integers(0, 300), max_size=20), st.integers(20, 500))
def test_a_fair_share_fills_the_room_and_never_more(wanted, most):
    share = fair_share(wanted, most)
    given_out = sum(min(each, share) for each in wanted)
    assert given_out <= most
    if given_out < sum(wanted):
        assert sum(min(each, share + 1) for each in wanted) > most
