# ruff: noqa: INP001 - loaded by mkdocs (`hooks` in mkdocs.yml), no package
"""Put the records of docs/adr into the navigation of the site, each by its own title."""

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Add `Decisions` to the last section; mkdocs calls it with its configuration."""
    docs = Path(config.docs_dir)
    records = [
        {path.read_text(encoding="utf-8").splitlines()[0].lstrip("# "): f"adr/{path.name}"}
        for path in sorted((docs / "adr").glob("*.md"))
    ]
    (pages,) = config.nav[-1].values()
    pages.append({"Decisions": records})
    return config
