#!/usr/bin/env bash
# Make localhost/python: the base of this project's own images where python:3.13-slim cannot be pulled.
# Used as `--build-arg PYTHON_IMAGE=localhost/python:3.13`.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$HERE/host.sh"

make_python_image() {
  local root=$CACHE/python
  debian "$root" "$DEBS" python3-minimal,python3-venv,python3-pip,ca-certificates
  # As in the upstream image: `python`, and a pip that may install.
  ln -sf /usr/bin/python3 "$root/usr/local/bin/python3"
  ln -sf python3 "$root/usr/local/bin/python"
  rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
  # A build inside trusts whom this machine trusts: where downloads pass a proxy with its own authority, pip works.
  [ ! -f /etc/ssl/certs/ca-certificates.crt ] || cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  tar -C "$root" -c . | podman import --quiet --change 'CMD ["python3"]' - "$LOCAL_PYTHON_IMAGE" >/dev/null
  rm -rf "$root"
}

host_root
host_podman
alone "$CACHE/python.lock"
podman image exists "$LOCAL_PYTHON_IMAGE" || forget python-image
step python-image "$HERE/python-image.sh" "$HERE/versions.env" -- make_python_image
