#!/usr/bin/env bash
# Collect what explains a failure: nodes' and pods' logs, events, the mocks' logs.
# usage: logs.sh [--print] DIRECTORY    (--print: and show the ends of what matters most, for who sees only an output)
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$HERE/host.sh"
. "$HERE/provider.sh"
print=
if [ "${1:-}" = --print ]; then
  print=1
  shift
fi
mkdir -p "$1"
[ -f "$STATE/provider" ] || exit 0
choose_provider
kubectl=$STATE/bin/kubectl
[ -x "$kubectl" ] || kubectl=$CACHE/bin/kubectl
ask() { timeout 30 "$kubectl" --kubeconfig "$STATE/kubeconfig" "$@" 2>&1; }

# Each on its own: one that fails must not keep the others from being collected.
timeout 120 "$CACHE/bin/kind" export logs --name "$CLUSTER" "$1/nodes" >/dev/null 2>&1
for what in events pods nodes damontunings damonnodes; do
  ask get "$what" --all-namespaces -o yaml >"$1/$what.yaml"
done
for log in "$STATE"/mocks/*/log; do
  [ ! -f "$log" ] || cp "$log" "$1/mock-$(basename "$(dirname "$log")").log"
done
cp -r "$STATE/logs" "$1/create" 2>/dev/null
cp "$STATE/create.log" "$1/" 2>/dev/null
[ -n "$print" ] || exit 0

show() { printf '\n-- %s\n' "$1" && tail -n "${3:-40}" "$2"; }
[ ! -s "$1/create.log" ] || show "kind create cluster" "$1/create.log" 20
for log in "$1"/mock-*.log; do
  [ ! -s "$log" ] || show "$(basename "$log" .log)" "$log" 20
done
show "nodes, pods" <(ask get nodes,pods --all-namespaces -o wide) 80
show "tunings and nodes of ours" <(ask get dt,dn -o wide)
show "events" <(ask get events --all-namespaces --sort-by .lastTimestamp) 50
for component in operator agent; do
  show "$component" <(ask logs --namespace damon-system --selector "app.kubernetes.io/component=$component" \
    --prefix --tail 40 --max-log-requests 20) 160
done
exit 0
