"""Notices agents that have fallen silent, and says so in their place (docs/adr/0020)."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from damon_contract.v1alpha1.node import NodeCondition, NodeReason
from damon_operator.errors import ApiError
from damon_operator.facts import Written
from damon_operator.reconcile.port import Now, Port, silenced_node
from damon_operator.reflector import Reflector
from damon_operator.resources import agent_leases

_log = logging.getLogger(__name__)

_PAGE: Final = 500


@dataclass
class Heartbeats:
    """Counts, for each Lease, the looks in a row that found it as it was. Pure.

    No clock is compared with another: not the nodes' with ours, and while the API server is out of
    reach there are no looks, so that nobody is taken for silent who only was not heard.
    """

    most: int
    """Looks in a row after which an agent is silent."""
    _known: dict[str, tuple[str, int]] = field(default_factory=dict)

    def look(self, stated: Iterable[str], renewed: Mapping[str, str]) -> frozenset[str]:
        """Take one complete look; return the stated Leases whose agents are silent.

        `renewed` is the renewTime of each Lease that is there: one that is not is not renewed.
        """
        known: dict[str, tuple[str, int]] = {}
        for name in stated:
            now = renewed.get(name, "")
            before, looks = self._known.get(name, (None, 0))
            known[name] = (now, looks + 1 if now == before else 0)
        self._known = known
        return frozenset(name for name, (_, looks) in known.items() if looks >= self.most)


@dataclass
class Listener:
    """Looks at the agents' Leases, and sets Ready of those that are silent to Unknown.

    By lists, not by a watch: each Lease changes between two looks, so a watch would bring more, and
    a list that was answered is complete. The agent's next report takes Ready back.
    """

    nodes: Reflector[Written]
    port: Port
    namespace: str
    heartbeats: Heartbeats
    pause_s: float
    sleep: Callable[[float], Awaitable[None]]
    now: Now
    _complaint: str = ""

    async def run(self) -> None:
        """Work for ever."""
        while True:
            await self.sleep(self.pause_s)
            stated = {node.lease: node for node in self.nodes.facts.values() if node.lease}
            if not stated:
                continue
            try:
                renewed = await self._renewed()
            except ApiError as error:
                self._complain(error)
                continue
            self._complaint = ""
            for lease in sorted(self.heartbeats.look(stated, renewed)):
                if not is_silenced(stated[lease]):
                    await self._silence(stated[lease])

    async def _renewed(self) -> dict[str, str]:
        """Return the renewTime of every agent's Lease."""
        found: dict[str, str] = {}

        def take(raw: object) -> None:
            match raw:
                case {"metadata": {"name": str(name)}, "spec": {"renewTime": str(moment)}}:
                    found[name] = moment
                case _:
                    pass  # one that cannot be read is not renewed

        resource, after = agent_leases(self.namespace), ""
        while True:
            page = await self.port.page(resource, limit=_PAGE, after=after, take=take)
            if not page.next:
                return found
            after = page.next

    async def _silence(self, node: Written) -> None:
        body = silenced_node(node, self.namespace, now=self.now())
        try:
            await self.nodes.write(node.name, self.port.apply_node_status(body))
        except ApiError as error:
            # The next look sees whether it is still to be said.
            _log.warning("silence not told node=%s error=%s", node.name, error)
        else:
            _log.warning("agent silent node=%s lease=%s", node.name, node.lease)

    def _complain(self, error: ApiError) -> None:
        """Log a trouble once, not at each look."""
        if str(error) != self._complaint:
            self._complaint = str(error)
            _log.warning("whether agents are alive is not known: %s", error)


def is_silenced(node: Written) -> bool:
    """Return whether Ready says already that the agent is silent."""
    return any(
        condition.type == NodeCondition.READY and condition.reason == NodeReason.AGENT_SILENT
        for condition in node.conditions
    )
