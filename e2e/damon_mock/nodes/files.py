"""How files of a node change."""

from pathlib import Path


def replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new one, nothing between."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
