#!/usr/bin/env bash
# Collect what explains a failure: nodes' and pods' logs, events, the mocks' logs. usage: logs.sh DIRECTORY
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$HERE/host.sh"
. "$HERE/provider.sh"
mkdir -p "$1"
[ -f "$STATE/provider" ] || exit 0
choose_provider
# Each on its own: one that fails must not keep the others from being collected.
"$CACHE/bin/kind" export logs --name "$CLUSTER" "$1/nodes" >/dev/null
for what in events pods nodes damontunings damonnodes; do
  "$STATE/bin/kubectl" --kubeconfig "$STATE/kubeconfig" get "$what" --all-namespaces -o yaml >"$1/$what.yaml" 2>&1
done
for log in "$STATE"/mocks/*/log; do
  [ ! -f "$log" ] || cp "$log" "$1/mock-$(basename "$(dirname "$log")").log"
done
cp -r "$STATE/logs" "$1/create" 2>/dev/null
exit 0
