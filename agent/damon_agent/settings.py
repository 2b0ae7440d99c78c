"""What the command line and the environment say; nothing here does anything yet."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from damon_contract import options
from damon_contract.logs import Form

_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where everything is, and how the agent is to work."""

    node_name: str
    damon_root: Path | None
    """None only when the caller hands in the files."""
    module_root: Path
    proc_root: Path
    cgroup_root: Path | None
    state_dir: Path
    driver: Literal["lanes", "native"]
    native_slots_per_class: int
    """How many processes of each class the driver native has room for; fixed from `on` on."""
    disable_damon_stat: bool
    memory_reclaim: bool
    kubeconfig: Path | None
    service_account: Path
    nested_pid_namespace: bool
    metrics_port: int
    """0: no metrics."""
    metrics_address: str
    """Empty: all addresses."""
    metrics_per_pod: bool
    """Whether metrics name pods."""
    health_port: int
    """0: nobody probes."""
    lease_namespace: str
    log_level: str
    log_format: Form

    @property
    def in_pod(self) -> bool:
        """Whether the credentials are those Kubernetes mounts into a pod.

        Only then may a real sysfs be opened: a directory named by hand proves nothing.
        """
        return self.kubeconfig is None and self.service_account == _SERVICE_ACCOUNT


def parse(
    arguments: Sequence[str] | None,
    environment: Mapping[str, str] = os.environ,
    *,
    with_files: bool = False,
) -> Settings:
    """Read the arguments, with the environment for what they do not say.

    `with_files`: DAMON's files are handed in, so --damon-root is not needed. Exits with status 2
    and the usage when something is missing or wrong.
    """
    parser = _parser(environment)
    given = parser.parse_args(arguments)
    if not given.node_name:
        parser.error("--node-name or NODE_NAME is needed")
    if given.state_dir is None:
        parser.error("--state-dir or STATE_DIR is needed")
    if given.memory_reclaim and given.cgroup_root is None:
        parser.error("--memory-reclaim needs --cgroup-root or CGROUP_ROOT")
    if given.native_slots_per_class < 1:
        parser.error("--native-slots-per-class: at least 1")
    if given.damon_root is None and not with_files:
        parser.error(
            "--damon-root or DAMON_ROOT is needed: there is no default, so that no machine is "
            "tuned by accident"
        )
    return Settings(**vars(given))


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="damon-agent",
        description="Put the plan of this node's DamonNode into DAMON, and report what came of it.",
    )

    def path(name: str) -> Path | None:
        return Path(environment[name]) if environment.get(name) else None

    parser.add_argument(
        "--node-name",
        default=environment.get("NODE_NAME", ""),
        help="name of the node, and of its DamonNode (default: NODE_NAME)",
    )
    parser.add_argument(
        "--damon-root",
        type=Path,
        default=path("DAMON_ROOT"),
        help="directory that holds DAMON's admin/ (default: DAMON_ROOT; nothing else)",
    )
    parser.add_argument(
        "--module-root",
        type=Path,
        default=path("MODULE_ROOT") or Path("/sys/module"),
        help="directory of the kernel modules' parameters; only read, but for "
        "--disable-damon-stat (default: %(default)s)",
    )
    parser.add_argument(
        "--proc-root",
        type=Path,
        default=path("PROC_ROOT") or Path("/proc"),
        help="the host's /proc (default: %(default)s)",
    )
    parser.add_argument(
        "--cgroup-root",
        type=Path,
        default=path("CGROUP_ROOT"),
        help="the host's cgroup tree, only read but for --memory-reclaim; makes looking for "
        "processes cheaper, and tells which pods may swap (default: CGROUP_ROOT, or none)",
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=path("STATE_DIR"),
        help="directory for the ownership record and the last plan; must outlive the agent "
        "(default: STATE_DIR)",
    )
    parser.add_argument(
        "--driver",
        choices=("lanes", "native"),
        default="lanes",
        help="how plans get into the kernel: lanes works everywhere, native needs a kernel with "
        "target_priority (default: %(default)s)",
    )
    parser.add_argument(
        "--disable-damon-stat",
        action="store_true",
        default=environment.get("DISABLE_DAMON_STAT") == "true",
        help="switch DAMON_STAT off while there is a plan for this node, and on again afterwards: "
        "beside it nothing else can use DAMON, and kernels since 6.17 may start it at boot "
        "(default: whether DISABLE_DAMON_STAT is true); not with --driver native",
    )
    parser.add_argument(
        "--memory-reclaim",
        action="store_true",
        default=environment.get("MEMORY_RECLAIM") == "true",
        help="in mode Enforce, take page cache from pods by the memory.reclaim of their cgroups, "
        "which --cgroup-root must let it write; without DAMON on the node, anonymous memory too "
        "(default: whether MEMORY_RECLAIM is true)",
    )
    parser.add_argument(
        "--native-slots-per-class",
        type=int,
        default=8,
        metavar="N",
        help="processes of each of the ten classes that --driver native has room for; counts from "
        "the kdamond's start to the next boot (default: %(default)s)",
    )
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        default=path("KUBECONFIG"),
        help="credentials for the API server (default: KUBECONFIG, or those of the pod)",
    )
    parser.add_argument(
        "--service-account",
        type=Path,
        default=path("SERVICE_ACCOUNT") or _SERVICE_ACCOUNT,
        help="directory with the pod's token and ca.crt (default: %(default)s)",
    )
    parser.add_argument(
        "--nested-pid-namespace",
        action="store_true",
        help="accept a pid namespace that is not the host's; only for a mock of DAMON: the kernel "
        "would take the pids for those of other processes",
    )
    options.add_metrics(parser, environment)
    parser.add_argument(
        "--metrics-per-pod",
        action="store_true",
        default=environment.get("METRICS_PER_POD") == "true",
        help="also tell priority, cold, given-up and faulted-back bytes of each planned pod, by "
        "its name: four series for each (default: whether METRICS_PER_POD is true)",
    )
    parser.add_argument(
        "--health-port",
        type=options.port,
        metavar="PORT",
        default=environment.get("HEALTH_PORT") or 0,
        help="port that answers GET /livez (the loop turns) and GET /readyz (and the API server "
        "has answered); 0: none (default: HEALTH_PORT, or 0)",
    )
    parser.add_argument(
        "--lease-namespace",
        metavar="NAME",
        default=environment.get("POD_NAMESPACE") or "default",
        help="namespace of the Lease that is renewed while the agent works; that of the operator's "
        "(default: POD_NAMESPACE, or default)",
    )
    options.add_logs(parser)
    return parser
