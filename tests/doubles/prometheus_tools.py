"""Prometheus' own programs, where there are any."""

import os
import shutil
from pathlib import Path

import pytest


def tool(name: str) -> str:
    """Return promtool or prometheus; skip, with the way to get it, where there is none."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cached = home / "damon-operator/prometheus/bin" / name
    found = shutil.which(name) or (str(cached) if cached.exists() else None)
    if found is None:
        pytest.skip(f"no {name}: install Prometheus, or let e2e/prometheus/tools.sh unpack it")
    return found
