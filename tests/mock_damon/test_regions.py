"""Regions of one target: covering ranges, growing old, being split and joined."""

from hypothesis import given
from hypothesis import strategies as st

from damon_mock.damon import Identity
from damon_mock.damon.memory import PAGE, Range
from damon_mock.damon.target import Region, Target

OLD, NEW = Identity(10, 1), Identity(20, 2)


@st.composite
def ranges(draw):
    """Draw ascending ranges of whole pages that do not overlap."""
    bounds = draw(st.lists(st.integers(0, 60), min_size=2, max_size=8, unique=True).map(sorted))
    pairs = zip(bounds[::2], bounds[1::2], strict=False)
    return [Range(start * PAGE, end * PAGE) for start, end in pairs]


def with_regions(wanted):
    return Target(NEW, [Region(r.start, r.end, 0, 7, OLD, 0) for r in wanted])


@given(ranges(), ranges())
def test_regions_cover_exactly_the_ranges_in_order_and_without_overlap(before, after):
    target = with_regions(before)
    target.set_regions(after)
    pages = [page for r in target.regions for page in range(r.start, r.end, PAGE)]
    assert pages == [page for wanted in after for page in range(wanted.start, wanted.end, PAGE)]


@given(ranges(), ranges())
def test_only_regions_that_intersect_a_range_hand_their_ages_on(before, after):
    target = with_regions(before)
    target.set_regions(after)
    surviving = [old for old in before if any(old.intersects(wanted) for wanted in after)]
    inherited = [region for region in target.regions if region.owner == OLD]
    assert len(inherited) <= len(surviving)
    assert bool(inherited) == bool(surviving)
    assert all(region.age == 7 for region in inherited)
    assert all((r.age, r.owner) == (0, NEW) for r in target.regions if r not in inherited)


def test_an_old_region_grows_to_the_range_and_takes_its_age_along():
    target = with_regions([Range(4 * PAGE, 6 * PAGE)])
    target.set_regions([Range(2 * PAGE, 9 * PAGE)])
    (region,) = target.regions
    assert (region.start, region.end, region.age) == (2 * PAGE, 9 * PAGE, 7)


def test_a_hole_between_old_regions_is_filled_by_a_new_one():
    target = with_regions([Range(0, 2 * PAGE), Range(5 * PAGE, 7 * PAGE)])
    target.set_regions([Range(0, 7 * PAGE)])
    assert [(r.start // PAGE, r.end // PAGE, r.age) for r in target.regions] == [
        (0, 2, 7),
        (2, 5, 0),
        (5, 7, 7),
    ]


def test_ranges_are_widened_to_whole_pages():
    target = Target(NEW)
    target.set_regions([Range(PAGE + 1, 2 * PAGE + 1)])
    assert [(r.start, r.end) for r in target.regions] == [(PAGE, 3 * PAGE)]


def test_what_is_split_is_joined_again_when_it_ages_alike():
    target = Target(NEW, [Region(0, 8 * PAGE, owner=NEW)])
    target.split(target.regions[0], 2 * PAGE)
    assert [r.size_bytes // PAGE for r in target.regions] == [2, 6]
    target.regions[0].age = 5
    target.aggregate([], 20)
    assert len(target.regions) == 2
    target.regions[0].age = target.regions[1].age
    target.aggregate([], 20)
    assert [r.size_bytes // PAGE for r in target.regions] == [8]
