# ruff: noqa: T201 - it talks to whoever runs it
"""Read a dashboard with the types of Grafana's own SDK, and print what they do not know of it.

Run by the environment that tools.sh makes: the SDK is no dependency of the project.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def unknown(said: Any, read: Any, path: str = "") -> Iterator[str]:
    """Yield where a document differs from what became of it when it was read and written again."""
    if isinstance(said, dict) and isinstance(read, dict):
        for key, value in said.items():
            yield from unknown(value, read.get(key), f"{path}/{key}")
    elif isinstance(said, list) and isinstance(read, list) and len(said) == len(read):
        for index, (one, other) in enumerate(zip(said, read, strict=True)):
            yield from unknown(one, other, f"{path}[{index}]")
    elif said != read:
        yield f"{path}: {json.dumps(said)[:80]} is read as {json.dumps(read)[:80]}"


register_default_plugins()
document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
found = list(unknown(document, json.loads(JSONEncoder().encode(Dashboard.from_json(document)))))
print("\n".join(found))
sys.exit(bool(found))
