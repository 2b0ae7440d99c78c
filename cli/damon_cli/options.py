"""The options that every command has, and the client that they choose."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from damon_cli.client import Client
from damon_cli.kubeconfig import connection

_GROUP = "Cluster"

Kubeconfig = Annotated[
    str,
    typer.Option(
        metavar="FILE",
        help="Kubeconfig; else the files in KUBECONFIG, else ~/.kube/config.",
        rich_help_panel=_GROUP,
    ),
]
Context = Annotated[
    str,
    typer.Option(metavar="NAME", help="Context of the kubeconfig.", rich_help_panel=_GROUP),
]
Namespace = Annotated[
    str,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAME",
        help="Namespace; else the context's.",
        rich_help_panel=_GROUP,
    ),
]
AllNamespaces = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="All namespaces.", rich_help_panel=_GROUP)
]


class Format(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[
    Format,
    typer.Option(
        "--output", "-o", help="For people, or as the documented schema of docs/kubectl-damon.md."
    ),
]


@contextmanager
def client(kubeconfig: str, context: str, namespace: str = "") -> Iterator[Client]:
    """Connect to the cluster that the options choose; nothing is sent yet."""
    with tempfile.TemporaryDirectory(prefix="kubectl-damon-") as private:
        chosen = connection(
            kubeconfig, context, namespace, environment=os.environ, private=Path(private)
        )
        connected = Client(chosen)
        try:
            yield connected
        finally:
            connected.close()
