# shellcheck shell=bash
# The cluster's shape, its pod network where kind's own is not at hand, and what must be true of it. Sourced.

# Roles as kind names the nodes: <cluster>-<role>.
NODES=(control-plane)
for ((number = 1; number <= ${KIND_WORKERS:-2}; number++)); do
  name=worker$number
  NODES+=("${name/%r1/r}")
done

# The machine's own DAMON: NEVER in reach of a node. An empty directory lies over it.
MACHINE_DAMON=/sys/kernel/mm/damon # NEVER

in_node() { "$ENGINE" exec "$CLUSTER-$1" "${@:2}"; }
cluster_kubectl() { "$STATE/bin/kubectl" --kubeconfig "$STATE/kubeconfig" "$@"; }

# The configuration of `kind create cluster`.
cluster_configuration() {
  local node
  cat <<'YAML'
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  failCgroupV1: false
  failSwapOn: false
YAML
  # No kindnet image and no CoreDNS image without a registry; pods reach the API server by the IP in their environment.
  [ "$PROVIDER" != local ] || cat <<'YAML'
- |
  kind: InitConfiguration
  skipPhases: [preflight, addon/coredns]
networking: {disableDefaultCNI: true, kubeProxyMode: nftables}
YAML
  echo 'nodes:'
  for node in "${NODES[@]}"; do
    echo "- role: ${node%%[0-9]*}"
    echo "  extraMounts:"
    echo "  - {hostPath: $STATE/mocks/$CLUSTER-$node/mount, containerPath: $MOCK_MOUNT_IN_NODE}"
    [ ! -d "$MACHINE_DAMON" ] || echo "  - {hostPath: $STATE/nothing, containerPath: $MACHINE_DAMON, readOnly: true}"
  done
}

# What kindnet does, once, for a cluster whose nodes never change: a pod range per node and a route to each of them.
pod_network() {
  local node other range address conflist
  declare -A ranges addresses
  for node in "${NODES[@]}"; do
    # The controller that gives ranges out starts with the cluster; a moment may pass.
    cluster_kubectl wait node "$CLUSTER-$node" --for 'jsonpath={.spec.podCIDR}' --timeout 60s >/dev/null
    ranges[$node]=$(cluster_kubectl get node "$CLUSTER-$node" -o 'jsonpath={.spec.podCIDR}')
    addresses[$node]=$(cluster_kubectl get node "$CLUSTER-$node" \
      -o 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}')
  done
  for node in "${NODES[@]}"; do
    for other in "${NODES[@]}"; do
      range=${ranges[$other]} address=${addresses[$other]}
      [ "$node" = "$other" ] || in_node "$node" ip route replace "$range" via "$address"
    done
    conflist=$(sed "s#@RANGE@#${ranges[$node]}#" "$HERE/node/pod-network.conflist")
    "$ENGINE" exec -i "$CLUSTER-$node" sh -c 'cat > /etc/cni/net.d/10-pods.conflist' <<<"$conflist"
  done
}

# Show each mock the processes of its node (see mocks.py); to be repeated when a node's container was restarted.
show_processes() {
  local node pid
  for node in "${NODES[@]}"; do
    pid=$("$ENGINE" inspect --format '{{.State.Pid}}' "$CLUSTER-$node")
    ln -sfn "/proc/$pid/root/proc" "$STATE/mocks/$CLUSTER-$node/proc"
  done
}

# The machine's own DAMON must stay out of reach: it is hidden in a node, whose /sys kind mounts read-only besides.
check_sys() {
  local node seen writable
  for node in "${NODES[@]}"; do
    # shellcheck disable=SC2016 # awk's fields, not the shell's
    # Field 6 of mountinfo holds the mount's options, the word after " - " the filesystem's type.
    writable=$(in_node "$node" awk '{ for (i = 7; i < NF; i++) if ($i == "-") type = $(i + 1) }
      type == "sysfs" && $6 !~ /^ro(,|$)/ { print $5 }' /proc/self/mountinfo)
    [ -z "$writable" ] || fail "in node $node sysfs is writable at $writable: an agent could reach the machine's own DAMON"
    seen=$(in_node "$node" find "$MACHINE_DAMON" -mindepth 1 2>/dev/null) || true
    [ -z "$seen" ] || fail "node $node sees the machine's own DAMON"
  done
}

# Each node sees its own mock and nobody else's.
check_mocks() {
  local node seen namespace
  "$HERE/mocks.py" status "$STATE/mocks" || fail "a mock does not serve; its log is in $STATE/mocks/<node>/log"
  for node in "${NODES[@]}"; do
    seen=$(in_node "$node" stat -c %d:%i "$MOCK_MOUNT_IN_NODE")
    [ "$seen" = "$(stat -c %d:%i "$STATE/mocks/$CLUSTER-$node/mount")" ] || fail "node $node does not see its mock"
    namespace=$(in_node "$node" readlink /proc/1/ns/pid)
    [ "$namespace" = "$(readlink "$STATE/mocks/$CLUSTER-$node/proc/1/ns/pid")" ] \
      || fail "the mock of node $node looks at other processes"
  done
}

nodes_ready() { cluster_kubectl wait node --all --for condition=Ready --timeout "${1:-180s}" >/dev/null; }

# Without it no pod finds the API server.
proxies_ready() {
  cluster_kubectl --namespace kube-system rollout status daemonset/kube-proxy --timeout 120s >/dev/null
}

cluster_exists() { "$CACHE/bin/kind" get clusters 2>/dev/null | grep -qx "$CLUSTER"; }

cluster_healthy() {
  cluster_exists && [ -f "$STATE/kubeconfig" ] && "$HERE/mocks.py" status "$STATE/mocks" && nodes_ready 5s 2>/dev/null
}

# Settings of the whole machine that something in a privileged node could have changed.
machine_settings() {
  local name
  for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys \
    kernel/keys/root_maxbytes kernel/pid_max kernel/core_pattern fs/nr_open fs/file-max fs/inotify/max_user_watches; do
    [ ! -r "/proc/sys/$name" ] || echo "$name $(cat "/proc/sys/$name")"
  done
}
