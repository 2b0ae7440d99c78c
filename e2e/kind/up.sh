#!/usr/bin/env bash
# Bring up the end-to-end cluster: a control plane, workers, a mock DAMON per node. Safe to repeat: what is
# there and healthy stays, what is broken is made anew. The settings are described in README.md.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$HERE/host.sh"
. "$HERE/provider.sh"
. "$HERE/cluster.sh"

# What the mocks were started from: a running one goes on with the sources it has read.
mock_version() {
  {
    printf '%s\n' "${KIND_MOCK:-fuse}" "${DAMON_MOCK:-}" "${DAMON_MOCK_ARGS:-}" "$REPOSITORY"
    find "$REPOSITORY/e2e/damon_mock" -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
  } | sha256sum | cut -c1-16
}

start_mocks() {
  local names=()
  for node in "${NODES[@]}"; do names+=("$CLUSTER-$node"); done
  # NB: closed lock, here and below: what runs on after this script must not hold it.
  "$HERE/mocks.py" start --kind "${KIND_MOCK:-fuse}" \
    --command "${DAMON_MOCK:-$REPOSITORY/.venv/bin/damon-mock} sysfs ${DAMON_MOCK_ARGS:---profile 7.2}" \
    "$STATE/mocks" "${names[@]}" 9>&-
  mock_version >"$STATE/mock-version"
}

create_cluster() {
  cluster_configuration >"$STATE/kind.yaml"
  # A half-made cluster is taken away, so that the attempt can be repeated.
  create_once() {
    timeout 600 "$CACHE/bin/kind" create cluster --name "$CLUSTER" --image "$NODE_IMAGE" --config "$STATE/kind.yaml" \
      --kubeconfig "$STATE/kubeconfig" --retain >"$STATE/create.log" 2>&1 9>&- && return 0
    grep -v '^Stack Trace' "$STATE/create.log" | tail -n 20 >&2
    "$CACHE/bin/kind" export logs --name "$CLUSTER" "$STATE/logs" >/dev/null 2>&1 || true
    "$CACHE/bin/kind" delete cluster --name "$CLUSTER" --kubeconfig "$STATE/kubeconfig" --quiet || true
    return 1
  }
  retry create_once || fail "kind could not make the cluster; logs of the nodes are in $STATE/logs"
}

# kubectl of the cluster's own version, whatever this machine has.
take_kubectl() {
  mkdir -p "$STATE/bin"
  "$ENGINE" cp "$CLUSTER-control-plane:/usr/bin/kubectl" "$STATE/bin/kubectl"
}

begin=$SECONDS
mkdir -p "$STATE"
alone "$STATE.lock"
"$HERE/tools.sh" kind
host_root
choose_provider
# The nodes are bound to the mounts of the mocks they were made with: other mocks, another cluster.
if cluster_healthy && [ "$(cat "$STATE/mock-version" 2>/dev/null)" = "$(mock_version)" ]; then
  show_processes
  say "$CLUSTER is up"
  exit 0
fi
say "provider $PROVIDER, image $NODE_IMAGE"
"$HERE/tools.sh" helm helm3
if [ "$PROVIDER" = local ]; then
  host_packages
  # kind gives it to every node; a machine whose kernel has no modules may lack it.
  mkdir -p /lib/modules
  "$HERE/tools.sh" k8s etcd pause
  "$HERE/node-image.sh"
  "$HERE/python-image.sh"
fi
made=$SECONDS
"$HERE/down.sh" --keep-lock
mkdir -p "$STATE/nothing"
echo "$PROVIDER" >"$STATE/provider"
machine_settings >"$STATE/machine-settings"
start_mocks
create_cluster
take_kubectl
show_processes
[ "$PROVIDER" != local ] || pod_network
retry nodes_ready || fail "nodes do not get ready: kubectl --kubeconfig $STATE/kubeconfig describe nodes"
retry proxies_ready || fail "kube-proxy does not run. If it says \"too many open files\": a cluster takes some 60 inotify \
instances, and fs.inotify.max_user_instances of this machine is $(cat /proc/sys/fs/inotify/max_user_instances)"
check_sys
check_mocks
# Of a registry's node image we know less; on a runner it is the runner's business.
[ "$PROVIDER" != local ] || diff "$STATE/machine-settings" <(machine_settings) >&2 \
  || fail "the cluster changed settings of this machine (above: before, after)"
say "$CLUSTER is up: prepared in $((made - begin)) s, started in $((SECONDS - made)) s"
say "use it with: eval \"\$($HERE/env.sh)\""
