"""All runs of a benchmark: boots a machine, plays what is missing, and goes on after a failure."""

import logging
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests_kernel.waiting import NotInTimeError
from vm.channel import GuestError

from efficacy.beginning import Beginning, NotAtBeginningError, clean
from efficacy.contenders import CONTENDERS, WITH_MEMORY_RECLAIM, WITHOUT_DAMON
from efficacy.play import Play
from efficacy.record import Facts
from efficacy.results import Results
from efficacy.rivals import AbsentError
from efficacy.scenarios import SCENARIOS
from efficacy.schedule import THEIRS, Attempts, RunName
from efficacy.stage import AgentAs, Setup, Stage, booted

LOG: Final = logging.getLogger("efficacy")
_FAILURES: Final = (GuestError, NotInTimeError, NotAtBeginningError, AbsentError)
_BOOTS_IN_VAIN: Final = 3


@dataclass(slots=True)
class Campaign:
    """Plays runs; those that are finished are kept whatever happens after them."""

    setup: Setup
    results: Results
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Other lengths of steps, by name."""
    _playing: RunName | None = None

    def play(self, missing: Callable[[], list[RunName]]) -> list[RunName]:
        """Play what is missing; return the runs that were left out because they always failed.

        GuestError or the like if the machine itself does not come up.
        """
        attempts, in_vain = Attempts(), 0
        while runs := attempts.left(missing()):
            LOG.info("%d runs are missing, booting %s", len(runs), self.setup.kernel)
            self._playing = None
            try:
                with booted(self.setup) as stage:
                    self._boot(stage, runs)
            except _FAILURES as error:
                LOG.warning("%s: %s: %s", self._playing, type(error).__name__, error)
                if self._playing is not None:
                    attempts.failures[self._playing] += 1
                    in_vain = 0
                    continue
                in_vain += 1
                if in_vain == _BOOTS_IN_VAIN:
                    raise
        return attempts.given_up

    def _boot(self, stage: Stage, runs: Iterable[RunName]) -> None:
        boot = secrets.token_hex(4)
        first: Beginning | None = None
        for name in runs:
            self._playing = name
            scenario = SCENARIOS[name.scenario].lasting(dict(self.seconds))
            contender = CONTENDERS[name.contender]
            stage.prepare_agent(
                AgentAs(
                    memory_reclaim=name.contender in WITH_MEMORY_RECLAIM,
                    has_damon=scenario.has_damon and name.contender not in WITHOUT_DAMON,
                ),
                works=name.contender not in THEIRS,
            )
            begin = clean(stage.node, stage.swap, has_swap=scenario.has_swap)
            first = first or begin
            if found := first.differences(begin):
                raise NotAtBeginningError(f"before {name}: {'; '.join(found)}")
            facts = Facts(
                scenario=name.scenario,
                contender=name.contender,
                repetition=name.repetition,
                boot=boot,
                release=stage.guest.release,
                accelerator=stage.setup.accelerator,
                swap=stage.setup.swap,
                total_bytes=stage.node.meminfo()["MemTotal"],
                host_load=os.getloadavg()[0],
                seconds={step.name: step.lasts_s for step in scenario.steps},
            )
            run = self.results.save(Play(stage, scenario).run(contender, facts))
            LOG.info("%s is finished; spike satisfied in s: %s", name, run.measures.satisfied_s)
