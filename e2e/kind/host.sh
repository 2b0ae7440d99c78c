# shellcheck shell=bash
# What the registry-less way asks of the machine: root, Debian packages, a podman configured for it. Sourced.

# command -> Debian package that brings it
HOST_PACKAGES="podman=podman runc=runc conmon=conmon iptables=iptables nft=nftables debootstrap=debootstrap
  fusermount3=fuse3 python3=python3-minimal unshare=util-linux"
# These bring no command of their own on PATH, podman calls them.
HOST_LIBRARIES="netavark aardvark-dns catatonit uidmap ca-certificates"

# Print the packages whose commands are absent.
host_missing() {
  local pair missing=()
  for pair in $HOST_PACKAGES; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair##*=}")
  done
  printf '%s' "${missing[*]}"
}

host_packages() {
  local missing
  missing=$(host_missing)
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || fail "install the equivalents of these Debian packages: $missing $HOST_LIBRARIES"
  say "installing $missing"
  retry timeout 300 apt-get update -qq
  # Somebody else may be installing at this moment, a fresh machine's own timers for instance.
  # shellcheck disable=SC2086 # lists of words
  retry timeout 900 env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qq \
    --no-install-recommends $missing $HOST_LIBRARIES >/dev/null
}

host_root() {
  [ "$(id -u)" = 0 ] || fail "this takes root: nodes read mounts of this machine, mocks read processes of nodes, and
  without a registry the node image is made here. Try: sudo -E env \"PATH=\$PATH\" make kind-up"
}

# A configuration of our own beside the user's, named by CONTAINERS_CONF for our processes only. runc and cgroupfs
# work on cgroup v1, v2 and hybrid, with and without systemd. Limits above the hard ones cannot be had without
# CAP_SYS_RESOURCE, so ask for exactly those.
host_podman() {
  export CONTAINERS_CONF=$CACHE/containers.conf KIND_EXPERIMENTAL_PROVIDER=podman
  local files processes
  files=$(ulimit -Hn) processes=$(ulimit -Hu)
  [ "$files" != unlimited ] || files=1048576
  # podman lowers its own limit of processes to the number of pids there are.
  [ "$processes" != unlimited ] && [ "$processes" -le "$(cat /proc/sys/kernel/pid_max)" ] || processes=$(cat /proc/sys/kernel/pid_max)
  mkdir -p "$CACHE"
  cat >"$CONTAINERS_CONF" <<CONF
[containers]
default_ulimits = ["nofile=$files:$files", "nproc=$processes:$processes"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
}

# The nearest Debian mirror is the one this machine uses; debootstrap knows the usual one.
debian_mirror() {
  local mirror=${DEBIAN_MIRROR:-}
  if [ -z "$mirror" ] && grep -q '^ID=debian' /etc/os-release; then
    mirror=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null \
      | sed -n 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' \
      | grep -v security | head -n 1) || true
  fi
  printf '%s' "$mirror"
}

# debian <directory> <cache of packages> <package list, by comma>: a fresh Debian tree. Not resumable by itself, so
# each attempt starts anew; the packages downloaded so far are kept.
debian() {
  local mirror
  mirror=$(debian_mirror)
  mkdir -p "$2"
  # Bootstrapping Debian from another distribution takes Debian's keys; debootstrap says so if they are absent.
  # shellcheck disable=SC2317,SC2329 # called by retry
  debian_once() {
    rm -rf "$1"
    # shellcheck disable=SC2086 # no mirror, no argument
    timeout 900 debootstrap --variant=minbase --cache-dir="$2" --include="$3" "$DEBIAN_SUITE" "$1" $mirror >"$1.log" 2>&1 \
      || { tail -n 5 "$1.log" >&2 && return 1; }
  }
  retry debian_once "$@"
  rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/usr/share/{doc,man,locale,info}/*
}
