"""Command-line options that operator and agent have in common: of logs and of metrics."""

import argparse
from collections.abc import Mapping

from damon_contract.logs import FORMS, LEVELS


def add_metrics(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """Add where metrics are served: port 0 is nowhere, an empty address all of them."""
    parser.add_argument(
        "--metrics-port",
        type=port,
        metavar="PORT",
        default=environment.get("METRICS_PORT") or 0,
        help="port that answers GET /metrics, in plain HTTP; 0: none (default: METRICS_PORT, or 0)",
    )
    parser.add_argument(
        "--metrics-address",
        metavar="ADDRESS",
        default=environment.get("METRICS_ADDRESS", ""),
        help="address to listen on for it (default: METRICS_ADDRESS, or all)",
    )


def add_logs(parser: argparse.ArgumentParser) -> None:
    """Add what is logged, and in which form."""
    parser.add_argument(
        "--log-level",
        choices=LEVELS,
        default="info",
        help="least severe messages to log (default: %(default)s)",
    )
    parser.add_argument(
        "--log-format",
        choices=FORMS,
        default="logfmt",
        help="form of the lines that are logged (default: %(default)s)",
    )


def port(text: str) -> int:
    """Return the port that an option gives; raise where there can be none."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not within 0..65535")
    return number
