"""What a pod's cgroup says: whole, absent, or of another version, and never a guess."""

import pytest

from damon_agent.errors import MalformedError
from damon_agent.facts import PodCharge, PodMemory
from damon_agent.node import pods

POD = "kubepods-burstable-pod6ba7b810_9dad_11d1_80b4_00c04fd430c8.slice"
MIB = 1 << 20
V1 = "cache 1\nrss 2\ninactive_anon 3\nworkingset_refault_anon 4\ntotal_pgmajfault 5\n"


def stat(anon=8, file=4, refaults=0):
    return (
        f"anon {anon * MIB}\nfile {file * MIB}\nkernel 77\ninactive_anon 1\n"
        f"workingset_refault_anon {refaults}\nworkingset_refault_file 99\npgmajfault 5\n"
    )


def memory(*figures, cgroups=1):
    """Return a reading of so many cgroups with the page cache of `stat`."""
    return PodMemory(*figures, file_bytes=cgroups * 4 * MIB, file_refaults=cgroups * 99)


def pressure(avg10="0.00"):
    return f"some avg10={avg10} avg60=9.99 avg300=9.99 total=1\nfull avg10=9.99 avg60=0 total=0\n"


def cgroup(directory, *, swapped=None, pressure=None, stat=None, events=None):
    directory.mkdir(parents=True, exist_ok=True)
    files = {
        "memory.stat": stat,
        "memory.pressure": pressure,
        "memory.swap.current": swapped,
        "memory.swap.events": events,
    }
    for name, text in files.items():
        if text is not None:
            (directory / name).write_text(text)
    return str(directory)


def test_a_pod_is_read_from_its_own_cgroup(tmp_path):
    cgroup(tmp_path / POD, stat=stat(), pressure=pressure("1.25"))
    homes = [cgroup(tmp_path / POD / name) for name in ("one.scope", "two.scope")]
    assert pods.read({"u": homes}) == {"u": memory(12 * MIB, 8 * MIB, 0, 125)}


def test_without_a_directory_of_its_own_a_pod_is_the_sum_of_its_containers(tmp_path):
    one = cgroup(tmp_path / "docker/one", stat=stat(anon=1, refaults=3), pressure=pressure("0.50"))
    two = cgroup(tmp_path / "docker/two", stat=stat(anon=2, refaults=4), pressure=pressure("12.00"))
    assert pods.read({"u": [one, two]}) == {"u": memory(11 * MIB, 3 * MIB, 7, 1200, cgroups=2)}


@pytest.mark.parametrize(
    ("parent", "own"),
    [
        (POD, True),
        ("pod6ba7b810-9dad-11d1-80b4-00c04fd430c8", True),
        ("kubepods-pod0123456789abcdef0123456789abcdef.slice", True),
        ("kubepods-burstable.slice", False),
        ("docker", False),
    ],
)
def test_a_directory_is_a_pods_own_by_its_name(tmp_path, parent, own):
    homes = [f"{tmp_path}/{parent}/a", f"{tmp_path}/{parent}/b"]
    assert pods.cgroups(homes) == ((f"{tmp_path}/{parent}",) if own else tuple(homes))


def test_what_is_swapped_counts_where_something_has_come_back(tmp_path):
    never = cgroup(tmp_path / "a", stat=stat(refaults=0), swapped=f"{MIB}\n")
    once = cgroup(tmp_path / "b", stat=stat(refaults=1), swapped=f"{MIB}\n")
    seen = pods.read({"never": [never], "once": [once]})
    assert seen["never"].anonymous_bytes == 8 * MIB
    assert seen["once"].anonymous_bytes == 9 * MIB


@pytest.mark.parametrize(
    ("fail", "swapped", "refusals"),
    [(0, "4096\n", 0), (9, "4096\n", 9), (9, "0\n", 0), (9, None, 0)],
)
def test_a_refusal_counts_for_those_who_have_something_in_swap(tmp_path, fail, swapped, refusals):
    """Where memory.swap.max is 0, or there is no swap, every attempt is one."""
    home = cgroup(
        tmp_path / "a", stat=stat(), swapped=swapped, events=f"high 0\nmax 3\nfail {fail}\n"
    )
    assert pods.read({"u": [home]})["u"].swap_refusals == refusals


def test_without_pressure_files_refaults_are_read_all_the_same(tmp_path):
    assert pods.read({"u": [cgroup(tmp_path / "a", stat=stat(refaults=1))]}) == {
        "u": memory(12 * MIB, 8 * MIB, 1, None)
    }


@pytest.mark.parametrize("text", [None, "", V1])
def test_cgroup_v1_and_what_is_not_there_cannot_be_seen(tmp_path, text):
    home = cgroup(tmp_path / "a", stat=text, pressure=pressure("99.00"))
    assert pods.read({"u": [home], "nobody": []}) == {"u": None, "nobody": None}


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ("memory.stat", "anon many\nfile 1\n"),
        ("memory.stat", f"anon {'9' * 5000}\nfile 1\n"),
        ("memory.stat", None),
        ("memory.pressure", "some avg10=often avg60=0.00\n"),
        ("memory.pressure", "some avg10=1.234 avg60=0.00\n"),
        ("memory.pressure", "\udcff\x00"),
        ("memory.pressure", None),
        ("memory.swap.current", "much\n"),
        ("memory.swap.current", ""),
        ("memory.swap.current", None),
    ],
)
def test_what_cannot_be_read_costs_its_own_pod_and_is_told_there(tmp_path, broken, text):
    well = cgroup(tmp_path / "well", stat=stat(), pressure=pressure())
    hurt = cgroup(tmp_path / "hurt", stat=stat(refaults=1), pressure=pressure(), swapped="0\n")
    (tmp_path / "hurt" / broken).unlink()
    if text is None:
        (tmp_path / "hurt" / broken).mkdir()
    else:
        (tmp_path / "hurt" / broken).write_bytes(text.encode(errors="surrogateescape"))
    troubles = {}
    assert pods.read({"hurt": [hurt], "well": [well]}, troubles=troubles) == {
        "hurt": None,
        "well": memory(12 * MIB, 8 * MIB, 0, 0),
    }
    assert troubles.keys() == {"hurt"}
    assert f"hurt/{broken}" in str(troubles["hurt"])


def charged(directory, current, text):
    home = cgroup(directory, stat=text)
    (directory / "memory.current").write_text(current)
    return home


def test_the_kubelet_does_not_count_inactive_file_pages_as_in_use(tmp_path):
    homes = [
        charged(tmp_path / name, f"{9 * MIB}\n", f"{stat()}inactive_file {3 * MIB}\n")
        for name in ("one", "two")
    ]
    assert pods.charge(homes) == PodCharge(file_bytes=8 * MIB, working_set_bytes=12 * MIB)


def test_what_a_pod_is_charged_for_is_unknown_where_a_file_is_missing_and_never_a_guess(tmp_path):
    home = cgroup(tmp_path / "one", stat=stat())
    assert pods.charge([home]) is None, "no memory.current"
    (tmp_path / "one/memory.current").write_text("much")
    with pytest.raises(MalformedError, match=r"memory\.current"):
        pods.charge([home])
