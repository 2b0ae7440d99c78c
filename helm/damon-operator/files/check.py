# ruff: noqa: INP001, T201 - a file of the chart, run with `python -c`; it prints for people
"""What `helm test` runs, in the operator's image: CRDs are served and every agent reports.

usage: check.py SECONDS. Prints what it finds, changes nothing, and exits 1 with the reason when
something is missing after SECONDS.
"""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from kubernetes import client, config

GROUP, VERSION = "damon-operator.io", "v1alpha1"
TUNINGS, NODES = "damontunings", "damonnodes"
PAGE = 10
"""Objects in memory at once: the DamonNode of a full node has 100 kB, and several times that once
it is read."""

Read = Callable[[str], Iterator[dict[str, Any]]]
"""Yields the objects of a plural; raises ApiException when it is not served."""


def said(node: dict[str, Any]) -> str:
    """Return what the agent says of its node's present plan; empty if it has said nothing yet."""
    status = node.get("status") or {}
    if status.get("observedHash") != node["spec"]["hash"]:
        return ""
    conditions = {c["type"]: c for c in status.get("conditions", ())}
    ready = conditions.get("Ready", {"reason": "Unknown", "message": "no condition Ready"})
    return f"{ready['reason']}: {ready['message']}"


def wait(read: Read, seconds: float) -> dict[str, str]:
    """Return what is said of every node that has a plan, once all have spoken or time is up."""
    deadline = time.monotonic() + seconds
    while True:
        words = {node["metadata"]["name"]: said(node) for node in read(NODES)}
        if all(words.values()) or time.monotonic() > deadline:
            return words
        time.sleep(1)


def check(read: Read, seconds: float) -> int:
    """Print what was found; return the exit status."""
    try:
        tunings = sum(1 for _ in read(TUNINGS))
        words = wait(read, seconds)
    except client.ApiException as error:
        print(f"the API server does not serve {GROUP}/{VERSION}: {error.status} {error.reason}")
        return 1
    print(f"{GROUP}/{VERSION} is served; {tunings} DamonTuning(s), {len(words)} DamonNode(s)")
    for name, word in sorted(words.items()):
        print(f"{name}: {word or 'SILENT: the agent has not reported on its plan'}")
    if not words:
        print("no node is governed yet: apply a DamonTuning and run the test again to see agents")
    return int(not all(words.values()))


def main() -> int:
    """Check the cluster this pod runs in."""
    load: Callable[[], None] = config.load_incluster_config
    load()
    api: Any = client.CustomObjectsApi()

    def read(plural: str) -> Iterator[dict[str, Any]]:
        after: str | None = None
        while True:
            listed = api.list_cluster_custom_object(
                GROUP, VERSION, plural, limit=PAGE, _continue=after
            )
            yield from listed["items"]
            after = listed["metadata"].get("continue") or None
            if after is None:
                return

    return check(read, float(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
