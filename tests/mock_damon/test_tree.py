"""Which files a kernel has, with which modes and defaults."""

import errno

import pytest

from damon_mock.damon import profiles

CONTEXT = "0/contexts/0/"


@pytest.fixture
def full(make_machine):
    """Return a maker of machines with one of everything that can be counted."""

    def make(profile):
        machine = make_machine(profile)
        machine.prepare(0)
        machine.set("targets/0/regions/nr_regions", 1)
        scheme = f"damon/admin/kdamonds/{CONTEXT}schemes/0/"
        for name, child in (
            ("filters", "filters"),
            ("core_filters", "filters"),
            ("dests", "dests"),
        ):
            if name in machine.emulator.entries(scheme):
                machine.set(f"schemes/0/{name}/nr_{child}", 1)
        return machine

    return make


@pytest.mark.parametrize(
    ("path", "default"),
    [
        ("nr_kdamonds", "1"),
        ("0/state", "off"),
        ("0/pid", "-1"),
        (CONTEXT + "avail_operations", "vaddr\nfvaddr\npaddr"),
        (CONTEXT + "monitoring_attrs/intervals/sample_us", "5000"),
        (CONTEXT + "monitoring_attrs/intervals/aggr_us", "100000"),
        (CONTEXT + "monitoring_attrs/nr_regions/min", "10"),
        (CONTEXT + "monitoring_attrs/nr_regions/max", "1000"),
        (CONTEXT + "targets/0/pid_target", "0"),
        (CONTEXT + "schemes/0/action", "stat"),
        (CONTEXT + "schemes/0/access_pattern/sz/max", "0"),
        (CONTEXT + "schemes/0/quotas/reset_interval_ms", "0"),
        (CONTEXT + "schemes/0/watermarks/metric", "none"),
        (CONTEXT + "schemes/0/stats/sz_applied", "0"),
    ],
)
def test_files_common_to_all_kernels_have_the_defaults_of_a_new_tree(full, profile, path, default):
    assert full(profile).read(path) == default


@pytest.mark.parametrize(
    ("path", "since"),
    [
        (CONTEXT + "schemes/0/apply_interval_us", "6.12"),
        (CONTEXT + "schemes/0/filters/0/damon_target_idx", "6.12"),
        (CONTEXT + "schemes/0/quotas/effective_bytes", "6.12"),
        (CONTEXT + "schemes/0/tried_regions/total_bytes", "6.12"),
        (CONTEXT + "schemes/0/filters/0/allow", "6.18"),
        (CONTEXT + "schemes/0/core_filters/0/type", "6.18"),
        (CONTEXT + "monitoring_attrs/intervals/intervals_goal/aggrs", "6.18"),
        (CONTEXT + "schemes/0/dests/0/weight", "6.18"),
        (CONTEXT + "addr_unit", "6.18"),
        ("0/refresh_ms", "6.18"),
        (CONTEXT + "targets/0/obsolete_target", "rfc"),
        (CONTEXT + "schemes/0/stats/nr_snapshots", "rfc"),
        (CONTEXT + "schemes/0/quotas/goal_tuner", "7.2"),
        (CONTEXT + "pause", "7.2"),
        (CONTEXT + "monitoring_attrs/probes/nr_probes", "7.2"),
    ],
)
def test_files_appear_with_the_kernel_that_brought_them(full, profile, path, since):
    order = ["6.1", "6.12", "6.18", "rfc", "7.2", "7.3"]
    machine = full(profile)
    if order.index(profile) >= order.index(since):
        assert machine.read(path) is not None
    else:
        with pytest.raises(FileNotFoundError):
            machine.read(path)


def test_target_priority_exists_only_with_the_priority_patches(full, profile):
    names = full(profile).files.list("admin/kdamonds/0/contexts/0/targets/0")
    assert ("target_priority" in names) == (profile == "rfc")


def test_every_file_is_readable_and_ends_with_one_newline(full, profile):
    machine = full(profile)
    for path in machine.emulator.snapshot():
        content = machine.emulator.read(path)
        assert content.endswith(b"\n")
        assert not content.endswith(b"\n\n")


@pytest.mark.parametrize(
    "path", ["0/pid", CONTEXT + "avail_operations", CONTEXT + "schemes/0/stats/nr_tried"]
)
def test_read_only_files_are_0400_and_refuse_writing_even_to_root(full, profile, path):
    machine = full(profile)
    assert machine.emulator.mode(f"damon/admin/kdamonds/{path}") == 0o400
    assert machine.errno_of(path, "1") == errno.EACCES


def test_a_fresh_core_filter_reads_anon_although_it_would_not_accept_it(full):
    machine = full("7.2")
    assert machine.get("schemes/0/core_filters/0/type") == "anon"
    path = CONTEXT + "schemes/0/core_filters/0/type"
    assert machine.errno_of(path, "anon") == errno.EINVAL


@pytest.mark.parametrize("path", ["1/state", "0/nonsense", "0/contexts/1", "00/state", "../x"])
def test_what_is_not_there_is_enoent(full, path):
    with pytest.raises(FileNotFoundError):
        full("7.2").read(path)


def test_directories_are_no_files_and_files_no_directories(full):
    machine = full("7.2")
    with pytest.raises(IsADirectoryError):
        machine.read("0/contexts")
    with pytest.raises(NotADirectoryError):
        machine.files.list("admin/kdamonds/0/state")


def test_both_roots_are_listed(full):
    machine = full("7.2")
    assert machine.emulator.entries("") == ["damon", "module"]
    assert machine.files.list("") == ["admin"]
    assert machine.files.list("admin") == ["kdamonds"]
    assert set(machine.files.list("admin/kdamonds")) == {"nr_kdamonds", "0"}


def test_an_unknown_profile_is_refused_with_the_known_ones():
    with pytest.raises(LookupError, match=r"6\.12"):
        profiles.load("5.4")
