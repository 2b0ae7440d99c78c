#!/usr/bin/env bash
# Make the root file system that all machines start from: Debian with Python and containerd, no service manager.
# Prints its directory: tree/ (the files) and root.img (the same as a disk).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
ROOT=$CACHE/rootfs

make_rootfs() {
  debian "$ROOT/tree" "$DEBS" "$(paste -sd, "$VM/packages.txt")"
  mkdir -p "$ROOT/tree/usr/lib/modules" "$ROOT/tree/opt/guest" "$ROOT/tree/share"
  disk "$ROOT/root.img" 4G "$ROOT/tree"
}

host_root
host_packages
alone "$CACHE/rootfs.lock"
mkdir -p "$ROOT"
step rootfs "$VM/rootfs.sh" "$VM/packages.txt" "$HERE/versions.env" -- make_rootfs
printf '%s\n' "$ROOT"
