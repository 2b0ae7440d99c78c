"""memory.reclaim of a simulated node, as user_proactive_reclaim() of mm/vmscan.c has it."""

import errno
import functools

import pytest

from damon_mock.damon.remote import SocketFiles
from damon_mock.damon.wire import Server
from damon_mock.nodes.cgroup_memory import CgroupMemory, answer
from damon_mock.nodes.layout import SwapBehavior
from damon_mock.nodes.memory import Memory
from damon_mock.nodes.node import SimulatedNode
from damon_mock.nodes.reclaim import Held, parse, take

MIB = 1 << 20
BATCH = 128 << 10


class Cgroup:
    """One cgroup in a tree of plain files."""

    def __init__(self, root, held=None, **options):
        self.path = root / "pod"
        self.path.mkdir()
        (self.path / "memory.swap.max").write_text("max\n")
        self.memory = CgroupMemory(root, **options)
        self.memory.hold(self.path, held or Held(8 * MIB, 10 * MIB, hot_file_bytes=2 * MIB))

    def write(self, text):
        """Return the errno; 0 if it succeeded."""
        try:
            self.memory.write(str(self.path), text)
        except OSError as error:
            return error.errno
        return 0

    def stat(self, name):
        lines = (self.path / "memory.stat").read_text().splitlines()
        return int(dict(map(str.split, lines))[name])

    def number(self, name):
        return int((self.path / name).read_text())


@pytest.fixture
def cgroup(tmp_path):
    return Cgroup(tmp_path)


@pytest.mark.parametrize(
    ("text", "size_bytes", "swappiness"),
    [
        ("4194304", 4 * MIB, 60),
        ("4194304\n", 4 * MIB, 60),
        ("4M swappiness=0", 4 * MIB, 0),
        ("1g  swappiness=200 ", 1 << 30, 200),
        ("4096swappiness=1", 4096, 1),
        ("8191", 4096, 60),
    ],
)
def test_sizes_have_suffixes_and_are_whole_pages(text, size_bytes, swappiness):
    request = parse(text, takes_swappiness=True)
    assert (request.size_bytes, request.swappiness) == (size_bytes, swappiness)


@pytest.mark.parametrize(
    "text", ["", "much", "-1", "4M 0", "4M swappiness=201", "4M swappiness=-1", "4M swappiness="]
)
def test_what_the_kernel_cannot_read_is_invalid_and_changes_nothing(cgroup, text):
    before = (cgroup.path / "memory.stat").read_text()
    assert cgroup.write(text) == errno.EINVAL
    assert (cgroup.path / "memory.stat").read_text() == before


def test_before_linux_6_9_swappiness_is_invalid(tmp_path):
    cgroup = Cgroup(tmp_path, takes_swappiness=False)
    assert cgroup.write("1M swappiness=0") == errno.EINVAL
    assert cgroup.write("1M") == 0


def test_before_linux_6_16_there_is_no_max(tmp_path):
    cgroup = Cgroup(tmp_path, takes_max=False)
    assert cgroup.write("1M swappiness=max") == errno.EINVAL
    assert cgroup.write("1M swappiness=200") == 0


@pytest.mark.parametrize(
    ("file_mib", "swappiness", "from_file_mib"),
    [(15, "200", 0), (16, "200", 4), (16, "1", 4), (16, "max", 0), (0, "max", 0)],
)
def test_of_much_page_cache_goes_first_whatever_the_swappiness_but_max(
    tmp_path, file_mib, swappiness, from_file_mib
):
    cgroup = Cgroup(tmp_path, Held(8 * MIB, file_mib * MIB))
    assert cgroup.write(f"4M swappiness={swappiness}") == 0
    assert cgroup.stat("file") == (file_mib - from_file_mib) * MIB
    assert cgroup.stat("anon") == (4 + from_file_mib) * MIB


def test_cold_file_pages_go_and_nothing_comes_back(cgroup):
    assert cgroup.write("3M swappiness=0") == 0
    assert cgroup.stat("file") == cgroup.stat("inactive_file") == 7 * MIB
    assert cgroup.stat("anon") == 8 * MIB
    assert cgroup.stat("workingset_refault_file") == 0
    assert cgroup.number("memory.current") == 15 * MIB
    assert cgroup.number("memory.swap.current") == 0


def test_when_the_cold_part_is_gone_it_takes_the_hot_one_which_comes_back(cgroup):
    assert cgroup.write("9M swappiness=0") == 0
    assert cgroup.stat("file") == 2 * MIB
    assert cgroup.stat("workingset_refault_file") == MIB // 4096
    assert cgroup.write("1M swappiness=0") == 0
    assert cgroup.stat("file") == 2 * MIB
    assert cgroup.stat("workingset_refault_file") == 2 * MIB // 4096


def test_less_than_asked_for_is_eagain_and_gone_all_the_same(tmp_path):
    cgroup = Cgroup(tmp_path, Held(8 * MIB, 2 * MIB))
    assert cgroup.write("3M swappiness=0") == errno.EAGAIN
    assert cgroup.stat("file") == 0
    assert cgroup.write("4096 swappiness=0") == errno.EAGAIN
    assert cgroup.number("memory.current") == 8 * MIB


def test_what_a_swap_disk_has_left_goes_first(tmp_path):
    cgroup = Cgroup(tmp_path, Held(8 * MIB, 2 * MIB, left_bytes=16 * MIB))
    assert cgroup.number("memory.current") == 26 * MIB
    assert cgroup.write("17M swappiness=200") == 0
    assert (cgroup.stat("swapcached"), cgroup.stat("anon")) == (0, 7 * MIB)
    assert cgroup.stat("inactive_anon") == 7 * MIB
    assert cgroup.number("memory.current") == 9 * MIB
    assert cgroup.number("memory.swap.current") == 17 * MIB


def test_it_takes_whole_batches(cgroup):
    assert cgroup.write("4096 swappiness=0") == 0
    assert cgroup.stat("file") == 10 * MIB - BATCH


def test_without_the_word_anonymous_pages_go_as_well(cgroup):
    assert cgroup.write("10M") == 0
    assert cgroup.stat("anon") == 5 * MIB
    assert cgroup.stat("file") == 3 * MIB
    assert cgroup.number("memory.swap.current") == 3 * MIB
    assert cgroup.number("memory.current") == 8 * MIB


def test_hot_anonymous_pages_come_back_too():
    held = Held(4 * MIB, 0, hot_anon_bytes=3 * MIB)
    taken = take(held.stat(), held, parse("2M", takes_swappiness=True), may_swap=True)
    assert taken.stat["anon"] == 3 * MIB
    assert taken.stat["workingset_refault_anon"] == MIB // 4096


def forbidden_below(root):
    below = root / "pod/container"
    below.mkdir()
    (below / "memory.swap.max").write_text("0\n")


def forbidden_above(root):
    (root / "memory.swap.max").write_text("0\n")


@pytest.mark.parametrize("forbid", [forbidden_below, forbidden_above])
def test_where_a_cgroup_may_not_swap_only_file_pages_go(tmp_path, forbid):
    cgroup = Cgroup(tmp_path)
    forbid(tmp_path)
    assert cgroup.write("11M") == errno.EAGAIN
    assert cgroup.stat("anon") == 8 * MIB


def test_without_swap_on_the_node_only_file_pages_go(tmp_path):
    cgroup = Cgroup(tmp_path, has_swap=lambda: False)
    assert cgroup.write("11M") == errno.EAGAIN
    assert cgroup.stat("anon") == 8 * MIB


def test_it_goes_by_what_somebody_else_wrote_into_memory_stat(cgroup):
    (cgroup.path / "memory.stat").write_text("anon 0\nfile 4194304\npgfault 7\n")
    assert cgroup.write("1M") == 0
    assert cgroup.stat("file") == 3 * MIB
    assert cgroup.stat("pgfault") == 7


def test_a_cgroup_that_is_gone_is_enoent(tmp_path):
    with pytest.raises(FileNotFoundError):
        CgroupMemory(tmp_path).write(str(tmp_path / "gone"), "1M")


# On a simulated node


async def test_a_pod_holds_what_it_is_said_to_and_gives_it_up_alone(node, pod):
    await node.start_pod(pod("cache"), Held(file_bytes=64 * MIB))
    await node.start_pod(pod("other"))
    node.cgroup_memory.write(str(node.cgroup("cache")), "32M swappiness=0")
    stats = {name: (node.cgroup(name) / "memory.stat").read_text() for name in ("cache", "other")}
    assert f"file {32 * MIB}\n" in stats["cache"]
    assert f"anon {64 * MIB}\nfile {16 * MIB}\n" in stats["other"]
    assert (node.cgroup("cache") / "memory.reclaim").exists()
    assert not (node.cgroup_root / "memory.reclaim").exists(), "it is CFTYPE_NOT_ON_ROOT"


@pytest.mark.parametrize(
    ("swap", "memory", "goes"),
    [
        ("UnlimitedSwap", Memory(), True),
        ("NoSwap", Memory(), False),
        ("UnlimitedSwap", Memory(swap_free_bytes=0), False),
    ],
)
async def test_anonymous_memory_goes_where_the_pod_may_swap(
    api, tmp_path, pod, swap: SwapBehavior, memory, goes
):
    node = SimulatedNode("n1", tmp_path / "n1", api.cluster, swap=swap, memory=memory)
    async with node:
        await node.start_pod(pod("p"), Held(file_bytes=0))
        try:
            node.cgroup_memory.write(str(node.cgroup("p")), "1M")
        except BlockingIOError:
            assert not goes
        else:
            assert goes


async def test_over_a_socket_the_answers_are_the_same(node, pod, tmp_path):
    await node.start_pod(pod("p"), Held(file_bytes=MIB))
    files = SocketFiles(tmp_path / "socket")
    path = f"{node.cgroup('p')}/memory.reclaim"
    with Server(tmp_path / "socket", functools.partial(answer, node.cgroup_memory)):
        files.write(path, b"1M swappiness=0")
        with pytest.raises(BlockingIOError):
            files.write(path, b"1M swappiness=0")
        with pytest.raises(OSError, match="Invalid argument"):
            files.write(path, b"all")
        files.close()
    assert "\nfile 0\n" in (node.cgroup("p") / "memory.stat").read_text()


async def test_a_deleted_pod_is_gone(node, pod):
    await node.start_pod(pod("p"))
    directory = node.cgroup("p")
    await node.delete_pod("p")
    with pytest.raises(FileNotFoundError):
        node.cgroup_memory.write(str(directory), "1M")
