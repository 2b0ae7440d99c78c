#!/usr/bin/env bash
# Unpack image archives into the containerd of a root directory, with this machine's processors. Runs in mount and pid
# namespaces of its own (see disk.sh), so whatever happens, no mount and no containerd outlives it.
# usage: import.sh ROOT ARCHIVES
set -euo pipefail
root=$1 archives=$2

mount --bind "$archives" "$root/mnt"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind /dev "$root/dev"
chroot "$root" containerd >"$archives/containerd.log" 2>&1 &
ctr() { chroot "$root" ctr --namespace k8s.io "$@"; }
for ((i = 0; i < 150; i++)); do
  ! ctr version >/dev/null 2>&1 || break
  sleep 0.2
done
for archive in "$archives"/*.tar; do
  ctr images import --snapshotter overlayfs "/mnt/${archive##*/}" >/dev/null || { tail -n 20 "$archives/containerd.log" >&2 && exit 1; }
done
kill %1
wait %1 || true
