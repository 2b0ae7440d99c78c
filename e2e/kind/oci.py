#!/usr/bin/env python3
"""Write a directory as a one-layer OCI image archive, for container runtimes to import by name.

Standard library only: it runs before anything of this project is installed.
"""

import argparse
import hashlib
import io
import json
import platform
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}  # uname's word to the OCI one
CHUNK_BYTES = 1 << 20


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Drop what differs from one machine and minute to the next: owner and time."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    return member


def _digest(stream: IO[bytes]) -> tuple[str, int]:
    """SHA-256 and size of a stream, which is left at its start."""
    stream.seek(0)
    digest = hashlib.sha256()
    size_bytes = 0
    while chunk := stream.read(CHUNK_BYTES):
        digest.update(chunk)
        size_bytes += len(chunk)
    stream.seek(0)
    return digest.hexdigest(), size_bytes


class Archive:
    """An OCI image layout inside a tar file: blobs by digest and the index that names the image."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def blob(self, stream: IO[bytes], media_type: str) -> dict[str, Any]:
        """Store one blob; returns its descriptor."""
        digest, size_bytes = _digest(stream)
        self.file(f"blobs/sha256/{digest}", stream, size_bytes)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size_bytes}

    def json(self, document: dict[str, Any], kind: str) -> dict[str, Any]:
        """Store a document as a blob of an OCI media type; returns its descriptor."""
        data = io.BytesIO(json.dumps(document, sort_keys=True).encode())
        return self.blob(data, f"application/vnd.oci.image.{kind}.v1+json")

    def file(self, name: str, stream: IO[bytes], size_bytes: int) -> None:
        """Store a plain file of the layout."""
        member = tarfile.TarInfo(name)
        member.size = size_bytes
        self._tar.addfile(member, stream)


def write(*, archive: Path, name: str, root: Path, entrypoint: list[str], path: str) -> None:
    """Write `root` as image `name` to `archive`; `path` is the PATH of its processes."""
    architecture = MACHINES.get(platform.machine(), platform.machine())
    with tempfile.TemporaryFile() as layer, tarfile.open(archive, "w") as tar:
        with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as contents:
            for entry in sorted(root.iterdir()):
                contents.add(entry, arcname=entry.name, filter=_owned_by_root)
        out = Archive(tar)
        layer_descriptor = out.blob(layer, "application/vnd.oci.image.layer.v1.tar")
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Entrypoint": entrypoint, "Env": [f"PATH={path}"]},
            "rootfs": {"type": "layers", "diff_ids": [layer_descriptor["digest"]]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": out.json(config, "config"),
            "layers": [layer_descriptor],
        }
        descriptor = out.json(manifest, "manifest") | {
            "platform": {"architecture": architecture, "os": "linux"},
            # containerd's import names the image by the first, other tools tag it by the second.
            "annotations": {
                "io.containerd.image.name": name,
                "org.opencontainers.image.ref.name": name.rpartition(":")[2],
            },
        }
        index = json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode()
        layout = b'{"imageLayoutVersion":"1.0.0"}'
        out.file("index.json", io.BytesIO(index), len(index))
        out.file("oci-layout", io.BytesIO(layout), len(layout))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, required=True, help="the tar file to write")
    parser.add_argument("--name", required=True, help="full image name with tag")
    parser.add_argument("--root", type=Path, required=True, help="directory that becomes the layer")
    parser.add_argument("--path", default="/usr/local/bin:/usr/sbin:/usr/bin", help="PATH inside")
    parser.add_argument("entrypoint", nargs="+", help="the command the image runs")
    write(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
