"""Asks for what a report is made of, and writes it in the form that is asked for."""

from datetime import UTC, datetime
from enum import StrEnum

from damon_cli import options, output
from damon_cli.client import Client, of_namespace
from damon_cli.errors import Exit
from damon_cli.report.account import account, pods_memory
from damon_cli.report.knowledge import Report, report
from damon_cli.top.picture import damon_nodes, working_sets, workload


class Form(StrEnum):
    """How a report is written."""

    TABLE = "table"
    HTML = "html"
    SVG = "svg"
    MD = "md"
    CSV = "csv"
    JSON = "json"
    YAML = "yaml"


def run(client: Client, form: Form, namespace: str, most: int) -> Exit:
    """Print a report of all namespaces or one, with so many workloads in its tables; 0: all."""
    told = look(client, namespace)
    match form:
        case Form.TABLE:
            from damon_cli.report import screen

            screen.show(output.console(), told, most)
        case Form.JSON | Form.YAML:
            output.write("Report", told, options.Format(form.value))
        case _:
            output.write_text(_text(told, form, most), has_references=form is not Form.CSV)
    return Exit.FINE


def look(client: Client, namespace: str) -> Report:
    """Read pods, the DamonNodes of their nodes, and what metrics-server knows."""
    pods = list(client.items(of_namespace(namespace, "pods")))
    names = {str((pod.get("spec") or {}).get("nodeName") or "") for pod in pods} - {""}
    found, _ = damon_nodes(client, tuple(sorted(names)))
    nodes = list(found.values())
    memory = pods_memory(pods, nodes, working_sets(client, namespace), workload)
    return report(account(memory), nodes, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def _text(told: Report, form: Form, most: int) -> str:
    from damon_cli.report import page, plots, texts

    match form:
        case Form.HTML:
            return page.page(told, most)
        case Form.SVG:
            return plots.plots(told)
        case Form.MD:
            return texts.markdown_text(told, most)
        case _:
            return texts.csv_text(told)
