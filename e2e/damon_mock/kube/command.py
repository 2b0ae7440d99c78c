"""`damon-mock api`: the embedded Kubernetes API as a process of its own."""

import argparse
import asyncio
import contextlib
import signal
from pathlib import Path

from damon_mock.kube import rules
from damon_mock.kube.registry import Registry
from damon_mock.kube.server import ApiServer
from damon_mock.kube.tls import Authority


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command."""
    parser = subparsers.add_parser(
        "api",
        help="serve a Kubernetes API from memory",
        description="Serve a Kubernetes API from memory until SIGINT or SIGTERM. "
        "Faults are ordered by POST /mock/ACTION.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port; 0: any free one (%(default)s)")
    parser.add_argument(
        "--kubeconfig-out", type=Path, metavar="FILE", help="write a kubeconfig once it serves"
    )
    parser.add_argument(
        "--install",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="create what is in this YAML file or directory, e.g. crds; repeatable",
    )
    parser.add_argument(
        "--tls-dir", type=Path, metavar="DIR", help="make keys here (needs openssl) and serve TLS"
    )
    parser.add_argument("--token", help="bearer token to ask for; none by default")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve; return 0 after a signal."""
    asyncio.run(_serve(arguments))
    return 0


async def _serve(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    authority = None
    if arguments.tls_dir:
        arguments.tls_dir.mkdir(parents=True, exist_ok=True)
        authority = Authority.make(arguments.tls_dir)
    server = ApiServer(
        host=arguments.host,
        port=arguments.port,
        registry=Registry(rules=rules.available()),
        authority=authority,
    )
    if arguments.token:
        server.faults.rotate_token(arguments.token)
    with contextlib.ExitStack() as stack:
        async with server:
            server.cluster.install(*arguments.install)
            if arguments.kubeconfig_out:
                server.write_kubeconfig(arguments.kubeconfig_out)
                stack.callback(arguments.kubeconfig_out.unlink, missing_ok=True)
            print(server.url, flush=True)
            await stopped.wait()
