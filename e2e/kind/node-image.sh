#!/usr/bin/env bash
# Make a kind node image without a registry: a Debian tree, the base files of the kind module, the binaries of
# tools.sh, and the control plane's images preloaded into containerd.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$HERE/host.sh"
BASE=$CACHE/node-debian ROOT=$CACHE/node-root ARCHIVES=$CACHE/archives

# Where things go is what images/base/Dockerfile of the kind module says.
kind_files() {
  local files
  files=$(cd "$TOOLS/kind" && retry timeout 900 go mod download && go list -mod=readonly -m -f '{{.Dir}}' sigs.k8s.io/kind)/images/base/files
  mkdir -p "$ROOT"/kind/manifests "$ROOT"/opt/cni/bin "$ROOT"/etc/cni/net.d "$ROOT"/etc/kubernetes/manifests
  # The module cache is read-only, the copy must not be.
  cp -r --no-preserve=mode,ownership "$files"/etc "$files"/kind "$files"/usr "$ROOT/"
  cp -r --no-preserve=mode,ownership "$HERE"/node/etc "$HERE"/node/kind "$HERE"/node/usr "$ROOT/"
  chmod 755 "$ROOT"/usr/local/bin/* "$ROOT"/kind/bin/*
  cp -L "$ROOT"/usr/lib/cni/{host-local,loopback,ptp,portmap} "$ROOT/opt/cni/bin/"
  install -m 755 "$CACHE"/bin/{kubeadm,kubelet,kubectl} "$ROOT/usr/bin/"
  printf 'v%s' "$KUBERNETES_VERSION" >"$ROOT/kind/version"
}

# Debian's paths; and limits and scores only a holder of CAP_SYS_RESOURCE could set, which a node may not be.
containerd_settings() {
  sed -i 's#/usr/local/bin/containerd#/usr/bin/containerd#; /^Limit/d; /^OOMScoreAdjust/d' \
    "$ROOT/etc/systemd/system/containerd.service"
  sed -i "s#restrict_oom_score_adj = false#restrict_oom_score_adj = true#; s#sandbox_image = .*#sandbox_image = \"$(image pause)\"#" \
    "$ROOT/etc/containerd/config.toml"
  chroot "$ROOT" ctr oci spec | python3 -c '
import json, sys
spec = json.load(sys.stdin)
spec["process"].pop("rlimits", None)
spec["hooks"] = {"createContainer": [{"path": "/kind/bin/mount-product-files.sh"}]}
json.dump(spec, sys.stdout)' >"$ROOT/etc/containerd/cri-base.json"
}

# systemd as the only service manager of a container: no units that reach for the machine's devices or sysctls.
systemd_settings() {
  rm -f "$ROOT/etc/resolv.conf" "$ROOT"/usr/lib/sysctl.d/*
  : >"$ROOT/etc/machine-id"
  ln -sf /usr/lib/systemd/systemd "$ROOT/usr/sbin/init"
  rm -f "$ROOT"/usr/lib/systemd/system/{multi-user,local-fs,basic}.target.wants/* "$ROOT"/etc/systemd/system/*.wants/* \
    "$ROOT"/usr/lib/systemd/system/sockets.target.wants/*{udev,initctl}* \
    "$ROOT"/usr/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service
  # It warns that /proc is absent, which is meant.
  chroot "$ROOT" systemctl --quiet enable kubelet.service containerd.service undo-mount-hacks.service 2>/dev/null
  chroot "$ROOT" systemctl --quiet mask systemd-binfmt.service 2>/dev/null
}

# image <component>: the full name kubeadm of this version expects.
image() { grep "/$1:" "$CACHE/images.txt"; }

# archive <component> <directory> <command>...
archive() { python3 "$HERE/oci.py" --archive "$ARCHIVES/$1.tar" --name "$(image "$1")" --root "$2" "${@:3}"; }

control_plane_archives() {
  local name tree
  rm -rf "$ARCHIVES"
  for name in kube-apiserver kube-controller-manager kube-scheduler etcd pause; do
    tree=$ARCHIVES/trees/$name
    mkdir -p "$tree/usr/local/bin" "$tree/tmp"
    cp "$CACHE/bin/$name" "$tree/usr/local/bin/"
    archive "$name" "$tree" "/usr/local/bin/$name"
  done
  tree=$ARCHIVES/trees/kube-proxy
  mkdir -p "$tree"/usr/{bin,sbin,lib,lib64,local/bin} "$tree/tmp"
  for name in bin sbin lib lib64; do ln -s "usr/$name" "$tree/$name"; done
  cp "$CACHE/bin/kube-proxy" "$tree/usr/local/bin/"
  # It runs these programs; with them go the libraries they load.
  (cd "$ROOT" && cp -L --parents usr/sbin/nft usr/sbin/xtables-nft-multi usr/lib/*/xtables/*.so "$tree/")
  for name in nft xtables-nft-multi; do
    chroot "$ROOT" ldd "/usr/sbin/$name" | grep -o '/[^ ]*' | while read -r library; do
      cp -L "$ROOT$library" "$tree$library" 2>/dev/null || install -D "$ROOT$library" "$tree$library"
    done
  done
  for name in ip{,6}tables{,-save,-restore}; do ln -s xtables-nft-multi "$tree/usr/sbin/$name"; done
  archive kube-proxy "$tree" /usr/local/bin/kube-proxy
  # What examples/pods.yaml runs; Debian has the same release.
  tree=$ARCHIVES/trees/busybox
  mkdir -p "$tree/usr/bin" "$tree/tmp"
  ln -s usr/bin "$tree/bin"
  cp "$ROOT/usr/bin/busybox" "$tree/usr/bin/"
  chroot "$ROOT" busybox --list | grep -vx busybox | while read -r name; do ln -s busybox "$tree/usr/bin/$name"; done
  python3 "$HERE/oci.py" --archive "$ARCHIVES/busybox.tar" --name docker.io/library/busybox:1.37 --root "$tree" /bin/sh
  rm -rf "$ARCHIVES/trees"
  cp "$HERE/node/preload.toml" "$ARCHIVES/"
}

make_node_image() {
  local previous
  previous=$(podman image inspect --format '{{.Id}}' "$LOCAL_NODE_IMAGE" 2>/dev/null) || true
  # The names need no network when the version is given.
  "$CACHE/bin/kubeadm" config images list --kubernetes-version "v$KUBERNETES_VERSION" >"$CACHE/images.txt"
  rm -rf "$ROOT"
  cp -a "$BASE" "$ROOT"
  kind_files
  containerd_settings
  systemd_settings
  control_plane_archives
  unshare --mount --propagation private --pid --fork --kill-child bash "$HERE/preload.sh" "$ROOT" "$ARCHIVES"
  # systemd 257 refuses cgroup v1 unless told so; on cgroup v2 it reads the variable and goes its usual way.
  tar -C "$ROOT" -c . | podman import --quiet \
    --change 'ENV container=docker' --change 'STOPSIGNAL SIGRTMIN+3' \
    --change 'ENTRYPOINT ["/usr/local/bin/node-entrypoint", "/sbin/init"]' \
    --change 'ENV SYSTEMD_PROC_CMDLINE="systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"' \
    - "$LOCAL_NODE_IMAGE" >/dev/null
  # The former image is 1 GB; where a cluster still runs on it, podman keeps it.
  [ -z "$previous" ] || podman rmi "$previous" >/dev/null 2>&1 || say "image $previous is in use and stays"
  rm -rf "$ROOT" "$ARCHIVES"
}

host_root
host_podman
alone "$CACHE/node.lock"
need go
step node-debian "$HERE/node-packages.txt" "$HERE/versions.env" -- \
  debian "$BASE" "$DEBS" "$(paste -sd, "$HERE/node-packages.txt")"
podman image exists "$LOCAL_NODE_IMAGE" || forget node-image
mapfile -t recipe < <(find "$HERE/node" -type f | sort)
step node-image "$HERE/node-image.sh" "$HERE/preload.sh" "$HERE/oci.py" "$HERE/node-packages.txt" "$HERE/versions.env" \
  "$TOOLS"/{k8s,etcd,kind}/go.sum "$TOOLS/pause/main.go" "${recipe[@]}" -- make_node_image
