#!/usr/bin/env bash
# Take the end-to-end cluster, its mocks and its network away. Safe to repeat; caches and images stay.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$HERE/host.sh"
. "$HERE/provider.sh"

# up.sh calls this while it holds the lock.
[ "${1:-}" = --keep-lock ] || alone "$STATE.lock"

if [ -x "$CACHE/bin/kind" ] && [ -d "$STATE" ]; then
  # NB: without the file a cluster was never begun, and choosing would start to look for registries.
  if [ -f "$STATE/provider" ]; then
    choose_provider
    "$CACHE/bin/kind" delete cluster --name "$CLUSTER" --kubeconfig "$STATE/kubeconfig" --quiet
    if [ "$PROVIDER" = local ] && podman network exists "$CLUSTER"; then podman network rm "$CLUSTER" >/dev/null; fi
  fi
fi
"$HERE/mocks.py" stop "$STATE/mocks"
rm -rf --one-file-system "$STATE"
[ "${1:-}" = --keep-lock ] || say "$CLUSTER is down"
