import itertools

from damon_operator.planner.selection import choose, ranked


def test_precedence_then_age_then_name_decide(tuning):
    tunings = [
        tuning("z-first", precedence=10, created="2026-06-01T00:00:00Z"),
        tuning("y-older", precedence=5, created="2025-01-01T00:00:00Z"),
        tuning("a-name", precedence=5, created="2026-01-01T00:00:00Z"),
        tuning("b-name", precedence=5, created="2026-01-01T00:00:00Z"),
        tuning("a-last", precedence=-1, created="2020-01-01T00:00:00Z"),
    ]
    for order in itertools.permutations(tunings):
        assert [t.name for t in ranked(order)] == [t.name for t in tunings]


def test_only_tunings_whose_selector_matches_count(tuning):
    tunings = ranked(
        [
            tuning("gpu", precedence=9, nodeSelector={"pool": "gpu", "zone": "a"}),
            tuning("pool", precedence=5, nodeSelector={"pool": "gpu"}),
            tuning("all"),
        ]
    )
    choice = choose(tunings, (("pool", "gpu"), ("zone", "b")))
    assert choice.governor is not None
    assert choice.governor.name == "pool"
    assert choice.matching == ("pool", "all")


def test_an_invalid_tuning_governs_nothing(tuning):
    broken = tuning("broken", precedence=100)._replace(spec=None, problem="spec.mode: no")
    assert choose(ranked([broken]), ()).governor is None
