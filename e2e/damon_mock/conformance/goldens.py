"""Scripts and recorded transcripts as files."""

from pathlib import Path
from typing import Final

from . import transcripts
from .language import Script
from .parsing import parse
from .transcripts import Transcript

SCRIPTS: Final = Path(__file__).parent / "scripts"


def names() -> list[str]:
    """Return the names of the scripts that come with this package."""
    return sorted(path.stem for path in SCRIPTS.glob("*.txt"))


def script(name: str) -> Script:
    """Return a script by name, or from a file; OSError, ScriptError."""
    path = Path(name) if name.endswith(".txt") else SCRIPTS / f"{name}.txt"
    return parse(path.stem, path.read_text("utf-8"))


def load(directory: Path, name: str) -> Transcript:
    """Return the golden of a script from the directory of a profile; OSError, ValueError."""
    return transcripts.from_text((directory / f"{name}.json").read_text("utf-8"))


def save(directory: Path, transcript: Transcript) -> None:
    """Write a golden; OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{transcript.script}.json"
    path.write_text(transcripts.to_text(transcript), "utf-8")
