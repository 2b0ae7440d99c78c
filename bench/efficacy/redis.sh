#!/usr/bin/env bash
# Get Debian's redis-server for the pods of the benchmark, with all that it is linked to. Prints its directory, which
# has `redis`: that starts it wherever the directory is.
set -euo pipefail
. "$(dirname "$0")/../../e2e/vm/lib.sh"
SCRIPT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/redis.sh
REDIS=$CACHE/redis

make_redis() {
  local tree=$REDIS/tree program library
  debian "$tree" "$DEBS" redis-server
  rm -rf "$REDIS/files"
  mkdir -p "$REDIS/files/lib"
  program=$(chroot "$tree" readlink -f /usr/bin/redis-server)
  cp "$tree$program" "$REDIS/files/redis-server"
  for library in $(chroot "$tree" ldd "$program" | grep -o '/[^ ]*'); do
    cp -L "$tree$library" "$REDIS/files/lib/"
  done
  cat >"$REDIS/files/redis" <<'END'
#!/bin/sh
here=$(dirname "$0")
exec "$here/lib/ld-linux-x86-64.so.2" --library-path "$here/lib" "$here/redis-server" "$@"
END
  chmod +x "$REDIS/files/redis"
  rm -rf "$tree"
}

host_root
host_packages
alone "$CACHE/redis.lock"
mkdir -p "$REDIS"
[ -x "$REDIS/files/redis" ] || forget redis
step redis "$SCRIPT" "$HERE/versions.env" -- make_redis
printf '%s\n' "$REDIS/files"
