#!/usr/bin/env bash
# Print what a shell needs to use the running cluster: eval "$(e2e/kind/env.sh)"
#   KUBECONFIG     the cluster
#   DAMON_MOCKS    file: node name -> {"mount": directory on this machine, "control": unix socket,
#                  "proc": the node's /proc as this machine sees it}
#   KIND_ENGINE    docker or podman: `$KIND_ENGINE exec <node name> ...` runs a command in a node
#   CONTAINER_ENGINE, IMAGE_BUILD_FLAGS, PYTHON_IMAGE
#                  what `make images` reads; the base image is left to its default where a registry has it
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
print CONTAINER_ENGINE "$ENGINE"
print KIND_EXPERIMENTAL_PROVIDER "$KIND_EXPERIMENTAL_PROVIDER"
if [ "$PROVIDER" = local ]; then
  print CONTAINERS_CONF "$CONTAINERS_CONF"
  print KIND_EXPERIMENTAL_PODMAN_NETWORK "$CLUSTER"
  print PYTHON_IMAGE "$LOCAL_PYTHON_IMAGE"
  # Downloads in a build go the ways this machine goes.
  print IMAGE_BUILD_FLAGS "--network host"
fi
# shellcheck disable=SC2016 # for the shell that evaluates it
printf 'export PATH=%q:%q:$PATH\n' "$STATE/bin" "$CACHE/bin"
