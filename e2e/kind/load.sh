#!/usr/bin/env bash
# Bring images of this machine's engine into every node. usage: load.sh IMAGE...
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$HERE/host.sh"
. "$HERE/provider.sh"
[ -f "$STATE/provider" ] || fail "no cluster is up: run up.sh first"
choose_provider

if [ "$ENGINE" = docker ]; then
  "$CACHE/bin/kind" load docker-image --name "$CLUSTER" "$@"
else
  # kind asks docker for an image; an archive works with any engine. One archive per image: podman 4 writes several
  # images only in docker's format and then shares layers in a way containerd of that age does not read.
  directory=$(mktemp -d)
  trap 'rm -rf "$directory"' EXIT
  for image in "$@"; do
    rm -f "$directory/image.tar"
    podman save --quiet --format oci-archive --output "$directory/image.tar" "$image"
    "$CACHE/bin/kind" load image-archive --name "$CLUSTER" "$directory/image.tar"
  done
fi
