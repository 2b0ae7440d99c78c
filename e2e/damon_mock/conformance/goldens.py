"""Scripts and recorded transcripts as files."""

from pathlib import Path
from typing import Final

from . import playing, transcripts
from .emulated import EmulatedMachine
from .language import Script
from .parsing import parse
from .transcripts import CaseTranscript, Transcript

SCRIPTS: Final = Path(__file__).parent / "scripts"


def names() -> list[str]:
    """Return the names of the scripts that come with this package."""
    return sorted(path.stem for path in SCRIPTS.glob("*.txt"))


def script(name: str) -> Script:
    """Return a script by name, or from a file; OSError, ScriptError."""
    path = Path(name) if name.endswith(".txt") else SCRIPTS / f"{name}.txt"
    return parse(path.stem, path.read_text("utf-8"))


def load(directory: Path, name: str) -> Transcript:
    """Return the golden of a script from the directory of a profile; OSError, ValueError.

    One without cases if there is none: nothing of the script is for that kernel.
    """
    path = directory / f"{name}.json"
    if not path.exists() and directory.is_dir():
        return Transcript(name, directory.name, ())
    return transcripts.from_text(path.read_text("utf-8"))


def save(directory: Path, transcript: Transcript) -> None:
    """Write a golden, unless all was skipped; OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{transcript.script}.json"
    if all(case.skipped is not None for case in transcript.cases):
        path.unlink(missing_ok=True)
        return
    path.write_text(transcripts.to_text(transcript), "utf-8")


def described(profile: str, name: str) -> Transcript:
    """Return what the emulator says of a script, as what is known of a kernel nobody asked."""
    machine = EmulatedMachine(profile)
    played = playing.play(script(name), machine, playing.probe(machine), "described")
    return Transcript(name, f"{profile} (described, not recorded)", played.cases)


def completed(recorded: Transcript, profile: str) -> Transcript:
    """Return a recording in which the cases no kernel survives are those of the emulator."""
    known = {case.title: case for case in described(profile, recorded.script).cases}
    cases = tuple(_survivable(case, known) for case in recorded.cases)
    return Transcript(recorded.script, recorded.kernel, cases)


def _survivable(case: CaseTranscript, known: dict[str, CaseTranscript]) -> CaseTranscript:
    avoided = case.skipped is not None and case.skipped.startswith("never on real")
    return known[case.title] if avoided else case
