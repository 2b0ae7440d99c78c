"""Lanes that nothing is taken from look slowly, and see newcomers while pods come and go."""

from dataclasses import replace

import pytest

from damon_mock.damon.profiles import load

S = 1_000_000


def released(name):
    """Return a profile; for 6.17, of which there is none, 6.18 whose commits restart the clocks."""
    if name != "6.17":
        return load(name)
    later = load("6.18")
    del later.root.element.directories["contexts"].element.files["addr_unit"]
    return replace(later, name="6.17", set_attrs_each_commit=True, first_window_unlimited=True)


@pytest.mark.parametrize("profile", ["6.1", "6.12", "6.17", "7.2"])
@pytest.mark.parametrize(("priority", "swap_bytes"), [(90, 8 << 30), (50, 0)])
def test_a_process_is_looked_at_although_a_pod_comes_or_goes_every_four_seconds(
    node_of, profile, priority, swap_bytes
):
    node = node_of(released(profile), swap_bytes=swap_bytes)
    stay = [node.spawn() for _ in range(3)]

    def run(processes, seconds) -> None:
        node.keep_running(node.intent([(process, priority) for process in processes]), seconds * S)

    run(stay, 30)
    late, passing = node.spawn(), []
    for _ in range(60):
        passing = [*passing[-2:], node.spawn()]
        run([*stay, late, *passing], 4)
    (kdamond,) = [kdamond for kdamond in node.emulator.kdamonds if kdamond.running]
    regions = {target.process.pid: target.regions for target in kdamond.context.targets}
    assert len(regions[late.pid]) >= 3, "its mappings have been found"
    assert max(region.age for region in regions[stay[0].pid]) > 5, "aggregations have ended"
