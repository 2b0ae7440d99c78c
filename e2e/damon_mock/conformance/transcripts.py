"""What came of a script: step by step, comparable and storable."""

import difflib
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

Result = str | list[str]


@dataclass(frozen=True)
class CaseTranscript:
    """The results of one case, or why it was not played.

    source: "recorded" on a real kernel, "described" in the documentation of kernels, or "played" on
    the emulator. avoided: it was not played because of the place, whatever the kernel may be; not
    stored.
    """

    title: str
    source: str
    steps: tuple[tuple[str, Result], ...] = ()
    skipped: str | None = None
    avoided: bool = False


@dataclass(frozen=True)
class Transcript:
    """The results of one script. kernel: the exact release."""

    script: str
    kernel: str
    cases: tuple[CaseTranscript, ...]


def to_text(transcript: Transcript) -> str:
    """Return JSON with one step a line, so that a difference is a line."""
    cases = [_case_text(case) for case in transcript.cases]
    head = [f'  "{name}": {json.dumps(getattr(transcript, name))}' for name in ("script", "kernel")]
    body = ",\n".join(cases)
    return "{\n" + ",\n".join(head) + ',\n  "cases": [\n' + body + "\n  ]\n}\n"


def _case_text(case: CaseTranscript) -> str:
    fields: dict[str, Any] = {"title": case.title, "source": case.source}
    if case.skipped is not None:
        return f"    {json.dumps({**fields, 'skipped': case.skipped})}"
    head = json.dumps(fields)[:-1]
    if not case.steps:
        return f'    {head}, "steps": []}}'
    steps = ",\n".join(_step_text(step, result) for step, result in case.steps)
    return f'    {head}, "steps": [\n{steps}\n    ]}}'


def _step_text(step: str, result: Result) -> str:
    if isinstance(result, str) or not result:
        return f"      {json.dumps([step, result])}"
    entries = ",\n".join(f"        {json.dumps(entry)}" for entry in result)
    return f"      [{json.dumps(step)}, [\n{entries}\n      ]]"


def from_text(text: str) -> Transcript:
    """Read what `to_text` wrote; ValueError, KeyError."""
    return _transcript(json.loads(text))


def all_from_text(text: str) -> list[Transcript]:
    """Read a list of what `to_text` wrote; ValueError, KeyError."""
    return [_transcript(data) for data in json.loads(text)]


def _transcript(data: dict[str, Any]) -> Transcript:
    cases = tuple(
        CaseTranscript(
            title=case["title"],
            source=case["source"],
            steps=tuple((step, result) for step, result in case.get("steps", ())),
            skipped=case.get("skipped"),
        )
        for case in data["cases"]
    )
    return Transcript(data["script"], data["kernel"], cases)


def difference(
    golden: Transcript,
    played: Transcript,
    *,
    recorded_only: bool = False,
    without: Collection[str] = (),
) -> str:
    """Return how the played differs from the golden, as a unified diff; empty if it does not.

    A golden without cases is for a kernel that has nothing to say: all must have been skipped.
    recorded_only: leave out the cases that no real kernel may play. without: more titles to leave
    out.
    """
    left_out = set(without)
    if recorded_only:
        left_out |= {case.title for case in golden.cases if case.source != "recorded"}
    if not golden.cases:
        left_out |= {case.title for case in played.cases if case.skipped is not None}
    return "\n".join(
        difflib.unified_diff(
            _lines(golden, left_out),
            _lines(played, left_out),
            f"golden ({golden.kernel})",
            f"played ({played.kernel})",
            lineterm="",
            n=4,
        )
    )


def _lines(transcript: Transcript, left_out: set[str]) -> list[str]:
    lines: list[str] = []
    for case in transcript.cases:
        if case.title in left_out:
            continue
        lines.append(f"== {case.title}")
        if case.skipped is not None:
            lines.append(f"skipped: {case.skipped}")
        for step, result in case.steps:
            if isinstance(result, str):
                lines.append(f"{step} -> {result}")
            else:
                lines += [f"{step} ->", *(f"    {entry}" for entry in result)]
    return lines
