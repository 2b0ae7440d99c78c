#!/usr/bin/env bash
# Build the agent's image of this checkout and make a disk of it. Prints its directory: agent.img, and image.json with
# what the image says of its process. podman builds it, on the base that e2e/kind makes where no registry is.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
HOST_PACKAGES="$HOST_PACKAGES podman=podman runc=runc conmon=conmon"
HOST_LIBRARIES="$HOST_LIBRARIES netavark aardvark-dns catatonit uidmap"
NAME=localhost/damon-operator-vm/agent
KEPT=4

make_agent_image() {
  local work=$1.work container image_id
  rm -rf "$work"
  mkdir -p "$work/tree/rootfs"
  podman build --quiet --network host --target agent --tag "$NAME:$2" \
    --build-arg PYTHON_IMAGE="$PYTHON_IMAGE" --build-arg VERSION=vm --build-arg REVISION="$2" "$REPOSITORY" >/dev/null
  image_id=$(podman image inspect --format '{{.Id}}' "$NAME:$2")
  container=$(podman create "$NAME:$2")
  podman export "$container" | tar -C "$work/tree/rootfs" -x
  podman rm "$container" >/dev/null
  rm -rf "$1"
  mkdir -p "$1"
  podman image inspect --format '{{json .Config}}' "$image_id" >"$1/image.json"
  disk "$1/agent.img" "$(($(du -sm "$work/tree" | cut -f1) * 3 / 2 + 32))M" "$work/tree"
  podman rmi "$NAME:$2" >/dev/null 2>&1 || true
  rm -rf "$work"
}

host_root
host_packages
host_podman
alone "$CACHE/agent.lock"
PYTHON_IMAGE=${PYTHON_IMAGE:-$LOCAL_PYTHON_IMAGE}
[ "$PYTHON_IMAGE" != "$LOCAL_PYTHON_IMAGE" ] || "$HERE/python-image.sh" 9>&-
mapfile -t sources < <(find "$REPOSITORY"/{Dockerfile,pyproject.toml,README.md,LICENSE,requirements-agent.lock,requirements-build.lock} \
  "$REPOSITORY"/{crds/damon_contract,agent/damon_agent} -type f ! -name '*.pyc' | sort)
digest=$(cat "$VM/agent-image.sh" "${sources[@]}" | sha256sum | cut -c1-16)
directory=$CACHE/agents/$digest
[ -f "$directory/agent.img" ] || forget "agent-$digest"
step "agent-$digest" "$VM/agent-image.sh" -- make_agent_image "$directory" "$digest" >&2
touch "$directory"
# shellcheck disable=SC2012 # names are digests
ls -dt "$CACHE"/agents/* | tail -n +$((KEPT + 1)) | xargs -r rm -rf
printf '%s\n' "$directory"
