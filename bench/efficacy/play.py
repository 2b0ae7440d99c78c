"""One run: pods start, a contender begins, the steps of the scenario are played and recorded."""

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from tests_kernel.waiting import until

from efficacy.contenders import Contender, Product
from efficacy.latency import Window
from efficacy.record import Facts, Pod, Raw, Sample, Satisfied, StepTime
from efficacy.scenario import Action, Scenario, Step
from efficacy.stage import PROGRAMS, STATE, RunningPod, Stage

SAMPLES: Final = f"{STATE}/samples"
INTERVAL_S: Final = 4
SETTLE_S: Final = 8
"""Between the last pod's start and the beginning."""
_LOOK_S: Final = 0.5


class Play:
    """Plays a scenario with one contender on a machine."""

    def __init__(self, stage: Stage, scenario: Scenario) -> None:
        self._stage = stage
        self._guest = stage.guest
        self._scenario = scenario
        self._satisfied: Satisfied | None = None

    def run(self, contender: Contender, facts: Facts) -> Raw:
        """Return what was recorded; all pods have ended then, and the contender is undone."""
        stage, scenario = self._stage, self._scenario
        try:
            stage.start(scenario.pods)
            self._guest.sleep(SETTLE_S)
            with self._recorded() as recorder:
                undo = contender.begin(stage)
                try:
                    steps = tuple(self._steps(recorder, contender))
                finally:
                    # A plan's end gives nothing back that was swapped, so it may be recorded too.
                    told = undo()
            return self._raw(facts, steps, told)
        finally:
            stage.end()

    @contextmanager
    def _recorded(self) -> Iterator[int]:
        cgroups = [f"{name}={path}" for name, path in self._stage.cgroups().items()]
        pid = self._guest.spawn(
            *("python3", f"{PROGRAMS}/recorder.py", SAMPLES, str(INTERVAL_S), *cgroups),
            output=f"{STATE}/recorder.log",
        )
        until(
            "the first sample is taken",
            lambda: self._guest.exists(SAMPLES) and self._guest.get(SAMPLES),
        )
        try:
            yield pid
        finally:
            self._guest.kill(pid, signal.SIGTERM)
            self._guest.wait(pid)

    def _steps(self, recorder: int, contender: Contender) -> Iterator[StepTime]:
        begin_s = self._stage.node.uptime_s()
        for step in self._scenario.steps:
            self._wake(step)
            self._act(step.action, contender)
            end_s = self._step(step, begin_s)
            self._guest.kill(recorder, signal.SIGUSR1)
            yield StepTime(name=step.name, begin_s=begin_s, end_s=end_s)
            begin_s = end_s

    def _wake(self, step: Step) -> None:
        for index, name in enumerate(step.wakes):
            if index and step.stagger_s:
                self._guest.sleep(step.stagger_s)
            running = self._stage.pods[name]
            if self._stage.node.is_alive(running.container.pid):
                self._guest.kill(running.container.pid, signal.SIGUSR1)

    def _act(self, action: Action, contender: Contender) -> None:
        if action == "kill_agent":
            self._stage.agent.kill()
        elif action == "start_agent":
            self._stage.start_agent()
        elif action == "reverse_priorities":
            self._stage.reverse_priorities()
            # Whatever else is compared knows nothing of priorities.
            if isinstance(contender, Product):
                contender.plan(self._stage)

    def _step(self, step: Step, begin_s: float) -> float:
        """Wait for the end of a step; return when it was."""
        spike = self._stage.pods.get(step.satisfies)
        now_s = self._stage.node.uptime_s()
        while (left_s := begin_s + step.lasts_s - now_s) > 0:
            self._guest.sleep(min(_LOOK_S, left_s) if spike else left_s)
            if spike and (ended_s := self._spike_ended(spike)):
                return ended_s
            now_s = self._stage.node.uptime_s()
        return now_s

    def _spike_ended(self, spike: RunningPod) -> float | None:
        """Return when the spike had its memory, or was seen to be killed; None until then."""
        path = f"{spike.directory}/satisfied"
        if self._guest.exists(path):
            self._satisfied = Satisfied.model_validate_json(self._guest.get(path))
            return self._satisfied.end_s
        if not self._stage.node.is_alive(spike.container.pid):
            return self._stage.node.uptime_s()
        return None

    def _raw(self, facts: Facts, steps: tuple[StepTime, ...], told: Mapping[str, Any]) -> Raw:
        samples = self._guest.get(SAMPLES).splitlines()
        self._guest.run("rm", "-f", SAMPLES)
        return Raw(
            facts=facts,
            pods={
                pod.name: Pod(
                    priority=pod.priority,
                    cold_bytes=pod.workload.cold_mib << 20,
                    cold_file_bytes=pod.workload.cold_file_mib << 20,
                    asks=pod.workload.waits,
                )
                for pod in self._scenario.pods
            },
            steps=steps,
            samples=tuple(Sample.model_validate_json(line) for line in samples),
            windows={
                pod.name: self._windows(self._stage.pods[pod.name])
                for pod in self._scenario.pods
                if pod.workload.tells_latency
            },
            satisfied=self._satisfied,
            served={
                name: Satisfied.model_validate_json(self._guest.get(path))
                for name, running in self._stage.pods.items()
                if self._guest.exists(path := f"{running.directory}/satisfied")
            },
            told=told,
        )

    def _windows(self, running: RunningPod) -> tuple[Window, ...]:
        text = self._guest.get(f"{running.directory}/latency").decode()
        # The last line may be half written.
        lines = text[: text.rfind("\n") + 1].splitlines()
        return tuple(Window.model_validate(json.loads(line)) for line in lines)
