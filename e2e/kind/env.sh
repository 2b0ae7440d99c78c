#!/usr/bin/env bash
# Print what a shell needs to use the running cluster: eval "$(e2e/kind/env.sh)"
#   KUBECONFIG     the cluster
#   DAMON_MOCKS    file: node name -> {"mount": directory on this machine, "control": unix socket}
#   KIND_ENGINE    docker or podman: `$KIND_ENGINE exec <node name> ...` runs a command in a node
#   IMAGE_BUILD    command that builds an image: $IMAGE_BUILD --tag NAME --target TARGET .
#   PYTHON_IMAGE   the base those builds use (the Dockerfile's own default if empty)
#   PATH           kind, helm, helm3 and a kubectl of the cluster's version first
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$HERE/host.sh"
. "$HERE/provider.sh"
[ -f "$STATE/provider" ] || fail "no cluster is up: run up.sh first"
choose_provider

print() { printf 'export %s=%q\n' "$1" "$2"; }
print KUBECONFIG "$STATE/kubeconfig"
print DAMON_MOCKS "$STATE/mocks/mocks.json"
print KIND_ENGINE "$ENGINE"
print KIND_EXPERIMENTAL_PROVIDER "$KIND_EXPERIMENTAL_PROVIDER"
if [ "$PROVIDER" = local ]; then
  print CONTAINERS_CONF "$CONTAINERS_CONF"
  print KIND_EXPERIMENTAL_PODMAN_NETWORK "$CLUSTER"
  print PYTHON_IMAGE "$LOCAL_PYTHON_IMAGE"
  # The engine's own network has no way out where downloads need the machine's settings.
  print IMAGE_BUILD "podman build --network host --build-arg PYTHON_IMAGE=$LOCAL_PYTHON_IMAGE"
else
  print PYTHON_IMAGE ""
  print IMAGE_BUILD "$ENGINE build"
fi
# shellcheck disable=SC2016 # for the shell that evaluates it
printf 'export PATH=%q:%q:$PATH\n' "$STATE/bin" "$CACHE/bin"
