"""How much memory of each pod nothing has touched for long: resident bytes less those in use.

A survey says where processes are in use, /proc how much of them is resident. What is resident and
not in use is cold (docs/adr/0012).
"""

from typing import TYPE_CHECKING, Final

from damon_agent import intents
from damon_agent.errors import AgentError
from damon_agent.facts import Process
from damon_agent.kernel.intent import Member
from damon_agent.kernel.report import Report, Survey
from damon_agent.node import pods
from damon_agent.node.procfs import Procfs
from damon_agent.node.resolver import Resolution
from damon_contract.v1alpha1.node import DamonNodeSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

_MIB: Final = 1 << 20


class Coldness:
    """Remembers the cold bytes of pods between the surveys of their lanes."""

    def __init__(self, procfs: Procfs) -> None:
        self._procfs = procfs
        self._found: dict[int, tuple[Survey, Mapping[str, int]]] = {}
        self.cold_bytes: Mapping[str, int] = {}
        """By uid, in whole MiB; pods of which it is not known are left out."""

    def look(
        self,
        spec: DamonNodeSpec | None,
        resolution: Resolution,
        members: tuple[Member, ...],
        report: Report,
    ) -> None:
        """Take in the surveys that are new."""
        found: dict[int, tuple[Survey, Mapping[str, int]]] = {}
        for kdamond, survey in report.surveys.items():
            held = self._found.get(kdamond)
            if held is None or held[0] is not survey:
                held = (survey, self._cold(spec, resolution, members, survey))
            found[kdamond] = held
        self._found = found
        self.cold_bytes = {
            uid: cold
            for kdamond, (_, lane) in found.items()
            for uid, cold in lane.items()
            if report.placed.get(uid) == kdamond
        }

    def _cold(
        self,
        spec: DamonNodeSpec | None,
        resolution: Resolution,
        members: tuple[Member, ...],
        survey: Survey,
    ) -> dict[str, int]:
        """Return the cold bytes of the pods of one lane.

        A process that came after the survey has not had the time to be cold, one that has ended
        since has no memory. Of a pod without any that can be read nothing is known.
        """
        if spec is None or survey.hot_bytes is None:
            return {}
        owned: dict[str, list[Process]] = {}
        for member in members:
            if member.process in survey.hot_bytes:
                owned.setdefault(member.pod_uid, []).append(member.process)
        cold: dict[str, int] = {}
        for uid, processes in owned.items():
            read = [(process, self._resident_bytes(process)) for process in processes]
            parts = [
                max(0, resident - survey.hot_bytes[process])
                for process, resident in read
                if resident is not None
            ]
            if parts:
                cold[uid] = sum(parts)
        # Pages that processes share are resident in each of them.
        several = {uid for uid in cold if len(owned[uid]) > 1}
        homes = intents.homes(spec, resolution, several)
        troubles: dict[str, AgentError] = {}
        for uid, memory in pods.read(homes, troubles=troubles).items():
            if memory is not None:
                cold[uid] = min(cold[uid], memory.resident_bytes)
            elif uid in troubles:
                del cold[uid]
        return {uid: size // _MIB * _MIB for uid, size in cold.items()}

    def _resident_bytes(self, process: Process) -> int | None:
        """Return the resident memory of a process; None: nothing says so."""
        try:
            return self._procfs.resident_bytes(process.pid)
        except AgentError:
            return None
