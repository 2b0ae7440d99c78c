#!/bin/sh
# The mock sysfs can be a FUSE mount; mfusepy loads libfuse3.so.3. Root on a Debian-like system gets
# it installed; anybody else keeps the socket transport, which needs nothing.
set -u
[ -e /dev/fuse ] || exit 0
ldconfig -p 2>/dev/null | grep -q 'libfuse3\.so\.[34]' && exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
export DEBIAN_FRONTEND=noninteractive
echo "installing libfuse3 for the mock sysfs"
apt-get install -y -qq --no-install-recommends libfuse3-3 >/dev/null 2>&1 \
	|| { apt-get update -qq >/dev/null 2>&1 && apt-get install -y -qq --no-install-recommends libfuse3-3 >/dev/null 2>&1; } \
	|| echo "libfuse3 could not be installed: FUSE tests will skip, the demo uses the socket transport"
exit 0
