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
  # kind asks docker for an image; an archive works with any engine. Docker's format is not compressed: three times
  # as fast here.
  directory=$(mktemp -d)
  trap 'rm -rf "$directory"' EXIT
  for image in "$@"; do
    rm -f "$directory/image.tar"
    podman save --quiet --format docker-archive --output "$directory/image.tar" "$image"
    "$CACHE/bin/kind" load image-archive --name "$CLUSTER" "$directory/image.tar"
  done
fi
