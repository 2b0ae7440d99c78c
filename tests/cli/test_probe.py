"""The probe, run by several shells on directories that look like a node's root, and its reading."""

import re
import shutil
import subprocess

import probed_root
import pytest
from hypothesis import given
from hypothesis import strategies as st
from probed_root import KDAMONDS, container

from damon_cli.doctor import probe_pod, probed
from damon_cli.doctor.facts import NodeFacts, Owner, SwapLimits
from damon_cli.doctor.findings import ESSENTIAL, State, diagnosis

SHELLS = [["sh"], ["dash"], ["bash", "--posix"], ["busybox", "sh"]]


@pytest.fixture(name="busybox", scope="session")
def busybox_fixture(tmp_path_factory):
    """A directory with busybox alone, as its image has it."""
    program = shutil.which("busybox")
    if program is None:
        pytest.skip("no busybox here")
    tools = tmp_path_factory.mktemp("tools")
    for applet in ("sh", "cat", "find", "grep", "ls", "sed", "sort", "uniq"):
        (tools / applet).symlink_to(program)
    return tools


def printed(root, shell=("sh",), path="/usr/bin:/bin"):
    ran = subprocess.run(
        [*shell, "-c", probe_pod.script(), "probe", str(root)],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": path},
        timeout=60,
    )
    assert not ran.stderr
    return ran.stdout


def facts(tmp_path, **more):
    return probed.facts(printed(probed_root.make(tmp_path / "root", **more)))


def test_it_asks_for_the_root_and_reads_nothing_without_one():
    ran = subprocess.run(
        ["sh", "-c", probe_pod.script(), "probe"], capture_output=True, text=True, check=False
    )
    assert ran.returncode
    assert not ran.stdout
    assert "ROOT is missing" in ran.stderr


def test_it_has_no_command_that_writes():
    """Redirections go to the null device or to the other output, and every tool only reads."""
    lines = [line for line in probe_pod.script().splitlines() if not line.startswith("#")]
    text = "\n".join(lines)
    assert set(re.findall(r">+\s*([^\s);|]+)", text)) == {"&1", "/dev/null"}
    assert set(re.findall(r"-exec (\w+)", text)) == {"grep"}
    for word in ("tee", "dd", "mv", "cp", "rm", "touch", "chmod", "mount", "sysctl", "-delete"):
        assert not re.search(rf"(^|[\s|;(]){word}(\s|$)", text), word


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_every_shell_prints_the_same(tmp_path, shell):
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} here")
    root = probed_root.make(tmp_path)
    assert printed(root, shell) == printed(root)


def test_busybox_alone_is_enough(tmp_path, busybox):
    root = probed_root.make(tmp_path)
    assert printed(root, (str(busybox / "sh"),), str(busybox)) == printed(root)


def test_nothing_prevents_tuning_on_a_fine_node(tmp_path):
    found = facts(tmp_path)
    assert found == NodeFacts(
        probed=True,
        linux=True,
        release="6.12.117+deb12-amd64",
        damon=True,
        vaddr=True,
        holders=(),
        memory_bytes=16384000 * 1024,
        swap_total_bytes=2**31,
        swap_free_bytes=2**30,
        swap_kinds=("zram",),
        zswap=False,
        zram_limited=(),
        reclaim_file=True,
        cgroup_version=2,
        swap_limits=SwapLimits("containers", 1, 0),
        throttled=0,
        page_bytes=4096,
        transparent_huge="madvise",
        huge_bytes=0,
        mglru=True,
    )
    told = diagnosis("n1", found)
    assert told.tunable == "True"
    assert {f.check for f in told.findings if f.state is not State.OK} == {"Features"}


def kdamond(number, state="on", marks=("1", "2", "3")):
    scheme = f"{KDAMONDS}/{number}/contexts/0/schemes/0/watermarks"
    names = zip(("high", "mid", "low"), marks, strict=True)
    return {f"{KDAMONDS}/{number}/state": state} | {f"{scheme}/{n}": m for n, m in names}


OURS = ("711", "503", "307")


@pytest.mark.parametrize(
    ("files", "owner", "name"),
    [
        (
            {"sys/module/damon_reclaim/parameters/enabled": "Y"},
            Owner.MODULE,
            "DAMON_RECLAIM (kernel module damon_reclaim)",
        ),
        (
            {"sys/module/damon_lru_sort/parameters/enabled": "Y"},
            Owner.MODULE,
            "DAMON_LRU_SORT (kernel module damon_lru_sort)",
        ),
        (
            {"sys/module/damon_stat/parameters/enabled": "Y"},
            Owner.STAT,
            "DAMON_STAT (kernel module damon_stat)",
        ),
        (
            {f"{KDAMONDS}/nr_kdamonds": "2", **kdamond(0), **kdamond(1, "off")},
            Owner.OTHER,
            "2 kdamonds in sysfs, 1 on, and not damon-operator's: damo, or another tool",
        ),
        (
            {f"{KDAMONDS}/nr_kdamonds": "1", f"{KDAMONDS}/0/state": "off"},
            Owner.OTHER,
            "1 kdamond in sysfs, 0 on, and not damon-operator's: damo, or another tool",
        ),
        (
            {f"{KDAMONDS}/nr_kdamonds": "2", **kdamond(0), **kdamond(1, marks=OURS)},
            Owner.OURS,
            "damon-operator's agent: 2 kdamonds in sysfs, 2 on",
        ),
        (
            {"proc/77/comm": "kdamond.0"},
            Owner.OTHER,
            "kdamond.0: started neither by sysfs nor by a module",
        ),
    ],
)
def test_who_has_damon_is_named(tmp_path, files, owner, name):
    (holder,) = facts(tmp_path, **files).holders
    assert (holder.owner, holder.name) == (owner, name)


def test_what_is_in_sysfs_and_not_shown_has_no_known_owner(tmp_path):
    assert facts(tmp_path, **{f"{KDAMONDS}/nr_kdamonds": "3", **kdamond(0)}).holders is None


@pytest.mark.parametrize(
    ("files", "known"),
    [
        ({f"{KDAMONDS}/nr_kdamonds": None}, {"damon": False}),
        ({"proc/kallsyms": "0 T _text\n"}, {"vaddr": False}),
        ({"proc/kallsyms": None}, {"vaddr": None}),
        ({"proc/kallsyms": ""}, {"vaddr": None}),
        (
            {"proc/swaps": "Filename\n/dev/sda2 partition 1\n/x file 1\n"},
            {"swap_kinds": ("disk", "file")},
        ),
        ({"sys/module/zswap/parameters/enabled": "Y"}, {"zswap": True}),
        ({"sys/module/zswap/parameters/enabled": None}, {"zswap": False}),
        ({"sys/block/zram0/mm_stat": "1 2 3 4096 5"}, {"zram_limited": ("zram0",)}),
        ({"sys/block/zram0/mm_stat": None}, {"zram_limited": ()}),
        ({"sys/fs/cgroup/cgroup.controllers": None}, {"cgroup_version": None}),
        ({"sys/fs/cgroup/cgroup.controllers": None}, {"reclaim_file": None}),
        ({"sys/fs/cgroup/memory.reclaim": None}, {"reclaim_file": False}),
        (
            {
                "sys/fs/cgroup/cgroup.controllers": None,
                "sys/fs/cgroup/memory/notify_on_release": "0",
            },
            {"cgroup_version": 1},
        ),
        (
            {
                container("b", "memory.swap.max"): "0",
                container("c", "memory.swap.max"): "4096",
                container("d", "memory.swap.max", "crio-conmon"): "max",
                container("b", "init.scope/memory.swap.max"): "0",
            },
            {"swap_limits": SwapLimits("containers", 3, 1, 1)},
        ),
        ({container("b", "memory.high"): "4096"}, {"throttled": 1}),
        ({"proc/self/smaps": None}, {"page_bytes": None}),
        ({"proc/self/smaps": "KernelPageSize:       64 kB"}, {"page_bytes": 65536}),
        ({"sys/kernel/mm/lru_gen/enabled": "0x0000"}, {"mglru": False}),
        ({"sys/kernel/mm/transparent_hugepage/enabled": None}, {"transparent_huge": "none"}),
        ({"proc/meminfo": "SwapTotal: 0 kB\n"}, {"swap_total_bytes": 0, "memory_bytes": None}),
    ],
)
def test_each_file_says_what_it_says(tmp_path, files, known):
    found = facts(tmp_path, **files)
    assert {name: getattr(found, name) for name in known} == known


def test_of_memory_reclaim_it_looks_only_whether_it_is_there(tmp_path):
    root = probed_root.make(tmp_path / "root", **{"sys/fs/cgroup/memory.reclaim": "opened\n"})
    told = printed(root)
    assert "opened" not in told
    assert probed.facts(told).reclaim_file is True


def test_an_output_of_an_older_probe_does_not_say_whether_there_is_memory_reclaim(tmp_path):
    root = probed_root.make(tmp_path / "root")
    lines = [line for line in printed(root).splitlines() if "memory.reclaim" not in line]
    assert probed.facts("\n".join(lines)).reclaim_file is None


def test_a_root_without_sys_says_nothing_of_the_kernel(tmp_path):
    """A wrong ROOT, or one where nothing is mounted: that files are missing proves nothing."""
    told = diagnosis("n1", probed.facts(printed(tmp_path)))
    assert told.tunable == "Unknown"
    assert {finding.state for finding in told.findings} == {State.UNKNOWN}


WHOLE = """= damon-probe
 1
= sys/kernel/mm
 damon
@ proc/sys/kernel/osrelease
 6.12.1
! sys/kernel/mm/damon/admin/kdamonds/nr_kdamonds
- sys/kernel/mm/lru_gen/enabled
@ proc/meminfo
 MemTotal: 1 kB
 SwapTotal: 0 kB
= memory.swap.max
  1 0
.
"""


def test_a_section_that_was_cut_off_is_not_known():
    assert probed.facts(WHOLE).swap_limits
    cut = WHOLE.removesuffix(".\n")
    assert probed.facts(cut).swap_limits is None
    assert probed.facts(cut).swap_total_bytes == 0


@given(
    st.one_of(
        st.text(),
        st.lists(
            st.tuples(st.sampled_from(["@ ", "= ", "- ", "! ", " "]), st.text(max_size=30))
            | st.sampled_from([(line, "") for line in WHOLE.splitlines()]),
        ).map(lambda lines: "\n".join(mark + rest for mark, rest in lines)),
        st.integers(0, len(WHOLE)).map(lambda end: WHOLE[:end]),
    )
)
def test_whatever_the_text_is_nothing_unknown_is_well(text):
    found = probed.facts(text)
    told = diagnosis("n1", found)
    assert told.findings
    assert all(not re.search(r"[\x00-\x1f\x7f]", f.found) for f in told.findings)
    by_check = {finding.check: finding.state for finding in told.findings}
    for check, needed in NEEDED.items():
        if any(getattr(found, name) is None for name in needed):
            assert by_check.get(check) is not State.OK, check
    if told.tunable == "True":
        assert all(by_check[check] in {State.OK, State.WARNING} for check in ESSENTIAL)


NEEDED = {
    "Kernel": ("release",),
    "Damon": ("damon", "vaddr"),
    "Features": ("features",),
    "Holder": ("holders",),
    "MemoryReclaim": ("reclaim_file",),
    "Swap": ("swap_total_bytes", "swap_free_bytes"),
    "SwapDevice": ("swap_kinds",),
    "PodSwap": ("swap_limits",),
    "Cgroup": ("cgroup_version",),
    "MemoryQoS": ("throttled",),
    "PageSize": ("page_bytes",),
    "TransparentHugePages": ("transparent_huge",),
    "HugePages": ("huge_bytes", "memory_bytes"),
    "MultiGenLRU": ("mglru",),
}
"""NodeFacts without which a check is never ok."""
