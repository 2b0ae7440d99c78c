"""Pack `kubectl damon` into one file that needs Python alone, and the archive that krew installs.

The planner needs pydantic, and pydantic a compiled core. Its file is named for Python version and
platform, so all of them fit side by side into one directory (docs/adr/0021-kubectl-damon.md).
"""

import argparse
import gzip
import hashlib
import importlib.metadata
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAME = "kubectl-damon"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = {
    "x86_64-manylinux_2_17": ("linux", "amd64"),
    "aarch64-manylinux_2_17": ("linux", "arm64"),
    "aarch64-apple-darwin": ("darwin", "arm64"),
}
"""uv's names for what the file runs on, and krew's."""
COMPILED = "pydantic_core"


def install(target: Path, *arguments: str) -> None:
    """Install into a directory; uv names what goes wrong."""
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "install", "--quiet", "--python", sys.executable]
    subprocess.run([*command, "--target", str(target), *arguments], cwd=ROOT, check=True)


def site(directory: Path) -> Path:
    """Fill a directory with everything that is packed; return it."""
    install(directory, "--require-hashes", "-r", str(ROOT / "requirements-cli.lock"))
    install(directory, "--no-deps", "--no-build-isolation", str(ROOT))
    for unused in ("damon_mock", "bin"):
        shutil.rmtree(directory / unused, ignore_errors=True)
    for fast in (directory / "yaml").glob("_yaml*.so"):
        fast.unlink()  # PyYAML does without it
    for core in cores(directory.parent):
        (directory / COMPILED / core.name).unlink(missing_ok=True)  # this machine's, linked by uv
        shutil.copy(core, directory / COMPILED)
    others = [path for path in directory.rglob("*.so") if path.parent.name != COMPILED]
    if others:
        raise SystemExit(f"compiled for this machine alone: {sorted(map(str, others))}")
    return directory


def pinned() -> str:
    """Return what the lock says of pydantic's core, hashes included."""
    locked = (ROOT / "requirements-cli.lock").read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(locked) if line.startswith("pydantic-core=="))
    last = next(i for i in range(first, len(locked)) if not locked[i].endswith("\\"))
    return "\n".join(locked[first : last + 1]) + "\n"


def cores(work: Path) -> list[Path]:
    """Return pydantic's compiled core for each Python and platform; the lock pins them all."""
    requirement = work / "core.txt"
    requirement.write_text(pinned(), encoding="utf-8")
    found: list[Path] = []
    for python in PYTHONS:
        for platform in PLATFORMS:
            target = work / f"{python}-{platform}"
            install(
                target,
                *("--no-deps", "--only-binary", ":all:", "--require-hashes"),
                *("--python-version", python, "--python-platform", platform),
                *("-r", str(requirement)),
            )
            found += (target / COMPILED).glob(f"_{COMPILED}.*.so")
    if len({core.name for core in found}) != len(PYTHONS) * len(PLATFORMS):
        raise SystemExit(f"not a file per Python and platform: {[core.name for core in found]}")
    return found


def pack(output: Path) -> None:
    """Write the .pyz; twice the same for the same lock and source."""
    with tempfile.TemporaryDirectory(prefix="pyz-") as work:
        filled = site(Path(work) / "site")
        subprocess.run(
            [
                *(Path(sys.executable).with_name("shiv"), "--site-packages", str(filled)),
                *("--entry-point", "damon_cli.__main__:main", "--compressed", "--reproducible"),
                *("--preamble", str(Path(__file__).with_name("preamble.py"))),
                *("--python", "/usr/bin/env python3", "--output-file", str(output)),
            ],
            check=True,
        )


def archive(pyz: Path, output: Path) -> None:
    """Write the archive that krew unpacks: the file under the name that kubectl looks for."""
    members = {NAME: (pyz.read_bytes(), 0o755), "LICENSE": ((ROOT / "LICENSE").read_bytes(), 0o644)}
    with (
        output.open("wb") as opened,
        gzip.GzipFile("", "wb", 6, opened, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as packed,
    ):
        for name, (content, mode) in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            packed.addfile(member, io.BytesIO(content))


def manifest(version: str, uri: str, sha256: str) -> dict[str, object]:
    """Return the manifest of the krew index: the same archive for every platform."""
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "damon"},
        "spec": {
            "version": f"v{version}",
            "homepage": uri.rsplit("/", 2)[0],
            "shortDescription": "Explain memory reclaim by pod priority",
            "description": "Why a pod has its priority, where it stands, how much of its memory is "
            "cold or out in swap, and what a DamonTuning would change.\n",
            "caveats": f"Needs python3 {PYTHONS[0]} or later on PATH, and damon-operator in the "
            "cluster.\n",
            "platforms": [
                {
                    "selector": {"matchLabels": {"os": system, "arch": machine}},
                    "uri": uri,
                    "sha256": sha256,
                    "files": [{"from": NAME, "to": "."}, {"from": "LICENSE", "to": "."}],
                    "bin": NAME,
                }
                for system, machine in PLATFORMS.values()
            ],
        },
    }


def main() -> int:
    """Write dist/kubectl-damon.pyz, the archive, and the manifest of that archive."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="DIR")
    parser.add_argument(
        "--uri",
        default="https://example.com/damon-operator/releases/v{version}/kubectl-damon.tar.gz",
        help="where the archive will be; {version} is replaced",
    )
    options = parser.parse_args()
    import yaml  # noqa: PLC0415 - the only place

    version = importlib.metadata.version("damon-operator")
    options.output.mkdir(parents=True, exist_ok=True)
    pyz, packed = options.output / f"{NAME}.pyz", options.output / f"{NAME}.tar.gz"
    pack(pyz)
    archive(pyz, packed)
    told = manifest(
        version,
        options.uri.format(version=version),
        hashlib.sha256(packed.read_bytes()).hexdigest(),
    )
    (options.output / "damon.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    for path in (pyz, packed):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
