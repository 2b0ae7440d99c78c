"""Whatever stands in the way has a reason a user understands, and ends with its cause."""

import errno

import pytest

from damon_agent.kernel.lanes.bands import KDAMONDS
from damon_agent.kernel.lanes.lane import DRIFT_APART_US, DRIFT_US
from damon_contract.v1alpha1.node import NodeReason
from damon_mock.damon import Fails, Fault, Hangs, StopsKdamond, Writer


def reasons(report) -> set[NodeReason]:
    return {fault.reason for fault in report.faults}


def blames(reason: NodeReason):
    return lambda report: reason in reasons(report)


@pytest.fixture
def intent(node):
    return node.intent([(node.spawn(), 30), (node.spawn(), 60), (node.spawn(), 90)])


def test_a_foreign_kdamond_is_named_left_alone_and_waited_for(node, intent):
    node.write_as_other("nr_kdamonds", "1")
    node.write_as_other("0/contexts/nr_contexts", "1")
    report = node.settle(intent, until=blames(NodeReason.DAMON_BUSY))
    assert "nr_kdamonds is 1" in report.faults[0].message
    node.keep_running(intent, 10_000_000)
    assert node.writes() == []
    node.write_as_other("nr_kdamonds", "0")
    assert node.settle(intent).faults == ()


def test_kdamonds_that_somebody_replaced_are_not_ours_any_more(node, intent):
    node.settle(intent)
    for kdamond in node.kernel_targets():
        node.write_as_other(f"{kdamond}/state", "off")
    node.write_as_other("nr_kdamonds", "3")
    before = len(node.writes())
    node.settle(intent, until=blames(NodeReason.DAMON_BUSY))
    assert node.writes()[before:] == []
    node.write_as_other("nr_kdamonds", "0")
    node.settle(intent)
    assert len(node.targeted()) == 3


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("damon_stat", NodeReason.DAMON_STAT_ENABLED),
        ("damon_reclaim", NodeReason.DAMON_BUSY),
        ("damon_lru_sort", NodeReason.DAMON_BUSY),
    ],
)
def test_an_exclusive_user_of_damon_is_named_and_waited_for(node_of, module, reason):
    node = node_of("7.2")
    node.emulator.modules.enabled[module] = True
    intent = node.intent([(node.spawn(), 30)])
    report = node.settle(intent, until=blames(reason))
    assert module in report.faults[0].message
    assert node.writes() == []
    node.emulator.modules.enabled[module] = False
    assert node.settle(intent).faults == ()


def test_an_exclusive_user_that_comes_while_nothing_runs(node_of):
    node = node_of("7.2")
    a, b = node.spawn(), node.spawn()
    node.settle(node.intent([(a, 30)]))
    node.processes.kill(a.pid)
    node.keep_running(node.intent([]), 6_000_000)
    node.emulator.modules.enabled["damon_stat"] = True
    node.settle(node.intent([(b, 30)]), until=blames(NodeReason.DAMON_STAT_ENABLED))
    node.emulator.modules.enabled["damon_stat"] = False
    assert node.settle(node.intent([(b, 30)])).faults == ()


def test_no_damon_then_damon(node, intent):
    node.emulator.present = False
    report = node.settle(intent, until=blames(NodeReason.NO_DAMON))
    assert "CONFIG_DAMON_SYSFS" in report.faults[0].message
    node.emulator.present = True
    assert node.settle(intent).faults == ()


def test_a_read_only_mount_then_a_writable_one(node, intent):
    node.emulator.read_only = True
    node.settle(intent, until=blames(NodeReason.READ_ONLY))
    assert not (node.state_dir / "record.json").exists(), "nothing was claimed"
    node.emulator.read_only = False
    assert node.settle(intent).faults == ()


def test_read_only_while_running_then_writable_again(node, intent):
    node.settle(intent)
    grown = node.intent([(m.process, m.priority) for m in intent.members] + [(node.spawn(), 30)])
    node.emulator.read_only = True
    node.settle(grown, until=blames(NodeReason.READ_ONLY))
    node.emulator.read_only = False
    assert node.settle(grown).faults == ()
    assert len(node.targeted()) == 4


def test_no_permission(node, intent):
    node.emulator.faults.add(Fault("*", Fails(errno.EACCES), times=None))
    node.settle(intent, until=blames(NodeReason.PERMISSION_DENIED))
    node.emulator.faults.clear()
    assert node.settle(intent).faults == ()


def test_no_operations_for_processes(node, intent):
    node.emulator.faults.add(
        Fault("*/avail_operations", Fails(errno.EINVAL), operation="read", times=None)
    )
    node.settle(intent, until=lambda report: bool(report.faults))
    node.emulator.faults.clear()
    assert node.settle(intent).faults == ()


def test_a_short_storm_of_ebusy_is_no_fault(node, intent):
    node.emulator.faults.add(
        Fault("*", Fails(errno.EBUSY), times=30),
        Fault("*/state", Fails(errno.EBUSY), operation="read", times=30),
    )
    node.settle(intent, until=lambda report: report.at_rest or bool(report.faults))
    assert node.settle(intent).faults == ()


@pytest.mark.parametrize("path", ["*/nr_kdamonds", "*/nr_targets", "*/state"])
def test_a_lasting_storm_of_ebusy_is_said_and_survived(node, intent, path):
    node.emulator.faults.add(Fault(path, Fails(errno.EBUSY), times=None))
    node.settle(intent, until=blames(NodeReason.SYSFS_LOCKED))
    assert len(node.writes()) < 2000, "with a back-off"
    node.emulator.faults.clear()
    assert node.settle(intent).faults == ()


def test_a_hung_commit_is_freed_by_off_and_everything_built_anew(node, intent):
    node.settle(intent)
    grown = node.intent([(m.process, m.priority) for m in intent.members] + [(node.spawn(), 30)])
    node.emulator.faults.add(Fault("*/state", Hangs(), value="commit"))
    report = node.settle(grown, until=blames(NodeReason.COMMIT_HUNG))
    assert "commit has not come back" in report.faults[0].message
    assert node.settle(grown).faults == ()
    assert len(node.targeted()) == 4
    assert len(node.events("stop")) == 1, "the other lanes went on"


def test_a_commit_that_reports_success_and_stops_the_kdamond(node, intent):
    node.settle(intent)
    grown = node.intent([(m.process, m.priority) for m in intent.members] + [(node.spawn(), 30)])
    node.emulator.faults.add(Fault("*/state", StopsKdamond(), value="commit"))
    report = node.settle(grown, until=blames(NodeReason.KDAMOND_STOPPED))
    assert "kdamond" in report.faults[0].message
    assert node.settle(grown).faults == ()
    assert len(node.targeted()) == 4


def test_a_kdamond_that_keeps_stopping_is_left_alone_for_longer_and_longer(node, intent):
    node.settle(intent)
    for _ in range(4):
        node.emulator.kdamonds[0].stop("by a test")
        node.settle(intent, until=blames(NodeReason.KDAMOND_STOPPED))
        node.settle(intent)
    starts = [e.time_us for e in node.events("on") if e.kdamond == 0]
    stops = [e.time_us for e in node.events("stop") if e.kdamond == 0]
    delays = [start - stop for start, stop in zip(starts[1:], stops, strict=True)]
    assert delays[-1] > 2 * delays[0]


def test_a_kdamond_that_ends_with_its_last_process_is_no_fault(node):
    a, b = node.spawn(), node.spawn()
    node.settle(node.intent([(a, 30)]))
    node.processes.kill(a.pid)
    seen = []
    node.keep_running(node.intent([(a, 30)]), 3_000_000)
    report = node.settle(
        node.intent([(b, 30)]), until=lambda report: seen.append(report.faults) or report.at_rest
    )
    assert report.at_rest
    assert set(seen) == {()}
    assert node.targeted() == {b}


def test_a_commit_the_kernel_rejects_is_said_and_tried_again(node, intent):
    node.settle(intent)
    grown = node.intent([(m.process, m.priority) for m in intent.members] + [(node.spawn(), 30)])
    node.emulator.faults.add(Fault("*/state", Fails(errno.EINVAL), value="commit", times=2))
    report = node.settle(grown, until=blames(NodeReason.COMMIT_FAILED))
    assert "EINVAL" in report.faults[0].message
    assert node.settle(grown).faults == ()


def test_a_process_that_dies_between_our_look_and_the_commit_costs_no_fault(node, intent):
    node.settle(intent)
    doomed, stays = node.spawn(), node.spawn()
    grown = node.intent(
        [(m.process, m.priority) for m in intent.members] + [(doomed, 30), (stays, 30)]
    )
    start = node.commands.start

    def dying(kdamond, keyword, then=None):
        if keyword == "commit" and node.is_alive(doomed):
            node.processes.kill(doomed.pid)
        return start(kdamond, keyword, then)

    node.commands.start = dying
    seen = set()

    def done(report) -> bool:
        seen.update(report.faults)
        return stays in node.targeted() and intent.members[0].process in node.targeted()

    node.settle(grown, until=done)
    assert seen == set()


def test_a_process_that_dies_while_the_files_are_written_is_never_committed(node, intent):
    node.settle(intent)
    stays, doomed = node.spawn(), node.spawn()
    grown = node.intent(
        [(m.process, m.priority) for m in intent.members] + [(stays, 30), (doomed, 30)]
    )
    write = node.emulator.write

    def deadly(path, data, *writer):
        if path.endswith("/pid_target") and data == str(doomed.pid).encode():
            node.processes.kill(doomed.pid)
        return write(path, data, *writer)

    node.emulator.write = deadly
    node.settle(grown, until=lambda _: stays in node.targeted())
    assert node.events("stop") == []
    assert {record.code for record in node.writes("commit")} == {0}


def test_a_state_directory_that_cannot_be_written_stops_all_writes(node, intent):
    node.state_dir.parent.mkdir(exist_ok=True)
    for entry in node.state_dir.iterdir() if node.state_dir.exists() else ():
        entry.unlink()
    if node.state_dir.exists():
        node.state_dir.rmdir()
    node.state_dir.write_text("a file where the directory should be")
    node.settle(intent, until=blames(NodeReason.STATE_UNWRITABLE))
    assert node.writes() == []
    node.state_dir.unlink()
    assert node.settle(intent).faults == ()


def test_a_second_agent_on_the_same_state_directory_is_kept_out(node, intent):
    node.settle(intent)
    first, store = node.driver, node.state
    node.state = None
    node.restart()
    before = len(node.writes())
    report = node.settle(intent, until=blames(NodeReason.DAMON_BUSY))
    assert "another agent" in report.faults[0].message
    assert node.writes()[before:] == []
    del first
    store.unlock()
    node.settle(intent)


def test_what_somebody_else_writes_into_our_files_is_put_right(node, intent):
    node.settle(intent)
    (kdamond,) = [
        k for k, held in node.kernel_targets().items() if intent.members[0].process in held
    ]
    node.write_as_other(f"{kdamond}/contexts/0/schemes/1/watermarks/high", "1000")
    node.write_as_other(f"{kdamond}/contexts/0/targets/0/pid_target", "1")
    node.emulator.write(f"damon/admin/kdamonds/{kdamond}/state", b"commit", Writer("other"))
    node.keep_running(intent, DRIFT_US + KDAMONDS * DRIFT_APART_US, check=lambda: None)
    node.settle(intent)
    assert node.read(f"{kdamond}/contexts/0/schemes/1/watermarks/high") != "1000"
    assert node.kernel_targets()[kdamond] == [intent.members[0].process]


def test_what_somebody_else_writes_under_our_commit_is_put_right_at_once(node_of):
    """And whoever gets his slot back does not get the intruder's ages with it."""
    node = node_of("6.12")
    a, b, intruder = node.spawn(), node.spawn(), node.spawn()
    node.settle(node.intent([(a, 30)]))
    grown = node.intent([(a, 30), (b, 30)])
    start = node.commands.start

    def disturbed(kdamond, keyword, then=None):
        node.write_as_other(f"{kdamond}/contexts/0/targets/1/pid_target", str(intruder.pid))
        return start(kdamond, keyword, then)

    node.commands.start = disturbed
    node.step(grown)
    node.commands.start = start
    node.keep_running(grown, 12_000_000)
    node.settle(grown)
    assert node.targeted() == {a, b}


def test_a_context_that_somebody_removed_is_made_again(node, intent):
    node.settle(intent)
    node.write_as_other("0/contexts/nr_contexts", "0")
    node.keep_running(intent, DRIFT_US + DRIFT_APART_US)
    node.settle(intent)
    assert len(node.targeted()) == 3
    assert node.emulator.panicked is None


def test_a_kdamond_of_ours_that_somebody_else_set_up_and_switched_on_is_switched_off(node_of):
    """Nobody knows who is in it; and on 6.12, where all its schemes sleep, a commit would hang."""
    node = node_of("6.12")
    node.settle(node.intent([]))
    node.write_as_other("0/contexts/nr_contexts", "1")
    for path, value in (
        ("targets/nr_targets", "1"),
        ("targets/0/pid_target", "1"),
        ("schemes/nr_schemes", "1"),
        ("schemes/0/watermarks/metric", "free_mem_rate"),
        ("schemes/0/watermarks/interval_us", "5000000"),
    ):
        node.write_as_other(f"0/contexts/0/{path}", value)
    node.write_as_other("0/state", "on")
    process = node.spawn()
    node.keep_running(node.intent([(process, 50)]), 10_000_000)
    assert node.settle(node.intent([(process, 50)])).faults == ()
    assert node.writes("commit") == []
    assert list(node.kernel_targets().values()) == [[process]]


def test_after_a_hang_every_file_is_ours_again(node_of):
    """Somebody let the scheme sleep that keeps it awake: the next commit would hang, too."""
    node = node_of("6.12")
    process, other = node.spawn(), node.spawn()
    asleep_too = {"floor_permille": 100, "ceiling_permille": 101}
    intent = node.intent([(process, 30)], **asleep_too)
    node.settle(intent)
    meter = "0/contexts/0/schemes/0/watermarks"
    asleep = {"metric": "free_mem_rate", "interval_us": "1000000", "high": "2", "mid": "2"}
    for name, value in asleep.items():
        node.write_as_other(f"{meter}/{name}", value)
    node.write_as_other("0/state", "commit")
    node.keep_running(intent, 10_000_000)
    grown = node.intent([(process, 30), (other, 30)], **asleep_too)
    node.settle(grown, until=blames(NodeReason.COMMIT_HUNG))
    node.settle(grown)
    assert node.targeted() == {process, other}
    assert node.read(f"{meter}/metric") == "none"
