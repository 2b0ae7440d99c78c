"""How written text is taken: the kernel's parsers, not Python's."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_mock.damon import parse

SAMPLE = "0/contexts/0/monitoring_attrs/intervals/sample_us"
PID = "0/contexts/0/targets/0/pid_target"
QUOTA = "0/contexts/0/schemes/0/quotas/bytes"
TARGET_INDEX = "0/contexts/0/schemes/0/filters/0/damon_target_idx"


@pytest.fixture
def machine(make_machine):
    machine = make_machine("7.2")
    machine.prepare(0)
    machine.set("schemes/0/filters/nr_filters", 1)
    return machine


def raw(machine, path, data):
    """Return what a write of exactly these bytes leads to: the value read back, or the errno."""
    try:
        machine.files.write("admin/kdamonds/" + path, data)
    except OSError as error:
        return error.errno
    return machine.read(path)


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (b"0x10", "16"),
        (b"010", "8"),
        (b"+5", "5"),
        (b"7\n", "7"),
        (b"7\0garbage", "7"),
        (b"18446744073709551615", "18446744073709551615"),
        (b"18446744073709551616", errno.ERANGE),
        (b"-1", errno.EINVAL),
        (b" 5", errno.EINVAL),
        (b"5 ", errno.EINVAL),
        (b"5\n\n", errno.EINVAL),
        (b"1.0", errno.EINVAL),
        (b"1e3", errno.EINVAL),
        (b"\n", errno.EINVAL),
        (b"08", errno.EINVAL),
        (b"0x", errno.EINVAL),
        (b"+-5", errno.EINVAL),
        ("\uff15".encode(), errno.EINVAL),
    ],
)
def test_unsigned_longs_are_parsed_as_kstrtoul_base_0(machine, data, outcome):
    assert raw(machine, SAMPLE, data) == outcome


@pytest.mark.parametrize(
    ("path", "data", "outcome"),
    [
        (PID, b"-1", "-1"),
        (PID, b"2147483648", errno.EINVAL),  # its store turns every parse error into EINVAL
        (QUOTA, b"18446744073709551616", errno.EINVAL),
        (TARGET_INDEX, b"-1", "-1"),
        (TARGET_INDEX, b"99", "99"),
        (TARGET_INDEX, b"2147483648", errno.ERANGE),
        (TARGET_INDEX, b"-2147483648", "-2147483648"),
        (TARGET_INDEX, b"-2147483649", errno.ERANGE),
    ],
)
def test_signed_files_take_minus_and_some_hide_the_range_error(machine, path, data, outcome):
    assert raw(machine, path, data) == outcome


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        *[(text, "Y") for text in (b"Y", b"y", b"1", b"on", b"ON\n", b"true", b"t")],
        *[(text, "N") for text in (b"N", b"n", b"0", b"off", b"false", b"f")],
        (b"2", errno.EINVAL),
        (b"o", errno.EINVAL),
    ],
)
def test_bools_are_parsed_as_kstrtobool_and_read_back_as_y_or_n(machine, data, outcome):
    assert raw(machine, "0/contexts/0/schemes/0/filters/0/matching", data) == outcome


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (b"pageout", "pageout"),
        (b"pageout\n", "pageout"),
        (b"pageout\n\n", errno.EINVAL),
        (b"Pageout", errno.EINVAL),
        (b"pageout ", errno.EINVAL),
    ],
)
def test_keywords_are_exact_but_for_one_trailing_newline(machine, data, outcome):
    assert raw(machine, "0/contexts/0/schemes/0/action", data) == outcome


@pytest.mark.parametrize(
    ("profile", "action", "outcome"),
    [
        ("6.1", "migrate_hot", errno.EINVAL),
        ("6.12", "migrate_hot", "migrate_hot"),
        ("6.18", "collapse", errno.EINVAL),
        ("7.2", "collapse", "collapse"),
    ],
)
def test_actions_came_with_kernels(make_machine, profile, action, outcome):
    machine = make_machine(profile)
    machine.prepare(0)
    assert raw(machine, "0/contexts/0/schemes/0/action", action.encode()) == outcome


def test_filter_kinds_belong_to_their_directory(machine):
    machine.set("schemes/0/core_filters/nr_filters", 1)
    machine.set("schemes/0/ops_filters/nr_filters", 1)
    core = "0/contexts/0/schemes/0/core_filters/0/type"
    ops = "0/contexts/0/schemes/0/ops_filters/0/type"
    assert raw(machine, core, b"target") == "target"
    assert raw(machine, core, b"memcg") == errno.EINVAL
    assert raw(machine, ops, b"memcg") == "memcg"
    assert raw(machine, ops, b"target") == errno.EINVAL
    assert raw(machine, "0/contexts/0/schemes/0/filters/0/type", b"memcg") == "memcg"


def test_a_memcg_path_keeps_its_newline(machine):
    path = "admin/kdamonds/0/contexts/0/schemes/0/filters/0/memcg_path"
    machine.files.write(path, b"/kubepods/pod\n")
    assert machine.files.read(path) == b"/kubepods/pod\n\n"


def test_a_write_of_nothing_returns_and_changes_nothing(machine):
    machine.write(SAMPLE, 7)
    assert raw(machine, SAMPLE, b"") == "7"


def test_a_failed_write_keeps_the_old_value(machine):
    machine.write(SAMPLE, 7)
    assert machine.errno_of(SAMPLE, "x") == errno.EINVAL
    assert machine.read(SAMPLE) == "7"


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        *[(text, errno.EINVAL) for text in (b"0", b"101", b"-1", b"abc", b"5\n\n", b" 5", b"5.0")],
        (b"99999999999999999999", errno.EINVAL),  # not ERANGE
        (b"1", "1"),
        (b"100\n", "100"),
        (b"0x10", "16"),
        (b"010", "8"),
        (b"+7", "7"),
        (b"5\0", "5"),
    ],
)
def test_target_priority_takes_1_to_100(make_machine, data, outcome):
    machine = make_machine("rfc")
    machine.prepare(2)
    assert machine.get("targets/0/target_priority") == "0"
    assert raw(machine, "0/contexts/0/targets/0/target_priority", data) == outcome


def test_target_priority_0_comes_back_only_with_new_targets(make_machine):
    machine = make_machine("rfc")
    machine.prepare(2)
    machine.set("targets/0/target_priority", 5)
    assert machine.errno_of("0/contexts/0/targets/0/target_priority", 0) == errno.EINVAL
    machine.set("targets/nr_targets", 1)
    assert machine.get("targets/0/target_priority") == "0"
    assert machine.get("targets/0/pid_target") == "0"


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_what_was_written_in_decimal_is_what_is_read(number):
    assert parse.stored("ulong", str(number).encode(), {}) == str(number)


@given(st.binary(max_size=12), st.sampled_from(["ulong", "int", "uint", "bool", "priority"]))
def test_no_bytes_at_all_raise_anything_but_oserror(data, kind):
    try:
        value = parse.stored(kind, data, {})
    except OSError:
        return
    assert parse.stored(kind, value.encode(), {}) == value
