"""The seccomp profile that comes with the chart: what it keeps an agent from."""

import json
from pathlib import Path

import pytest

PROFILE = Path(__file__).parents[2] / "helm/damon-operator/files/seccomp-agent.json"


@pytest.fixture(name="allowed")
def allowed_fixture():
    """Return what is allowed whatever its arguments, and what with some arguments only."""
    rules = json.loads(PROFILE.read_text())["syscalls"]
    allowing = [rule for rule in rules if rule["action"] == "SCMP_ACT_ALLOW"]
    always = {name for rule in allowing if "args" not in rule for name in rule["names"]}
    sometimes = {name for rule in allowing if "args" in rule for name in rule["names"]}
    assert not always & sometimes
    return always, sometimes


def test_what_is_not_named_is_refused():
    assert json.loads(PROFILE.read_text())["defaultAction"] == "SCMP_ACT_ERRNO"


@pytest.mark.parametrize(
    "names",
    [
        pytest.param("kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal",
                     id="signals"),
        pytest.param("ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp process_madvise "
                     "process_mrelease move_pages migrate_pages", id="memory of others"),
        pytest.param("setpriority sched_setaffinity sched_setscheduler sched_setparam "
                     "sched_setattr ioprio_set setpgid", id="turns of others"),
        pytest.param("unshare setns mount umount2 pivot_root chroot mknod mknodat "
                     "open_by_handle_at fsopen move_mount", id="namespaces and mounts"),
        pytest.param("bpf perf_event_open io_uring_setup userfaultfd keyctl add_key init_module "
                     "finit_module kexec_load reboot swapon swapoff syslog personality",
                     id="the kernel"),
    ],
)  # fmt: skip
def test_nobody_else_is_within_reach(allowed, names):
    always, sometimes = allowed
    assert not set(names.split()) & (always | sometimes)


def test_the_calls_that_reach_others_by_an_argument_are_confined(allowed):
    """F_SETOWN and F_SETSIG have the kernel send any signal, with the rights of the caller."""
    _, sometimes = allowed
    assert sometimes == {"clone", "fcntl", "fcntl64", "ioctl", "prlimit64"}
    values = {}
    for rule in json.loads(PROFILE.read_text())["syscalls"]:
        for argument in rule.get("args", ()):
            for name in rule["names"]:
                values.setdefault(name, set()).add(argument["value"])
    assert not values["fcntl"] & {8, 10, 15}, "F_SETOWN, F_SETSIG, F_SETOWN_EX"
    assert not values["ioctl"] & {0x8901, 0x8902, 0x5412}, "FIOSETOWN, SIOCSPGRP, TIOCSTI"
    assert values["prlimit64"] == {0}
