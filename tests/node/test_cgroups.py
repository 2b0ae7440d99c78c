import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent.node import cgroups
from damon_agent.node.cgroups import Place

A = "a1" * 32
B = "b2" * 32
NODE = "0d" * 32
UID = "98bf9974_3c5a_4a6e_9d40_1d2f3a4b5c6d"
DASHED = UID.replace("_", "-")
OTHER = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

LAYOUTS = {
    "containerd, systemd": f"0::/kubepods.slice/kubepods-burstable.slice/"
    f"kubepods-burstable-pod{UID}.slice/cri-containerd-{A}.scope\n",
    "containerd, systemd, guaranteed": f"0::/kubepods.slice/kubepods-pod{UID}.slice/"
    f"cri-containerd-{A}.scope\n",
    "containerd, cgroupfs": f"0::/kubepods/besteffort/pod{DASHED}/{A}\n",
    "CRI-O, systemd": f"0::/kubepods.slice/kubepods-pod{UID}.slice/crio-{A}.scope\n",
    "CRI-O, cgroupfs, crun": f"0::/kubepods/pod{DASHED}/crio-{A}/container\n",
    "docker": f"0::/kubepods.slice/kubepods-pod{UID}.slice/docker-{A}.scope\n",
    "private cgroup namespace": f"0::/../../pod{DASHED}/{A}\n",
    "systemd in the container": f"0::/kubepods/pod{DASHED}/{A}/init.scope\n",
    "kind, systemd": f"0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UID}.slice/"
    f"cri-containerd-{A}.scope\n",
    "kind, seen from outside": f"0::/docker/{NODE}/kubelet/kubepods/pod{DASHED}/{A}\n",
    "v1": f"12:pids:/kubepods/burstable/pod{DASHED}/{A}\n"
    f"5:memory:/kubepods/burstable/pod{DASHED}/{A}\n"
    f"1:name=systemd:/kubepods/burstable/pod{DASHED}/{A}\n",
    "hybrid": f"5:memory:/kubepods/pod{DASHED}/{A}\n0::/system.slice/containerd.service\n",
    "another cgroup root": f"0::/tenant/x/kubepods/pod{DASHED}/{A}\n",
}


@pytest.mark.parametrize("text", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_container_is_found_below_its_own_pod_in_every_layout(text):
    assert cgroups.places(text.encode()) == (Place(DASHED, A),)


@pytest.mark.parametrize(
    "text",
    [
        f"0::/kubepods.slice/kubepods-pod{UID}.slice/crio-conmon-{A}.scope\n",
        f"0::/kubepods/pod{DASHED}/crio-conmon-{A}\n",
        f"5:memory:/machine.slice/libpod-conmon-{A}.scope\n",
    ],
)
def test_a_monitor_is_in_no_container_although_its_cgroup_carries_the_id(text):
    assert cgroups.places(text.encode()) == ()


@pytest.mark.parametrize(
    "text",
    [
        "0::/system.slice/containerd.service\n",
        "0::/\n",
        "",
        f"0::/kubepods/pod{DASHED}\n",
        f"0::/kubepods/{'a' * 63}\n",
        f"0::/kubepods/{'a' * 65}\n",
        f"0::/kubepods/{A.upper()}\n",
    ],
)
def test_a_path_without_an_id_of_64_hex_digits_names_no_container(text):
    assert cgroups.places(text.encode()) == ()


@pytest.mark.parametrize(
    "below",
    [
        f"docker/{B}",
        B,
        f"cri-containerd-{B}.scope",
        f"libpod-conmon-{B}.scope",
        f"kubepods/burstable/pod{OTHER}/{B}",
        f"kubepods.slice/kubepods-pod{OTHER.replace('-', '_')}.slice/cri-containerd-{B}.scope",
        f"kubepods-pod{OTHER}.slice:cri-containerd:{B}",
        f"pod{DASHED}/{B}",
    ],
)
@pytest.mark.parametrize("above", ["/kubepods/burstable", "/docker/" + NODE + "/kubelet/kubepods"])
def test_what_a_container_makes_below_its_own_directory_belongs_to_it(above, below):
    text = f"0::{above}/pod{DASHED}/{A}/{below}\n".encode()
    assert cgroups.places(text) == (Place(DASHED, A),)


def test_a_container_in_a_container_outside_of_all_pods_may_be_either_the_outer_one_first():
    text = f"0::/docker/{NODE}/k8s.io/{A}\n".encode()
    assert cgroups.places(text) == (Place(None, NODE), Place(None, A))


def test_where_memory_is_charged_decides_between_hierarchies_of_v1():
    text = (
        f"12:pids:/kubepods/pod{DASHED}/{B}\n"
        f"5:memory:/kubepods/pod{DASHED}/{A}\n"
        f"0::/kubepods/pod{DASHED}/{B}\n"
    )
    assert cgroups.places(text.encode()) == (Place(DASHED, A),)


def test_a_kubelet_that_runs_in_a_pod_has_its_own_pods_below_that():
    outer = f"/kubepods/pod{OTHER}/{NODE}/kubelet/kubepods"
    agent = f"0::{outer}/pod{DASHED}/{B}\n".encode()
    outer_pods = cgroups.count_pods(agent) - 1
    text = f"0::{outer}/pod{DASHED}/{A}/pod{OTHER}/{B}\n".encode()
    assert cgroups.places(text, outer_pods) == (Place(DASHED, A),)


@pytest.mark.parametrize(
    ("pod", "uid", "may_be"),
    [
        (DASHED, DASHED, True),
        (OTHER, DASHED, False),
        ("0123456789abcdef0123456789abcdef", DASHED, True),
        (None, DASHED, True),
    ],
    ids=["its own", "another's", "a static pod's", "none"],
)
def test_a_place_is_a_containers_own_if_it_can_be_its_pods(pod, uid, may_be):
    assert Place(pod, A).may_be_of(uid) is may_be


@pytest.mark.parametrize(
    ("directory", "found"),
    [
        (f"cri-containerd-{A}.scope", A),
        (f"crio-{A}", A),
        (A, A),
        (f"crio-conmon-{A}.scope", None),
        (f"run-containerd-io.containerd.runtime.v2.task-k8s.io-{A}-rootfs.mount", None),
        (f"var-lib-containers-storage-overlay-{A}-merged.mount", None),
        (f"var-lib-docker-{A}.mount", None),
        (f"{A}.service", None),
        (f"cri-containerd-{A}.scope\n", None),
        (f"{A}\udcff", None),
        (f"kubepods-pod{UID}.slice:cri-containerd:{A}", A),
        (f"kubepods-pod{UID}.slice", None),
        ("init.scope", None),
    ],
)
def test_a_directory_is_a_containers_when_its_name_carries_the_id(directory, found):
    assert cgroups.container_id(directory) == found


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_error(text):
    assert all(len(place.container) == 64 for place in cgroups.places(text))
