#!/usr/bin/env bash
# Say why this machine cannot host a cluster without a registry, and exit with 1; exit with 0 if nothing speaks against
# it. Only what no retry and no installation changes counts: the rest of the set-up has to work, or fail.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$HERE/host.sh"

cannot() {
  echo "$*"
  exit 1
}

[ "$(uname -s)" = Linux ] || cannot "this is $(uname -s), a cluster needs Linux"
[ "$(id -u)" = 0 ] || cannot "it takes root, this is uid $(id -u)"
for command in go python3; do
  command -v "$command" >/dev/null || cannot "$command is not on PATH"
done
missing=$(host_missing)
[ -z "$missing" ] || command -v apt-get >/dev/null || cannot "there is no apt-get to install: $missing"
[ -c /dev/fuse ] || modprobe fuse 2>/dev/null || true
(exec 3<>/dev/fuse) 2>/dev/null || cannot "/dev/fuse cannot be opened: no mock sysfs can be mounted"
unshare --mount --net --pid --ipc --uts --fork true 2>/dev/null \
  || cannot "no namespaces (mount, net, pid, ipc, uts) can be made: nodes are containers"
# shellcheck disable=SC2016 # for the shell in the namespace
unshare --mount --propagation private sh -c 'mount -t tmpfs tmpfs /mnt' 2>/dev/null || cannot "nothing can be mounted"
unshare --mount --pid --fork --propagation private mount -t proc proc /proc 2>/dev/null \
  || cannot "no proc can be mounted in a namespace: nodes have their own"
cgroup=/sys/fs/cgroup
[ ! -d "$cgroup/memory" ] || cgroup=$cgroup/memory
probe=$cgroup/damon-operator-probe.$$
# shellcheck disable=SC2015 # either failing is the answer
mkdir "$probe" 2>/dev/null && rmdir "$probe" || cannot "no control group can be made below $cgroup"
mkdir -p "$CACHE" /var/lib
for directory in "$CACHE" /var/lib; do
  free_kib=$(df --output=avail -k "$directory" | tail -n 1)
  [ "$free_kib" -ge $((8 * 1024 * 1024)) ] || cannot "less than 8 GiB of disk are free for $directory"
done
memory_kib=$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)
[ "$memory_kib" -ge $((3500 * 1024)) ] || cannot "it takes 4 GB of memory, there are $((memory_kib / 1024)) MiB"
