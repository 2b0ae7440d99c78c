"""How the operator is set up: from the command line and the environment, once."""

import argparse
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from damon_contract import options
from damon_contract.logs import Form
from damon_contract.v1alpha1.tuning import AnnotationBounds
from damon_operator.facts import Accounts, Part
from damon_operator.reflector import Pace


@dataclass(frozen=True)
class Tempo:
    """How fast and how patient the operator is; tests shorten it."""

    debounce_s: float = 0.1
    """From one round of plans to the next, so that a rollout's pods come together."""
    status_s: float = 1.0
    """From the first change to the status of the DamonTunings."""
    figures_s: float = 60.0
    """Between two writes of a DamonTuning's status for figures alone."""
    ripen_s: float = 1.0
    """Between two looks at how long nodes have been Ready with a tuning that is rolled out."""
    retry_first_s: float = 0.5
    retry_most_s: float = 30.0
    stalled_s: float = 180.0
    """A stream that made no step for so long has died; twice what an idle watch may take."""
    lease_s: float = 15.0
    """How long a lease holds that nobody renews."""
    lease_retry_s: float = 2.0
    """Between two looks at the lease, by its holder and by the others."""
    look_s: float = 10.0
    """Between two looks at the Leases of the agents; half of what they take to renew them."""
    silent_looks: int = 5
    """An agent whose Lease reads the same for so many looks in a row is silent."""
    streams: Pace = field(default_factory=Pace)


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    kubeconfig: str | None
    leader_elect: bool
    lease_namespace: str
    lease_name: str
    identity: str
    liveness_port: int
    log_level: str
    log_format: Form = "logfmt"
    accounts: Accounts = field(default_factory=dict)
    """ServiceAccounts of the operator itself and of its agents."""
    policy: AnnotationBounds | None = None
    """What the admission policy of the chart lets owners ask for; None: there is none."""
    metrics_port: int = 0
    """0: no metrics."""
    metrics_address: str = ""
    """Empty: all addresses."""
    tempo: Tempo = field(default_factory=Tempo)


def parse(arguments: Sequence[str] | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings; exit with a message when they cannot be read."""
    parser = argparse.ArgumentParser(
        prog="damon-operator",
        description="Turns DamonTunings and pod priorities into one DamonNode, the plan for its "
        "agent, per node.",
    )
    parser.add_argument(
        "--kubeconfig",
        metavar="FILE",
        default=environment.get("KUBECONFIG") or None,
        help="kubeconfig to reach the API server with; by default the environment variable "
        "KUBECONFIG, else the service account of the pod this runs in",
    )
    parser.add_argument(
        "--leader-elect",
        action="store_true",
        help="of several replicas only the holder of a Lease works; the others wait",
    )
    parser.add_argument(
        "--lease-namespace",
        metavar="NAME",
        default=environment.get("POD_NAMESPACE") or "default",
        help="namespace of the Lease, and of those that agents renew; by default the environment "
        "variable POD_NAMESPACE, else default",
    )
    parser.add_argument(
        "--lease-name",
        metavar="NAME",
        default="damon-operator",
        help="name of the Lease (default: %(default)s)",
    )
    parser.add_argument(
        "--identity",
        metavar="NAME",
        default=environment.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}",
        help="name of this replica in the Lease and in Events; by default the environment variable "
        "POD_NAME, else host name and process id",
    )
    parser.add_argument(
        "--agent-service-account",
        action="append",
        type=_account,
        metavar="NAMESPACE/NAME",
        default=[],
        help="ServiceAccount of the agents: their pods are in no plan, and a node whose agent has "
        "never started gets none; may be repeated",
    )
    parser.add_argument(
        "--own-service-account",
        action="append",
        type=_account,
        metavar="NAMESPACE/NAME",
        default=[],
        help="ServiceAccount of this operator, or of a hook of its chart: their pods are in no "
        "plan; may be repeated",
    )
    parser.add_argument(
        "--annotation-policy",
        type=_bounds,
        metavar="MIN:MAX:EXEMPT",
        help="what an admission policy lets owners ask for by annotation, such as 1:75:false; a "
        "DamonTuning with other bounds says so in its condition Valid",
    )
    parser.add_argument(
        "--debounce-ms",
        type=_positive,
        metavar="MS",
        default=100,
        help="shortest time between two rounds of planning; changes that come meanwhile are "
        "collected (default: %(default)s)",
    )
    parser.add_argument(
        "--liveness-port",
        type=int,
        metavar="PORT",
        default=8080,
        help="port that answers GET /healthz with 200 while the streams from the API server move, "
        "with 500 otherwise; 0: none (default: %(default)s)",
    )
    options.add_metrics(parser, environment)
    options.add_logs(parser)
    read = parser.parse_args(arguments)
    return Settings(
        kubeconfig=read.kubeconfig,
        leader_elect=read.leader_elect,
        lease_namespace=read.lease_namespace,
        lease_name=read.lease_name,
        identity=read.identity,
        liveness_port=read.liveness_port,
        log_level=read.log_level,
        log_format=read.log_format,
        accounts={
            **dict.fromkeys(read.own_service_account, Part.OTHER),
            **dict.fromkeys(read.agent_service_account, Part.AGENT),
        },
        policy=read.annotation_policy,
        metrics_port=read.metrics_port,
        metrics_address=read.metrics_address,
        tempo=Tempo(debounce_s=read.debounce_ms / 1000),
    )


def _account(text: str) -> tuple[str, str]:
    namespace, _, name = text.partition("/")
    if not namespace or not name or "/" in name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAMESPACE/NAME")
    return namespace, name


def _bounds(text: str) -> AnnotationBounds:
    try:
        low, high, exempt = text.split(":")
        return AnnotationBounds(
            min=int(low), max=int(high), exempt={"true": True, "false": False}[exempt]
        )
    except (ValueError, KeyError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not MIN:MAX:true|false") from error


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value
