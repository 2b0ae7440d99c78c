# shellcheck shell=bash
# What the scripts of this directory share. Sourced, never run; steps, retries and the Debian mirror are e2e/kind's.
# shellcheck disable=SC2034 # read by those who source this

VM=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../kind/lib.sh
. "$VM/../kind/lib.sh"
# shellcheck source=../kind/host.sh
. "$VM/../kind/host.sh"

CACHE=${VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/damon-operator/vm}
DEBS=$CACHE/debs-$DEBIAN_SUITE

# command -> Debian package that brings it
HOST_PACKAGES="qemu-system-x86_64=qemu-system-x86 busybox=busybox-static cpio=cpio debootstrap=debootstrap
  mke2fs=e2fsprogs depmod=kmod xz=xz-utils flock=util-linux apt-cache=apt dpkg-deb=dpkg"
# QEMU's firmware; the keys of the archive.
HOST_LIBRARIES="seabios debian-archive-keyring ca-certificates"

say() { printf '%s vm: %s\n' "$(date +%T)" "$*" >&2; }

# disk <image> <size of what mke2fs takes> <tree>: a directory as an ext4 image, sparse, without a journal: it is only
# ever written through a snapshot that is thrown away.
disk() {
  rm -f "$1"
  mke2fs -q -t ext4 -O ^has_journal -m 0 -L "$(basename "$1" .img)" -d "$3" "$1.new" "$2"
  mv "$1.new" "$1"
}
