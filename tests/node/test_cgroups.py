import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent.node import cgroups

A = "a1" * 32
B = "b2" * 32
NODE = "0d" * 32
UID = "98bf9974_3c5a_4a6e_9d40_1d2f3a4b5c6d"
DASHED = UID.replace("_", "-")

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
def test_the_innermost_container_comes_first_in_every_layout(text):
    assert cgroups.container_ids(text.encode())[0] == A


@pytest.mark.parametrize(
    "text",
    [
        f"0::/kubepods.slice/kubepods-pod{UID}.slice/crio-conmon-{A}.scope\n",
        f"0::/kubepods/pod{DASHED}/crio-conmon-{A}\n",
        f"5:memory:/machine.slice/libpod-conmon-{A}.scope\n",
    ],
)
def test_a_monitor_is_in_no_container_although_its_cgroup_carries_the_id(text):
    assert cgroups.container_ids(text.encode()) == ()


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
    assert cgroups.container_ids(text.encode()) == ()


def test_a_container_inside_a_container_belongs_to_both_the_inner_one_first():
    text = f"0::/kubepods/pod{DASHED}/{A}/docker/{B}\n".encode()
    assert cgroups.container_ids(text) == (B, A)


def test_the_monitor_of_an_inner_container_still_belongs_to_the_outer_one():
    text = f"0::/kubepods/pod{DASHED}/{A}/libpod-conmon-{B}.scope\n".encode()
    assert cgroups.container_ids(text) == (A,)


@pytest.mark.parametrize(
    ("directory", "found"),
    [
        (f"cri-containerd-{A}.scope", A),
        (f"crio-{A}", A),
        (A, A),
        (f"crio-conmon-{A}.scope", None),
        (f"kubepods-pod{UID}.slice", None),
        ("init.scope", None),
    ],
)
def test_a_directory_is_a_containers_when_its_name_carries_the_id(directory, found):
    assert cgroups.named_id(directory) == found


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_error(text):
    assert all(len(found) == 64 for found in cgroups.container_ids(text))
