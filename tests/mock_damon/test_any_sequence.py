"""Whatever is written in whatever order: the emulator stays a kernel, it never falls over."""

import errno
import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from damon_mock.damon import (
    Emulator,
    Killed,
    SimulatedMemory,
    SimulatedProcesses,
    VirtualFiles,
    WouldHangForever,
    dump,
)
from damon_mock.damon.profiles import NAMES

CONTEXT = "0/contexts/0/"
VALUES = {
    "nr_kdamonds": ["0", "1", "2"],
    "0/contexts/nr_contexts": ["0", "1"],
    "0/refresh_ms": ["0", "200"],
    CONTEXT + "targets/nr_targets": ["0", "1", "2", "3"],
    CONTEXT + "targets/0/pid_target": ["1000", "1001", "2", "77"],
    CONTEXT + "targets/1/pid_target": ["1000", "1002", "2"],
    CONTEXT + "targets/1/obsolete_target": ["Y", "N"],
    CONTEXT + "targets/0/target_priority": ["1", "50"],
    CONTEXT + "targets/1/target_priority": ["50", "100"],
    CONTEXT + "targets/0/regions/nr_regions": ["0", "1"],
    CONTEXT + "targets/0/regions/0/end": ["8192"],
    CONTEXT + "schemes/nr_schemes": ["0", "1", "2"],
    CONTEXT + "schemes/0/action": ["pageout", "stat"],
    CONTEXT + "schemes/0/access_pattern/sz/max": ["0", "18446744073709551615"],
    CONTEXT + "schemes/0/access_pattern/age/max": ["18446744073709551615"],
    CONTEXT + "schemes/0/quotas/bytes": ["0", "1048577"],
    CONTEXT + "schemes/0/watermarks/metric": ["none", "free_mem_rate"],
    CONTEXT + "schemes/0/watermarks/high": ["0", "1000"],
    CONTEXT + "schemes/0/watermarks/interval_us": ["0", "500000"],
    CONTEXT + "monitoring_attrs/intervals/sample_us": ["5000", "100000"],
    CONTEXT + "monitoring_attrs/intervals/update_us": ["300000"],
    CONTEXT + "operations": ["vaddr", "fvaddr", "paddr"],
    "0/state": [
        *("on", "off", "commit", "update_schemes_stats"),
        *("update_schemes_tried_regions", "clear_schemes_tried_regions"),
    ],
}
WRITES = st.sampled_from([(path, value) for path, values in VALUES.items() for value in values])
ACTS = st.one_of(
    WRITES,
    WRITES.filter(lambda act: act[0].endswith("state")),
    st.tuples(st.just("advance"), st.sampled_from([0, 40_000, 2_000_000])),
    st.tuples(st.just("free"), st.sampled_from([0, 300, 900])),
    st.tuples(st.just("spawn"), st.none()),
    st.tuples(st.just("kill"), st.sampled_from([1000, 1001, 1002])),
)


class Node:
    def __init__(self, profile):
        self.processes = SimulatedProcesses()
        self.memory = SimulatedMemory()
        self.emulator = Emulator(profile, self.processes, self.memory)
        self.files = VirtualFiles(self.emulator, "damon/admin/kdamonds", limit_us=1_000_000)

    def act(self, path, value):
        """Return the errno of a write; 0 for everything else and for success."""
        match path:
            case "advance":
                self.emulator.advance(value)
            case "free":
                self.memory.set_free_permille(value)
            case "spawn":
                self.processes.spawn()
            case "kill":
                if self.processes.identity(value):
                    self.processes.kill(value)
            case _:
                return self.write(path, value)
        return 0

    def write(self, path, value):
        try:
            self.files.write(path, value.encode())
        except OSError as error:
            return error.errno
        except (WouldHangForever, Killed):
            return 0
        return 0


EXPECTED = {
    *(0, errno.EINVAL, errno.EBUSY, errno.EPERM, errno.ENOENT, errno.ECANCELED, errno.ENOMEM),
    *(errno.EIO,),
}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(NAMES),
    st.lists(ACTS, min_size=20, max_size=60),
)
def test_any_sequence_of_acts_gives_errnos_and_a_tree_that_can_be_read(profile, acts):
    node = Node(profile)
    node.write("nr_kdamonds", "1")
    node.write("0/contexts/nr_contexts", "1")
    for path, value in acts:
        before_us = node.emulator.now_us
        assert node.act(path, value) in EXPECTED
        assert node.emulator.now_us >= before_us
    dumped = dump.everything(node.emulator)
    for kdamond in dumped["kdamonds"]:
        if kdamond["running"]:
            assert kdamond["pid"] > 0
            assert kdamond["context"] is not None
    for kdamond in node.emulator.kdamonds:
        for target in kdamond.context.targets if kdamond.context else []:
            ends = [(region.start, region.end) for region in target.regions]
            assert all(start < end for start, end in ends)
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(ends))
    assert (node.emulator.panicked is None) or profile == "rfc"
