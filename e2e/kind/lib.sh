# shellcheck shell=bash
# What the scripts of this directory share: where things are, how a step is done once, how the cluster is reached.
# Sourced, never run. Settings that are read from the environment stand here.
# shellcheck disable=SC2034 # read by those who source this

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPOSITORY=$(cd "$HERE/../.." && pwd)
TOOLS=$HERE/tools
# shellcheck source=versions.env
. "$HERE/versions.env"

CLUSTER=${KIND_CLUSTER:-damon-operator-e2e}
# One cache per set of versions: switching a branch back finds everything as it was left.
CACHE=${KIND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/damon-operator/kind/$(grep -h '' "$HERE/versions.env" "$TOOLS"/*/go.sum | grep -v '^#' | sha256sum | cut -c1-12)}
# Debian packages, for all versions.
DEBS=$(dirname "$CACHE")/debs-$DEBIAN_SUITE
# What belongs to the running cluster. Not below the checkout: unix socket paths end at 107 characters, and nobody
# should `rm -r` a directory that holds mounts.
STATE=${KIND_STATE:-/run/damon-operator/$CLUSTER}
# Where a node, and so a pod of the chart, sees the mock of its node.
MOCK_MOUNT_IN_NODE=/var/lib/damon-mock
# The two images the registry-less way makes.
LOCAL_NODE_IMAGE=localhost/damon-operator-node:v$KUBERNETES_VERSION
LOCAL_PYTHON_IMAGE=localhost/python:3.13

export PATH=$CACHE/bin:$PATH

say() { printf '%s kind: %s\n' "$(date +%T)" "$*" >&2; }
fail() {
  say "error: $*"
  exit 1
}

# retry <command>...: three attempts, 10 and 40 s apart; for downloads and other set-up, never for an assertion. The
# command bounds itself, with `timeout` or by what it is.
retry() {
  local pause
  for pause in 10 40 ""; do
    if "$@"; then return 0; fi
    [ -n "$pause" ] || break
    say "failed, once more in $pause s: $*"
    sleep "$pause"
  done
  say "failed three times: $*"
  return 1
}

# step <name> <input file>... -- <command>...: run the command unless it succeeded before with the same inputs.
# The stamp is written last, so an interrupted step is done again from its start.
step() {
  local name=$1 stamp want begin inputs=()
  shift
  while [ "$1" != -- ]; do
    inputs+=("$1")
    shift
  done
  shift
  stamp=$CACHE/stamps/$name
  want=$(cat -- "${inputs[@]}" | sha256sum | cut -c1-16)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then return 0; fi
  rm -f "$stamp"
  begin=$SECONDS
  say "$name ..."
  # NB: a plain command, not a condition: `set -e` stays in force inside functions called here.
  "$@"
  mkdir -p "$CACHE/stamps"
  printf '%s\n' "$want" >"$stamp"
  say "$name: done in $((SECONDS - begin)) s"
}

# forget <step name>: its result is gone (an image was pruned); do it again.
forget() { rm -f "$CACHE/stamps/$1"; }

# alone <file>: hold a lock until this shell ends; two runs would tread on each other's half-made files.
alone() {
  mkdir -p "$(dirname "$1")"
  exec 9>"$1"
  flock --nonblock 9 || { say "waiting for another run ($1)" && flock 9; }
}

need() {
  local command
  for command in "$@"; do
    command -v "$command" >/dev/null || fail "$command is needed on PATH (see $HERE/README.md)"
  done
}
