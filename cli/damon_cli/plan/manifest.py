"""DamonTunings as a person has written them: files, or standard input."""

import sys
from pathlib import Path
from typing import Any

from damon_cli.documents import DocumentError, documents
from damon_cli.errors import UsageError
from damon_contract import names

Raw = dict[str, Any]


def tunings(file: str) -> list[Raw]:
    """Return the DamonTunings of a file, "-" for standard input; raise UsageError."""
    try:
        text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        read = [document for document in documents(text) if document is not None]
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    except DocumentError as error:
        raise UsageError(f"{file}: {error}") from error
    found = [each for document in read for each in _objects(document, file)]
    ours = [each for each in found if each.get("kind") == names.TUNING_KIND]
    if not ours:
        raise UsageError(f"{file}: no {names.TUNING_KIND} in it")
    for each in ours:
        _check(each, file)
    return ours


def _objects(document: object, file: str) -> list[Raw]:
    if not isinstance(document, dict):
        raise UsageError(f"{file}: no Kubernetes object: {str(document)[:60]!r}")
    if document.get("kind") == "List":
        items = document.get("items") or []
        if not isinstance(items, list):
            raise UsageError(f"{file}: the items of a List are no list")
        return [each for each in items if isinstance(each, dict)]
    return [document]


def _check(tuning: Raw, file: str) -> None:
    metadata = tuning.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise UsageError(f"{file}: a {names.TUNING_KIND} without metadata.name")
    if tuning.get("apiVersion") != names.API_VERSION:
        version = tuning.get("apiVersion")
        raise UsageError(f"{file}: apiVersion {version!r}", f"it has to be {names.API_VERSION}")
