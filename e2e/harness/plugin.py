"""`kubectl damon`, as a person runs it against the cluster of a suite."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def ask(
    *arguments: str, given: str = "", within_s: float = 400
) -> subprocess.CompletedProcess[str]:
    """Run `kubectl damon`, which kubectl finds on PATH beside this Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ran = subprocess.run(
        ["kubectl", "damon", *arguments],
        env={**os.environ, "PATH": path},
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=within_s,
    )
    assert "Traceback" not in ran.stderr
    return ran


def data(*arguments: str, within_s: float = 400) -> dict[str, Any]:
    """Return its answer as data; that something is not met (exit code 1) is an answer too."""
    ran = ask(*arguments, "-o", "json", within_s=within_s)
    assert ran.returncode in {0, 1}, ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer
