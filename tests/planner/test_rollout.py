"""Which nodes take a changed tuning next, as pure rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_contract.v1alpha1.totals import Sums
from damon_contract.v1alpha1.tuning import DamonTuningSpec, DamonTuningStatus
from damon_operator.facts import Tuning
from damon_operator.planner.rollout import before, progress, standing, verdict
from damon_operator.planner.tally import Row

OLD = DamonTuningSpec(mode="Observe").policy()


def row(node, *reasons, revision="", settled=False, **fields):
    counted = {"pods": {}, "unsupported": False, "degraded": False, "unreported": False, **fields}
    return Row(
        node=node,
        matching=("all",),
        applied=not reasons,
        reasons=reasons,
        revision=revision,
        settled=settled or (bool(revision) and not reasons),
        **counted,
    )


@pytest.fixture(name="changed")
def changed_fixture(tuning):
    """Return a tuning that observed on all nodes, and is to enforce now."""

    def change(stands=OLD, mode="Enforce", **rollout):
        made = tuning(mode=mode, rollout=rollout)
        status = DamonTuningStatus(standing=stands)
        return made._replace(status=status, revision=made.spec.policy().revision())

    return change


def old(*names):
    return [row(name, revision=OLD.revision()) for name in names]


def new(changed, *names, reasons=()):
    return [row(name, *reasons, revision=changed.revision) for name in names]


def test_so_many_nodes_take_it_as_are_let(changed):
    assert len(progress(changed(), old(*"abcdefghij")).next) == 1
    assert len(progress(changed(maxNodes=3), old(*"abcdefghij")).next) == 3
    assert len(progress(changed(maxNodes="25%"), old(*"abcdefghij")).next) == 2
    assert len(progress(changed(maxNodes="5%"), old(*"abcdefghij")).next) == 1


def test_one_that_takes_it_for_much_too_long_leaves_the_budget_or_halts_it(changed):
    made = changed()
    mute = row("a", "NoReport", revision=made.revision, unreported=True)
    assert progress(made, [mute, *old("b", "c")]).next == ()
    far = progress(made, [mute._replace(late=True), *old("b", "c")])
    assert (far.apart, far.updated, len(far.next)) == (("a",), 1, 1)
    behind = row("a", "PlanPending", revision=made.revision)._replace(late=True)
    far = progress(made, [behind, *old("b", "c")])
    assert far.failing == (("a", "PlanPending for too long"),)
    assert (far.next, verdict(far).reason) == ((), "RolloutHalted")


def test_the_next_one_waits_until_the_one_before_is_ready_with_it(changed):
    made = changed()
    taking = new(made, "a", reasons=("PlanPending",))
    assert progress(made, [*taking, *old("b", "c")]).next == ()
    assert len(progress(made, [*new(made, "a"), *old("b", "c")]).next) == 1


@pytest.mark.parametrize(
    "reason", ["DamonBusy", "PlanInvalid", "AgentSilent", "SafetyLimit", "Odd"]
)
def test_a_node_that_is_not_well_with_it_halts_all_others(changed, reason):
    made = changed(maxNodes=3)
    far = progress(made, [*new(made, "a", reasons=(reason,)), *old(*"bcdef")])
    assert far.next == ()
    said = verdict(far)
    assert (said.status, said.reason) == ("False", "RolloutHalted")
    assert f"1 of 6 nodes have revision {made.revision}" in said.message
    assert f"halted because node a: {reason}" in said.message


def test_one_that_turns_bad_long_after_halts_as_well(changed):
    made = changed()
    late = row("a", "NodeUnreadable", revision=made.revision, settled=True)
    assert progress(made, [late, *new(made, *"bcd"), *old("e")]).next == ()


def test_a_node_without_damon_that_is_served_by_memory_reclaim_halts_nothing(changed):
    made = changed()
    unserved = row("a", "NoDamon", revision=made.revision, settled=True)
    assert progress(made, [unserved, *old("b")]).next == ()
    served = unserved._replace(applied=True)
    assert len(progress(made, [served, *old("b")]).next) == 1


@pytest.mark.parametrize(
    "reason", ["Applying", "PlanPending", "NoSwap", "NoMemoryReclaim", "ContainerUnknown"]
)
def test_what_passes_by_itself_or_is_the_nodes_own_halts_nothing(changed, reason):
    made = changed()
    carried_out = row("a", reason, revision=made.revision, settled=True)
    assert len(progress(made, [carried_out, *old("b")]).next) == 1


def test_many_spared_pods_halt_it(changed):
    hurt = Sums(running=4, spared=3)
    made = changed(maxSparedPermille=700)
    far = progress(made, [row("a", revision=made.revision, figures=hurt), *old("b")])
    assert far.failing == (("a", "Spared: 3 of 4 pods"),)
    made = changed(maxSparedPermille=750)
    assert not progress(made, [row("a", revision=made.revision, figures=hurt), *old("b")]).failing


def test_nodes_that_were_not_well_before_take_it_last_and_halt_nothing(changed):
    made = changed(maxNodes=9)
    bad = row("bad", "NoDamon", revision=OLD.revision())
    mute = row("mute", "NoReport", revision=OLD.revision(), unreported=True)
    far = progress(made, [bad, mute, *old("b")])
    assert far.next == ("b",)
    assert not far.complete
    assert progress(made, [bad, mute, *new(made, "b")]).complete
    # Without any node that is well with it nothing is known of it.
    assert not progress(made, [bad, mute]).complete


@pytest.mark.parametrize(
    ("reasons", "hurt"),
    [
        (("SafetyLimit",), Sums()),
        (("SwapFull",), Sums()),
        (("CommitFailed",), Sums()),
        (("PlanInvalid",), Sums()),
        ((), Sums(running=30, spared=20)),
    ],
)
def test_the_cure_reaches_nodes_that_what_stands_has_made_ill(changed, reasons, hurt):
    made = changed(maxNodes=2)
    ill = [row(name, *reasons, revision=OLD.revision(), figures=hurt) for name in "abcde"]
    far = progress(made, ill)
    assert len(far.next) == 2
    assert verdict(far).reason == "RollingOut"
    cured = new(made, *far.next)
    left = [each for each in ill if each.node not in far.next]
    assert len(progress(made, [*cured, *left]).next) == 2
    still = [row(name, *reasons, revision=made.revision, figures=hurt) for name in far.next]
    assert progress(made, [*still, *left]).next == (), "it has to be well with it"


@pytest.mark.parametrize("reason", ["DamonBusy", "NeedsReboot", "AgentSilent", "WriteFailed"])
def test_where_no_node_could_show_how_it_does_it_halts_and_says_so(changed, reason):
    made = changed(maxNodes=9)
    ill = [row(name, reason, revision=OLD.revision()) for name in "abc"]
    far = progress(made, ill)
    assert (far.next, far.complete) == ((), False)
    said = verdict(far)
    assert (said.status, said.reason) == ("False", "RolloutHalted")
    assert "no node is left that could show how it does" in said.message
    assert verdict(progress(made, [*ill, *old("d")])).reason == "RollingOut"


def test_a_node_that_memory_reclaim_serves_waits_like_others(changed):
    served = row("a", "NoDamon", revision=OLD.revision())._replace(applied=True)
    assert progress(changed(), [served]).next == ("a",)


def test_paused_it_lets_nobody_and_says_so(changed):
    made = changed(maxNodes=9, paused=True)
    far = progress(made, old("b", "c"))
    assert far.next == ()
    assert verdict(far).reason == "RolloutPaused"


def test_off_never_waits_and_stands_at_once(changed):
    made = changed(mode="Off", paused=True)
    assert before(made) is None
    far = progress(made, old("a", "b"))
    assert far.complete
    assert standing(made, far) == made.spec.policy()


def test_what_stood_before_is_restored_everywhere_at_once(changed):
    made = changed(stands=DamonTuningSpec(mode="Enforce").policy())
    assert before(made) is None
    assert progress(made, []).complete


def test_a_tuning_of_which_nothing_has_stood_is_new_everywhere(changed):
    assert before(changed(stands=None)) is None


def test_nodes_that_wait_go_on_with_what_stood_and_with_the_newest_selector(changed):
    made = changed()
    made = made._replace(spec=made.spec.model_copy(update={"precedence": 7}))
    waiting = before(made)
    assert (waiting.spec.mode, waiting.spec.precedence) == ("Observe", 7)
    assert waiting.revision == OLD.revision()


def test_it_stands_once_all_have_carried_it_out(changed):
    made = changed()
    half = progress(made, [*new(made, "a"), *old("b")])
    assert standing(made, half) == OLD
    whole = progress(made, new(made, "a", "b"))
    assert standing(made, whole) == made.spec.policy()
    assert verdict(whole).reason == "RolledOut"


def test_a_node_with_a_revision_in_between_has_not_taken_the_newest(changed):
    made = changed()
    between = row("a", revision="between")
    assert progress(made, [between, *old("b")]).updated == 0


@given(st.lists(st.text("abcxyz0123456789-", min_size=1), unique=True), st.randoms())
def test_the_order_depends_on_the_names_alone(names, random):
    made = DamonTuningSpec.model_validate({"mode": "Enforce", "rollout": {"maxNodes": 1_000_000}})
    status = DamonTuningStatus(standing=OLD)
    asked = Tuning("all", "u", "1", 1, "", made, "", status, made.policy().revision())
    shuffled = random.sample(names, len(names))
    assert progress(asked, old(*names)).next == progress(asked, old(*shuffled)).next


def test_defaults_and_later_fields_change_no_revision():
    stated = {"mode": "Enforce", "protectFrom": 80, "monitoring": {"sampleInterval": "220ms"}}
    bare = DamonTuningSpec.model_validate({"mode": "Enforce"}).policy()
    assert DamonTuningSpec.model_validate(stated).policy().revision() == bare.revision()
    assert OLD.revision() != bare.revision()
    other = DamonTuningSpec.model_validate({"mode": "Enforce", "precedence": 3, "rollout": {}})
    assert other.policy().revision() == bare.revision()
