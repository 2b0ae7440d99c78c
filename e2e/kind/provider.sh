# shellcheck shell=bash
# Which container engine makes the nodes, and from which image. Sourced; choose_provider sets PROVIDER (docker, podman,
# or local: podman without a registry), ENGINE and NODE_IMAGE, and exports what kind reads.
# shellcheck disable=SC2034 # read by those who source this

# The upstream image of a Kubernetes version: 1.34 or 1.34.11, from node-images.txt.
upstream_node_image() {
  awk -v want="$1" '!/^#/ && ($1 == want || index($1, want ".") == 1) { print $2; exit }' "$HERE/node-images.txt"
}

# has_image <engine> <image>: it is here, or a registry gives it. A short look first: a machine without a way to a
# registry should find out in seconds.
has_image() {
  "$1" image inspect "$2" >/dev/null 2>&1 && return 0
  timeout 30 "$1" manifest inspect "$2" >/dev/null 2>&1 || return 1
  retry timeout 600 "$1" pull --quiet "$2" >/dev/null
}

usable() { command -v "$1" >/dev/null && timeout 30 "$1" info >/dev/null 2>&1; }

choose_provider() {
  local wanted=${KIND_NODE_VERSION:-$KUBERNETES_VERSION} upstream
  PROVIDER=${KIND_PROVIDER:-}
  # A cluster is ended by whoever made it.
  if [ -z "$PROVIDER" ] && [ -f "$STATE/provider" ]; then PROVIDER=$(cat "$STATE/provider"); fi
  upstream=${KIND_NODE_IMAGE:-$(upstream_node_image "$wanted")}
  if [ -z "$PROVIDER" ] && [ -n "$upstream" ]; then
    if usable docker && has_image docker "$upstream"; then
      PROVIDER=docker
    elif usable podman && has_image podman "$upstream"; then
      PROVIDER=podman
    fi
  fi
  PROVIDER=${PROVIDER:-local}
  case $PROVIDER in
    docker | podman)
      [ -n "$upstream" ] || fail "no upstream node image for Kubernetes $wanted in node-images.txt"
      ENGINE=$PROVIDER NODE_IMAGE=$upstream
      export KIND_EXPERIMENTAL_PROVIDER=$PROVIDER
      ;;
    local)
      case "$KUBERNETES_VERSION." in
        "$wanted".*) ;;
        *) fail "without a registry only Kubernetes $KUBERNETES_VERSION can be had (versions.env), not $wanted" ;;
      esac
      ENGINE=podman NODE_IMAGE=$LOCAL_NODE_IMAGE
      # A network of our own, so that taking it away at the end takes nobody else's.
      export KIND_EXPERIMENTAL_PODMAN_NETWORK=$CLUSTER
      host_podman
      ;;
    *) fail "KIND_PROVIDER is docker, podman or local, not $PROVIDER" ;;
  esac
}
