"""Writes a dump."""

import importlib.metadata
import os
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from damon_cli import output
from damon_cli.client import Client
from damon_cli.errors import Exit, UnreachableError, UsageError
from damon_cli.sysdump.collection import Collection
from damon_cli.sysdump.contents import Missing, Part, about


def run(client: Client, file: str, namespace: str, nodes: tuple[str, ...] = ()) -> Exit:
    """Write a dump and say where; raise CliError if nothing could be had.

    `file` empty: damon-sysdump-TIME.zip here. `namespace` empty: the installation is looked for.
    """
    path = Path(file or f"damon-sysdump-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip")
    written, missing = write(path, Collection(client, namespace, nodes))
    print(f"{path}: {written} files")
    for each in missing:
        output.say(f"missing: {each.what}: {each.reason}")
    return Exit.FINE


def write(path: Path, collection: Collection) -> tuple[int, list[Missing]]:
    """Write a zip; return how many files it has, and what is missing.

    Nobody else may read it. It has its name only once it is whole. Raise CliError if nothing could
    be had, or if it cannot be written.
    """
    if os.path.lexists(path) and not os.path.isfile(path):  # noqa: PTH113 - never raises
        # A device or a pipe would be replaced by a file, and not written to.
        raise UsageError(f"{path}: it is there, and no file", "name a file that is to be written")
    try:
        descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=".sysdump-")
        try:
            with os.fdopen(descriptor, "wb") as opened:
                told = _fill(opened, collection)
            Path(part).replace(path)
        finally:
            Path(part).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    return told


def _fill(opened: BinaryIO, collection: Collection) -> tuple[int, list[Missing]]:
    missing: list[Missing] = []
    with zipfile.ZipFile(opened, "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in collection.entries():
            if isinstance(entry, Missing):
                missing.append(entry)
            else:
                packed.writestr(entry.path, entry.text)
        if not packed.namelist():
            raise UnreachableError(f"nothing could be had: {missing[0].reason}")
        lines = [f"{each.what}: {each.reason}\n" for each in missing]
        said = Part("missing.txt", "".join(lines) or "nothing\n")
        version = importlib.metadata.version("damon-operator")
        for part in (*about(version, collection.pods), said):
            packed.writestr(part.path, part.text)
        return len(packed.namelist()), missing
