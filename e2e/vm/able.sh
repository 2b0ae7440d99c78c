#!/usr/bin/env bash
# Tell whether virtual machines can be made here; if not, print why and fail.
set -euo pipefail

if [ "$(uname -m)" != x86_64 ]; then
  echo "the machines are x86_64, and this one is $(uname -m)"
elif [ "$(id -u)" != 0 ]; then
  echo "it takes root to make the disks of virtual machines"
elif ! command -v qemu-system-x86_64 >/dev/null && ! command -v apt-get >/dev/null; then
  echo "there is no qemu-system-x86_64, and no apt-get to install it"
else
  exit 0
fi
exit 1
