"""The one file of a cgroup that is written, and the real tree that only a pod may write."""

from pathlib import Path

import pytest

from damon_agent import __main__ as agent
from damon_agent.errors import StartError
from damon_agent.node.reclaim_file import CgroupReclaimFile
from damon_agent.settings import parse

MOUNTS = "30 24 0:26 / {root} rw,relatime shared:4 - {kind} cgroup rw\n"


@pytest.fixture
def mounts(tmp_path):
    def say(kind):
        path = tmp_path / "mountinfo"
        path.write_text(
            "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + MOUNTS.format(root=tmp_path, kind=kind)
        )
        return path

    return say


def test_it_hands_over_the_text_in_one_write(tmp_path, mounts):
    (tmp_path / "pod").mkdir()
    (tmp_path / "pod/memory.reclaim").touch()
    CgroupReclaimFile(tmp_path, mountinfo=mounts("tmpfs")).write(str(tmp_path / "pod"), "4096")
    assert (tmp_path / "pod/memory.reclaim").read_text() == "4096"


@pytest.mark.parametrize("kind", ["cgroup2", "cgroup"])
def test_a_real_cgroup_tree_is_refused_outside_a_cluster(tmp_path, mounts, kind):
    with pytest.raises(StartError, match="only an agent in a cluster"):
        CgroupReclaimFile(tmp_path, mountinfo=mounts(kind))
    with pytest.raises(StartError):
        CgroupReclaimFile(tmp_path.parent, mountinfo=mounts(kind))
    (tmp_path / "pod").mkdir()
    with pytest.raises(StartError):
        CgroupReclaimFile(tmp_path / "pod", mountinfo=mounts(kind))
    CgroupReclaimFile(tmp_path, mountinfo=mounts(kind), allow_cgroupfs=True)


@pytest.mark.skipif(
    "cgroup" not in Path("/proc/self/mountinfo").read_text(), reason="no cgroup tree here"
)
def test_the_one_of_this_machine_is_refused():
    with pytest.raises(StartError):
        CgroupReclaimFile(Path("/sys/fs/cgroup"))


def test_no_link_is_followed(tmp_path, mounts):
    """Nobody can make one in a cgroup tree; what only looks like one may have them."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/memory.reclaim").touch()
    (tmp_path / "pod").mkdir()
    (tmp_path / "pod/memory.reclaim").symlink_to(tmp_path / "victim/memory.reclaim")
    (tmp_path / "other").symlink_to(tmp_path / "victim")
    file = CgroupReclaimFile(tmp_path, mountinfo=mounts("tmpfs"))
    for directory in ("pod", "other"):
        with pytest.raises(OSError, match=r"Too many levels|Not a directory"):
            file.write(str(tmp_path / directory), "4096")
    assert (tmp_path / "victim/memory.reclaim").read_text() == ""


def test_a_file_that_is_not_there_is_not_made(tmp_path, mounts):
    (tmp_path / "pod").mkdir()
    with pytest.raises(FileNotFoundError):
        CgroupReclaimFile(tmp_path, mountinfo=mounts("tmpfs")).write(str(tmp_path / "pod"), "1")
    assert not list((tmp_path / "pod").iterdir())


@pytest.mark.skipif(
    "cgroup" not in Path("/proc/self/mountinfo").read_text(), reason="no cgroup tree here"
)
def test_an_agent_with_credentials_of_its_own_does_not_start_on_it(tmp_path):
    given = ["--node-name", "n", "--damon-root", tmp_path, "--state-dir", tmp_path]
    given += ["--kubeconfig", tmp_path, "--cgroup-root", "/sys/fs/cgroup", "--memory-reclaim"]
    settings = parse([str(word) for word in given], {})
    with pytest.raises(StartError, match="only an agent in a cluster"):
        agent._reclaiming(settings, None, None, None, None)
