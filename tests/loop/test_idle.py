"""What an agent writes to the API server while nothing happens: nothing."""

import pytest

from damon_agent.plans.reporter import Reporter


class Written:
    """Takes every status, and notes when."""

    def __init__(self, clock):
        self._clock = clock
        self.moments_s = []

    def patch_status(self, _uid, _status):
        self.moments_s.append(self._clock.now_us() // 1_000_000)


@pytest.mark.parametrize("mode", ["Observe", "Enforce"])
def test_an_idle_agent_writes_no_status(machine, pod, mode):
    """With lanes of all roles: what an eager lane tries grows for ever, and is no news."""
    clock = machine.loop._clock
    api = Written(clock)
    reporter = Reporter(api, clock)
    planned = []
    for number, priority in enumerate((10, 30, 50, 70, 90)):
        container = f"{number + 1:064x}"
        machine.start(100 + number, machine.container(container))
        planned.append(pod(number, container, priority=priority))
    machine.plan(*planned, mode=mode)
    reported = machine.plans.report

    def report(uid, status):
        reported(uid, status)
        reporter.report(uid, status)
        due_us = reporter.due_us()
        if due_us is not None and due_us <= clock.now_us():
            reporter.write()

    machine.plans.report = report
    for _ in range(40):
        machine.run(60)
        machine.hear()
    assert all(p.cold_bytes is not None for p in machine.status.pods), "they were measured"
    settled_s = 600
    assert 0 < len([at for at in api.moments_s if at < settled_s]) <= 4
    assert [at for at in api.moments_s if at >= settled_s] == []
