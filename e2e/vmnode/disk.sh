#!/usr/bin/env bash
# Make the root disk of a node in a virtual machine and print its path: the root file system of e2e/vm, what a worker
# needs from the control plane of the running cluster (so it is the same version, wherever that came from), and images.
# The images lie there unpacked: in the machine, without KVM, that takes ten times as long.
# usage: disk.sh IMAGE...            images of this machine's engine; the environment is that of e2e/kind/env.sh
set -euo pipefail
NODE=$(cd "$(dirname "$0")" && pwd)
. "$NODE/../vm/lib.sh"
CONTROL_PLANE=$CLUSTER-control-plane WORK=$CACHE/node DISK=$CACHE/node/root.img
: "${KIND_ENGINE:?see e2e/kind/env.sh}"

in_control_plane() { "$KIND_ENGINE" exec "$CONTROL_PLANE" "$@"; }

# The images of the control plane's own store that a worker runs.
worker_images() { in_control_plane ctr --namespace k8s.io images list -q | grep -E '/(pause|kube-proxy):'; }

make_disk() {
  local tree=$WORK/tree archives=$WORK/archives pause image
  rm -rf "$tree" "$archives"
  mkdir -p "$archives"
  cp -a "$ROOTFS/tree" "$tree"
  mkdir -p "$tree"/opt/{node,cni/bin} "$tree/etc/containerd"
  "$KIND_ENGINE" cp "$CONTROL_PLANE:/usr/bin/kubelet" "$tree/usr/bin/kubelet"
  "$KIND_ENGINE" cp "$CONTROL_PLANE:/opt/cni/bin/." "$tree/opt/cni/bin"
  install -m 755 "$NODE/guest/start" "$tree/opt/node/start"
  cp "$NODE"/guest/{kubelet.yaml,pod-network.conflist} "$tree/opt/node/"
  pause=$(worker_images | grep /pause: | head -n 1)
  sed "s#@PAUSE@#$pause#" "$NODE/guest/containerd.toml" >"$tree/etc/containerd/config.toml"
  # shellcheck disable=SC2046 # names of images hold no spaces
  in_control_plane ctr --namespace k8s.io images export - $(worker_images) >"$archives/worker.tar"
  for image in "$@"; do
    "$KIND_ENGINE" save $([ "$KIND_ENGINE" != podman ] || echo --quiet --format docker-archive) \
      --output "$archives/$(basename "${image%%:*}").tar" "$image"
  done
  unshare --mount --propagation private --pid --fork --kill-child bash "$NODE/import.sh" "$tree" "$archives"
  disk "$DISK" 4G "$tree"
  rm -rf "$tree" "$archives"
}

ROOTFS=$("$VM/rootfs.sh")
alone "$CACHE/node.lock"
mkdir -p "$WORK"
"$KIND_ENGINE" inspect --format '{{.Image}}' "$CONTROL_PLANE" >"$WORK/inputs"
"$KIND_ENGINE" image inspect --format '{{.Id}}' "$@" >>"$WORK/inputs"
step node-disk "$WORK/inputs" "$CACHE/stamps/rootfs" "$NODE"/{disk,import}.sh "$NODE"/guest/* -- make_disk "$@"
printf '%s\n' "$DISK"
