#!/usr/bin/env bash
# Get stock Debian kernels for the machines, found in the archive's index now.
# usage: kernel.sh KERNEL...
#   6.12, 6.18.15  a version or its beginning: the newest of the first suite that has one (SUITES is the order)
#   newest         the newest of all suites
# Prints the directory of each, in order: vmlinuz, config, modules.img, initrd.gz. One without DAMON's sysfs is refused;
# `newest` goes on to the next older one.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
SUITES=${VM_SUITES:-bookworm-security bookworm-backports trixie-security trixie-backports sid experimental}
APT=$CACHE/apt
KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

# apt <command>...: apt with an archive of our own beside the machine's; it checks signatures, keeps what has not
# changed, and goes the machine's way to the mirror.
apt() {
  local program=$1
  shift
  "$program" -qq -o Dir::State="$APT/state" -o Dir::State::status="$APT/status" -o Dir::Cache="$APT/cache" \
    -o Dir::Etc::SourceList="$APT/sources.list" -o Dir::Etc::SourceParts=- -o APT::Sandbox::User=root \
    -o APT::Architecture=amd64 -o APT::Architectures::=amd64 -o Acquire::Languages=none "$@"
}

# security_mirror: where this machine gets Debian's security updates, else beside its mirror, else Debian's own.
security_mirror() {
  local mirror
  mirror=$(debian_mirror)
  if [ -n "${DEBIAN_SECURITY_MIRROR:-}" ]; then
    printf '%s' "$DEBIAN_SECURITY_MIRROR"
  elif [ -n "$mirror" ]; then
    printf '%s-security' "${mirror%/}"
  else
    printf 'http://deb.debian.org/debian-security'
  fi
}

index() {
  local suite mirror
  mirror=$(debian_mirror)
  mkdir -p "$APT/state/lists/partial" "$APT/cache/archives/partial"
  touch "$APT/status"
  for suite in $SUITES; do
    case $suite in
      *-security) printf 'deb [signed-by=%s] %s %s main\n' "$KEYS" "$(security_mirror)" "$suite" ;;
      *) printf 'deb [signed-by=%s] %s %s main\n' "$KEYS" "${mirror:-http://deb.debian.org/debian}" "$suite" ;;
    esac
  done >"$APT/sources.list"
  # A mirror that cannot be reached is no reason to stop while there is an index of an earlier day.
  retry apt apt-get update >&2 || { ls "$APT"/state/lists/*_Packages* >/dev/null 2>&1 && say "the index is not of today"; }
}

# candidates <kernel>: "version package", best first.
candidates() {
  local suite found
  apt apt-cache madison $(apt apt-cache pkgnames linux-image- | grep -E '^linux-image-[0-9][0-9.]*(\+[a-z0-9.]+)?-amd64$') \
    | awk -F ' *\\| *' '{ sub(/^ */, "", $1); split($3, where, " "); sub("/.*", "", where[2]); print where[2], $2, $1 }' >"$APT/kernels"
  if [ "$1" = newest ]; then
    cut -d' ' -f2- "$APT/kernels" | sort -u | sort -rV
    return
  fi
  for suite in $SUITES; do
    found=$(awk -v suite="$suite" -v want="$1" '$1 == suite && index($2 "-", want) == 1 &&
      substr($2, length(want) + 1, 1) ~ /[-.~+]/ { print $2, $3 }' "$APT/kernels" | sort -rV)
    if [ -n "$found" ]; then
      printf '%s\n' "$found"
      return
    fi
  done
}

# download <package> <version> <directory>: the package and those of its own source it depends on, unpacked. A mirror may
# have lost one that holds neither kernel nor modules (6.18's linux-base-*): what is missed is missed by who unpacks it.
download() {
  local package=$1 version=$2 directory=$3 name needed=()
  for name in $(apt apt-cache show --no-all-versions "$package=$version" | sed -n 's/^Depends: //p' | tr ',' '\n' \
    | sed -n "s/^ *\(linux-[^ ]*\) (= $version).*/\1/p"); do
    if [ -n "$(apt apt-cache madison "$name")" ]; then needed+=("$name"); else say "no $name in the archive"; fi
  done
  rm -rf "$directory"
  mkdir -p "$directory/debs" "$directory/tree"
  download_once() { (cd "$directory/debs" && apt apt-get download "${needed[@]/%/=$version}" "$package=$version" >&2); }
  retry download_once
  for package in "$directory"/debs/*.deb; do dpkg-deb -x "$package" "$directory/tree"; done
  rm -rf "$directory/debs"
}

# make_initrd <directory of modules below lib/modules> <release> <out>: busybox, and what finds the root disk.
make_initrd() {
  local work=$3.work file name
  mkdir -p "$work"/{bin,dev,proc,sys,mnt,modules,overlay}
  cp "$(command -v busybox)" "$work/bin/busybox"
  install -m 755 "$VM/initrd-init" "$work/init"
  : >"$work/modules/order"
  for name in virtio_pci virtio_blk ext4; do
    modprobe -d "$1" -S "$2" --show-depends "$name"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
    name=$(basename "$file" .xz)
    case $file in
      *.xz) xz -dc "$file" >"$work/modules/$name" ;;
      *) cp "$file" "$work/modules/$name" ;;
    esac
    printf '%s\n' "$name" >>"$work/modules/order"
  done
  (cd "$work" && find . | cpio -o -H newc --quiet | gzip -1) >"$3"
  rm -rf "$work"
}

# make_kernel <package> <version> <release> <directory>
make_kernel() {
  local work=$4.work tree=$4.work/tree modules=$4.work/root/lib/modules
  download "$1" "$2" "$work"
  rm -rf "$4"
  mkdir -p "$4" "$modules"
  cp "$(find "$tree" -name "vmlinuz-$3" -o -path "*/$3/vmlinuz" | head -n 1)" "$4/vmlinuz"
  cp "$(find "$tree" -name "config-$3" -o -path "*/$3/config" | head -n 1)" "$4/config"
  mv "$(find "$tree" -path "*/lib/modules/$3" -type d)" "$modules/"
  # What no virtual machine has.
  rm -rf "$modules/$3"/kernel/{sound,drivers/{gpu,media,iio,staging,infiniband,scsi,usb,hid,input,mtd,mmc,net/{wireless,ethernet,can,usb,phy,dsa},sound,video,ata,hwmon,platform,isdn,bluetooth,accel,comedi,thunderbolt,nfc,leds,power}}
  depmod -b "$work/root" "$3"
  make_initrd "$work/root" "$3" "$4/initrd.gz"
  disk "$4/modules.img" "$(($(du -sm "$modules" | cut -f1) * 5 / 4 + 16))M" "$modules"
  printf '%s\n' "$3" >"$4/release"
  rm -rf "$work"
}

# fetch <kernel>: make the best candidate that has what DAMON needs; prints its directory.
fetch() {
  local version package release directory
  while read -r version package; do
    release=${package#linux-image-} directory=$CACHE/kernels/${package#linux-image-}
    step "kernel-$release" "$VM/kernel.sh" "$VM/initrd-init" -- make_kernel "$package" "$version" "$release" "$directory" >&2
    if grep -q '^CONFIG_DAMON_SYSFS=y' "$directory/config" && grep -q '^CONFIG_DAMON_VADDR=y' "$directory/config"; then
      printf '%s\n' "$directory"
      return
    fi
    say "$release ($version) has no DAMON sysfs"
    [ "$1" = newest ] || break
  done < <(candidates "$1")
  fail "no Debian kernel $1 with DAMON's sysfs in $SUITES"
}

[ "$(uname -m)" = x86_64 ] || fail "the machines are x86_64 and so must this one be, for their root file system"
host_root
host_packages
alone "$CACHE/kernels.lock"
index
for kernel in "$@"; do fetch "$kernel"; done
