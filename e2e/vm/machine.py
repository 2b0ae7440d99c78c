"""A virtual machine with a stock Debian kernel: the only place where a real DAMON is written."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from vm import archive
from vm.archive import Kernel
from vm.channel import Channel, GuestError
from vm.overlay import Overlay

HOST_ADDRESS: Final = "10.0.2.2"
"""Where a machine on a user network reaches loopback servers of this one."""
TOKEN: Final = "damon_mock.guest"  # noqa: S105 - it says what it is, it opens nothing
"""On the kernel's command line: by this a program that writes DAMON knows a kernel made for it."""
BOOT_S: Final = 300.0
_ATTEMPTS: Final = 3
_TAIL: Final = 60
_SLOWEST: Final = 20
"""A second of a machine may take so many of ours."""
# With the default of 1 GiB of translated code QEMU takes twice the memory and no less time.
_TCG: Final = "tcg,tb-size=128,thread"
_ICOUNT: Final = ("-icount", "shift=0,sleep=off")
_ACCELERATION: Final[Mapping[str, Sequence[str]]] = {
    "tcg": ("-accel", f"{_TCG}=multi", "-cpu", "max"),
    # Where a string instruction is fast, the kernel clears and copies with it byte by byte, and
    # each byte would count as an instruction.
    "icount": ("-accel", f"{_TCG}=single", *_ICOUNT, "-cpu", "max,-erms,-fsrm"),
}
"""By name; any other is QEMU's own. `icount` is tcg whose clock does not follow that of this
machine: an instruction takes a nanosecond, and when the processor waits, it is at once as late as
the next timer."""

_LEAPS: Final = 1000
"""How many seconds of an icount machine that waits pass in one of ours, at most."""


def accelerator() -> str:
    """Return what executes machines for which nothing else is said."""
    return os.environ.get("VM_ACCELERATOR", "tcg")


@dataclass(frozen=True, slots=True)
class Throttle:
    """The most that QEMU lets through to a disk, reads and writes together.

    The seconds are those of this machine, whatever clock the virtual one has.
    """

    requests_per_s: int
    bytes_per_s: int

    @property
    def options(self) -> str:
        """Return what it adds to QEMU's -drive."""
        return (
            f",throttling.iops-total={self.requests_per_s},throttling.bps-total={self.bytes_per_s}"
        )


@dataclass(frozen=True, slots=True)
class Disk:
    """A raw image; the machine finds it in /sys/block/*/serial by its name."""

    name: str
    image: Path
    throttle: Throttle | None = None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a machine is made of; `boot` makes one that runs."""

    kernel: Kernel
    root: Path = field(default_factory=archive.root_disk)
    memory_mib: int = 1280
    cpus: int = 2
    zram_mib: int = 768
    disks: Sequence[Disk] = ()
    overlay: Overlay = field(default_factory=Overlay)
    """Files laid over the root disk."""
    init: str = "/opt/guest/init"
    append: str = ""
    """More for the kernel's command line."""
    network: str = "user,id=net"
    """QEMU's -netdev."""
    address: str = "10.0.2.15/24"
    gateway: str = HOST_ADDRESS
    arguments: Sequence[str] = ()
    """More for QEMU."""
    accelerator: str = field(default_factory=accelerator)

    def boot(self, *, attempts: int = _ATTEMPTS) -> "Running":
        """Start it and wait for its server; one that does not come up is tried again."""
        for attempt in range(1, attempts + 1):
            running = Running(self)
            try:
                running.wait_for_server()
            except GuestError as error:
                running.power_off()
                failure = error
                print(f"vm: {self.kernel.release}, attempt {attempt}: {error}", file=sys.stderr)  # noqa: T201
            except BaseException:
                running.power_off()
                raise
            else:
                return running
        raise failure

    def command(self, directory: Path) -> list[str]:
        """Return QEMU's command line; its files are in `directory`."""
        command = [
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot"),
            *_ACCELERATION.get(self.accelerator, ("-accel", self.accelerator, "-cpu", "max")),
            *("-smp", str(self.cpus), "-m", str(self.memory_mib)),
            *("-display", "none", "-monitor", "none"),
            *("-serial", f"file:{directory / 'console'}"),
            *("-kernel", str(self.kernel.directory / "vmlinuz")),
            *("-initrd", str(directory / "initrd"), "-append", self._kernel_arguments()),
            *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=control,path={directory / 'control'},server=on,wait=off"),
            *("-device", "virtserialport,chardev=control,name=control"),
            *("-netdev", self.network, "-device", "virtio-net-pci,netdev=net,romfile="),
        ]
        modules = Disk("modules", self.kernel.directory / "modules.img")
        for disk in (Disk("root", self.root), modules, *self.disks):
            # Never written: what the machine writes is forgotten with it.
            drive = f"file={disk.image},if=none,id={disk.name},format=raw,snapshot=on"
            if disk.throttle is not None:
                drive += disk.throttle.options
            device = f"virtio-blk-pci,drive={disk.name},serial={disk.name}"
            command += ["-drive", drive, "-device", device]
        return [*command, *self.arguments]

    def _kernel_arguments(self) -> str:
        settings = {
            "init": self.init,
            "zram_mib": self.zram_mib,
            "address": self.address,
            "gateway": self.gateway,
        }
        said = " ".join(f"damon_mock.{name}={value}" for name, value in settings.items() if value)
        base = "console=ttyS0 loglevel=4 mitigations=off panic=1"
        return f"{base} {TOKEN} {said} {self.append}".strip()


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that ran in a machine."""

    rc: int
    stdout: str
    stderr: str


class Running:
    """A machine that is on; `with machine.boot() as running:` switches it off at the end."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.release = machine.kernel.release
        # Short: the path of a unix socket ends at 107 characters.
        self.directory = Path(tempfile.mkdtemp(prefix="vm-"))
        initrd = (machine.kernel.directory / "initrd.gz").read_bytes()
        (self.directory / "initrd").write_bytes(machine.overlay.behind(initrd))
        self._log = (self.directory / "qemu.log").open("wb")
        self._process = subprocess.Popen(
            machine.command(self.directory),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "TMPDIR": str(self.directory)},
            start_new_session=True,
        )
        self._channel: Channel | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.power_off()

    def wait_for_server(self, timeout_s: float = BOOT_S) -> None:
        """Wait until it answers; GuestError with the end of its console when it does not."""
        deadline = time.monotonic() + timeout_s
        while self._channel is None:
            self._check(deadline, timeout_s)
            try:
                self._channel = Channel(self.directory / "control", leaps=self._leaps)
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.05)
        try:
            self._channel.hello(timeout_s)
        except GuestError as error:
            raise GuestError(f"{error}\n{self.console_tail()}") from error

    @property
    def _leaps(self) -> float:
        return _LEAPS if self.machine.accelerator == "icount" else 1

    @property
    def pid(self) -> int:
        """Return the pid of its QEMU."""
        return self._process.pid

    def console(self) -> str:
        """Return all its kernel and its init said."""
        path = self.directory / "console"
        return path.read_text(errors="replace") if path.exists() else ""

    def console_tail(self, lines: int = _TAIL) -> str:
        """Return the end of what QEMU and the console said."""
        said = (self.directory / "qemu.log").read_text(errors="replace") + self.console()
        return "\n".join(said.splitlines()[-lines:])

    def run(
        self,
        *argv: str,
        timeout_s: float = 120.0,
        stdin: str = "",
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> Completed:
        """Run a program to its end; GuestError when it fails, if `check`, or takes too long."""
        body = self.channel.ask(
            "run", argv=argv, timeout_s=timeout_s, stdin=stdin, cwd=cwd, env=dict(env or {})
        )
        done = Completed(body["rc"], body["stdout"], body["stderr"])
        if check and done.rc != 0:
            raise GuestError(f"{argv} ended with {done.rc}\n{done.stdout}{done.stderr}")
        return done

    def shell(self, script: str, *, timeout_s: float = 120.0, check: bool = True) -> str:
        """Run a shell script; return what it prints."""
        return self.run("sh", "-c", script, timeout_s=timeout_s, check=check).stdout

    def spawn(
        self,
        *argv: str,
        output: str = "",
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
    ) -> int:
        """Start a program that stays; its output is appended to a file. Returns its pid."""
        body = self.channel.ask("spawn", argv=argv, output=output, cwd=cwd, env=dict(env or {}))
        return int(body["pid"])

    def wait(self, pid: int, timeout_s: float = 60.0) -> int | None:
        """Return the exit status of a spawned program; None if it still runs after the time-out."""
        status: int | None = self.channel.ask("wait", pid=pid, timeout_s=timeout_s)["rc"]
        return status

    def kill(self, pid: int, number: int) -> None:
        """Send a signal to a process of the machine."""
        self.channel.ask("kill", pid=pid, signal=int(number))

    def sleep(self, seconds: float) -> None:
        """Wait until so much of the machine's own time is over."""
        self.run("sleep", f"{seconds:.3f}", timeout_s=_SLOWEST * seconds + BOOT_S)

    def put(self, path: str, data: bytes | str, *, mode: int = 0o644) -> None:
        """Write a file."""
        self.channel.put(path, data.encode() if isinstance(data, str) else data, mode)

    def get(self, path: str) -> bytes:
        """Read a file."""
        return self.channel.get(path)

    def read(self, path: str) -> str:
        """Read a small text file, such as one of /proc or a cgroup; blanks around it are cut."""
        return self.get(path).decode().strip()

    def exists(self, path: str) -> bool:
        """Tell whether there is such a file or directory."""
        return bool(self.channel.ask("exists", path=path)["exists"])

    def mount(self, disk: str, path: str) -> None:
        """Mount a disk by its name; what is written there is forgotten too."""
        self.shell(f"mkdir -p {path} && mount -t ext4 /dev/{self.block(disk)} {path}")

    def block(self, disk: str) -> str:
        """Return the kernel's name of a disk; GuestError if the machine has none of this name."""
        return self.shell(
            "for block in /sys/block/vd*; do "
            f'if [ "$(cat $block/serial)" = {disk} ]; then '
            f"exec echo ${{block##*/}}; fi; done; exit 1"
        ).strip()

    def power_off(self) -> None:
        """Switch it off at once, as a power cut would, and forget what it wrote."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def channel(self) -> Channel:
        """Return the line to its server; GuestError when it is off."""
        if self._channel is None:
            raise GuestError("the machine is off")
        return self._channel

    def _check(self, deadline: float, timeout_s: float) -> None:
        if (status := self._process.poll()) is not None:
            raise GuestError(f"QEMU ended with {status}\n{self.console_tail()}")
        if time.monotonic() > deadline:
            raise GuestError(f"not up in {timeout_s:.0f} s\n{self.console_tail()}")
