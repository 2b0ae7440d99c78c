#!/usr/bin/env bash
# Take image archives into the containerd content store of a root directory. Runs in mount and pid namespaces of its
# own (see node-image.sh), so whatever happens, no mount and no containerd outlives it.
# usage: preload.sh ROOT ARCHIVES
set -euo pipefail
root=$1 archives=$2

mount --bind "$archives" "$root/mnt"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
chroot "$root" containerd --config /mnt/preload.toml >"$archives/containerd.log" 2>&1 &
ctr() { chroot "$root" ctr --namespace k8s.io "$@"; }
for ((i = 0; i < 100; i++)); do
  ! ctr version >/dev/null 2>&1 || break
  sleep 0.2
done
for archive in "$archives"/*.tar; do
  # Unpacked when a node starts: a snapshot in the image would be one more copy on disk.
  ctr images import --no-unpack "/mnt/${archive##*/}" >/dev/null || { cat "$archives/containerd.log" >&2 && exit 1; }
done
kill %1
wait %1 || true
