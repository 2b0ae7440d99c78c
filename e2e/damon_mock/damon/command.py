"""`damon-mock sysfs`: serve one emulated DAMON tree by FUSE, by unix socket, or both."""

import argparse
import contextlib
import functools
import signal
import sys
import threading
from pathlib import Path

from . import control, fuse, profiles, remote
from .emulator import Emulator
from .files import RealtimeFiles, SharedEmulator, Ticker
from .memory import MeminfoMemory
from .processes import HostProcesses
from .wire import Server


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser(
        "sysfs",
        help="serve an emulated DAMON sysfs tree",
        description="Serve an emulated DAMON sysfs tree in real time until SIGTERM or SIGINT. "
        "Below the mount (or in the socket's paths) lie damon/admin and module/.",
    )
    parser.add_argument(
        "--profile",
        choices=profiles.NAMES,
        default="7.2",
        help="kernel version to play (default: %(default)s)",
    )
    parser.add_argument(
        "--without-damon",
        action="store_true",
        help="play a kernel that has no DAMON: there is nothing below damon/",
    )
    parser.add_argument("--mount", type=Path, metavar="DIR", help="mount it here by FUSE")
    parser.add_argument("--socket", type=Path, metavar="PATH", help="serve it on this unix socket")
    parser.add_argument(
        "--control", type=Path, metavar="PATH", help="answer control questions on this unix socket"
    )
    parser.add_argument(
        "--proc-root",
        type=Path,
        default=Path("/proc"),
        metavar="DIR",
        help="where processes are looked up (default: %(default)s)",
    )
    parser.add_argument(
        "--show-kdamonds",
        action="store_true",
        help="let emulated kdamonds appear in --proc-root as threads of the kernel; it must be a "
        "directory made for a simulated node",
    )
    parser.add_argument(
        "--meminfo",
        type=Path,
        metavar="FILE",
        help="MemTotal, MemFree and SwapTotal of the machine (default: meminfo in --proc-root)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop; 2 if there is nothing to serve on, 1 if it cannot be mounted."""
    if arguments.mount is None and arguments.socket is None:
        print("damon-mock sysfs: give --mount or --socket", file=sys.stderr)
        return 2
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    try:
        with contextlib.ExitStack() as stack:
            _serve(arguments, stack)
            told.wait()
    except fuse.MountError as error:
        print(f"damon-mock sysfs: {error}", file=sys.stderr)
        return 1
    return 0


def _serve(arguments: argparse.Namespace, stack: contextlib.ExitStack) -> None:
    memory = MeminfoMemory(arguments.meminfo or arguments.proc_root / "meminfo")
    processes = HostProcesses(arguments.proc_root, shows_threads=arguments.show_kdamonds)
    emulator = Emulator(arguments.profile, processes, memory)
    emulator.present = not arguments.without_damon
    stack.callback(emulator.hide_threads)
    ticker = stack.enter_context(Ticker(SharedEmulator(emulator)))
    if arguments.control is not None:
        stack.enter_context(Server(arguments.control, functools.partial(control.answer, ticker)))
    if arguments.socket is not None:
        files = RealtimeFiles(ticker)
        stack.enter_context(Server(arguments.socket, functools.partial(remote.answer, files)))
        stack.callback(ticker.shared.close)
    if arguments.mount is not None:
        stack.enter_context(fuse.Mount(ticker, arguments.mount))
    what = "no DAMON" if arguments.without_damon else f"DAMON as of {arguments.profile}"
    print(f"serving {what}", flush=True)
