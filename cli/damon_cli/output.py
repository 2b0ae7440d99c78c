"""How answers leave: documents with a documented schema, or text for people."""

import dataclasses
import json
import re
import sys
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from damon_cli import streams
from damon_cli.options import Format
from damon_contract import names

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

API_VERSION: Final = f"cli.{names.GROUP}/v1alpha1"
"""The schema of -o json and -o yaml: fields are added, and neither renamed nor given another
meaning without another version."""
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
"""All but tabs and ends of lines: what a server says could move the cursor of a terminal."""
_PIPE_COLUMNS: Final = 120
"""Where the output is no terminal that could say."""


def document(kind: str, answer: object) -> dict[str, Any]:
    """Return an answer as a document: a head, and the fields of the dataclass in camelCase."""
    return {"apiVersion": API_VERSION, "kind": kind, **as_data(answer)}


def as_data(value: Any) -> Any:
    """Return a value in JSON's terms; fields that are None are left out."""
    if dataclasses.is_dataclass(value):
        pairs = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {_camel(name): as_data(each) for name, each in pairs if each is not None}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): as_data(each) for key, each in value.items()}
    if isinstance(value, tuple | list | frozenset | set):
        return [as_data(each) for each in value]
    return value


def write(kind: str, answer: object, form: Format) -> None:
    """Write a document to standard output."""
    told = document(kind, answer)
    if form is Format.JSON:
        text = json.dumps(told, indent=2, ensure_ascii=not streams.is_utf8()) + "\n"
    else:
        import yaml

        text = yaml.safe_dump(told, sort_keys=False, allow_unicode=streams.is_utf8())
    sys.stdout.write(text)
    sys.stdout.flush()


def write_text(text: str, *, has_references: bool) -> None:
    """Write text to standard output; `has_references`: &#8364; in it means a character.

    Those are used where the output is not UTF-8, which is what a reader of HTML expects.
    """
    if has_references and not streams.is_utf8():
        text = text.encode("ascii", "xmlcharrefreplace").decode("ascii")
    sys.stdout.write(text)
    sys.stdout.flush()


def say(line: str) -> None:
    """Tell a person something beside the answer: on standard error, without control characters."""
    print(harmless(line), file=sys.stderr, flush=True)


def harmless(text: str) -> str:
    """Return what a server says without the control characters in it."""
    return _CONTROLS.sub("?", text)


def console() -> "Console":
    """Return where text for people goes: colours only on a terminal, and not with NO_COLOR."""
    from rich.console import Console

    here = Console(highlight=False, soft_wrap=False)
    return here if here.is_terminal else Console(highlight=False, width=_PIPE_COLUMNS)


def table(*headings: str) -> "Table":
    """Return a table like kubectl's: headings, columns, no lines."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
