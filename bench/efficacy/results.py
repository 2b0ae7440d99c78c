"""Runs as files: NAME.json is a finished run, raw/NAME.json what it was measured from.

Results of one directory are of one set-up: campaign.json says which.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from efficacy import measures
from efficacy.record import Raw, Run
from efficacy.schedule import RunName

CAMPAIGN: Final = "campaign.json"

Kept = TypeVar("Kept", Raw, Run)


class ResultsError(Exception):
    """A file of results can't be used; the message has its path."""


@dataclass(frozen=True, slots=True)
class Results:
    """A directory of runs."""

    directory: Path

    def begin(self, campaign: Mapping[str, Any]) -> None:
        """Remember the set-up; ResultsError if the runs that are there are of another one."""
        path = self.directory / CAMPAIGN
        text = json.dumps(campaign, indent=2, sort_keys=True) + "\n"
        if path.exists() and path.read_text() != text:
            raise ResultsError(
                f"{path}: these runs are of another set-up, not to be mixed with {text}"
            )
        (self.directory / "raw").mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def finished(self) -> dict[str, Run]:
        """Return the finished runs by their names."""
        return {path.stem: _read(path, Run) for path in sorted(self._paths(self.directory))}

    def save(self, raw: Raw) -> Run:
        """Keep a run; the finished one is written last, and at once."""
        _write(self.directory / "raw" / f"{raw.facts.name}.json", raw)
        run = measures.run(raw)
        _write(self._path(raw.facts.name), run)
        return run

    def measure(self) -> int:
        """Measure all runs anew from what was recorded of them; return how many."""
        paths = self._paths(self.directory / "raw")
        for path in paths:
            run = measures.run(_read(path, Raw))
            _write(self._path(run.facts.name), run)
        return len(paths)

    def _path(self, name: RunName) -> Path:
        return self.directory / f"{name}.json"

    @staticmethod
    def _paths(directory: Path) -> list[Path]:
        return [path for path in directory.glob("*.json") if path.name != CAMPAIGN]


def _write(path: Path, model: Raw | Run) -> None:
    new = path.with_suffix(".new")
    new.write_text(model.model_dump_json() + "\n")
    new.rename(path)


def _read(path: Path, model: type[Kept]) -> Kept:
    try:
        return model.model_validate_json(path.read_text())
    except ValidationError as error:
        raise ResultsError(f"{path}: {error}") from error
