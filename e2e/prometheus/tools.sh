#!/usr/bin/env bash
# Fetch what the tests of alerts and dashboard judge by, once: promtool and prometheus, as Debian packages them, and
# Grafana's own types of a dashboard. The package is unpacked, not installed: nothing of it runs by itself. Ends with 77
# and the reason where something is not to be had; the tests that need it skip then.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/damon-operator/prometheus

skip() {
  echo "SKIPPED: $*"
  exit 77
}

prometheus() {
  local work program
  if [ -x "$CACHE/bin/promtool" ] && [ -x "$CACHE/bin/prometheus" ]; then return; fi
  if command -v promtool >/dev/null && command -v prometheus >/dev/null; then return; fi
  for program in apt-get dpkg-deb; do
    command -v "$program" >/dev/null || skip "no promtool and prometheus on PATH, and no $program to unpack Debian's"
  done
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # its value now
  trap "rm -rf '$work'" EXIT
  cd "$work"
  if ! apt-get download prometheus >download.log 2>&1; then
    # A fresh machine has no list of packages yet.
    { apt-get update && apt-get download prometheus; } >>download.log 2>&1 ||
      skip "Debian's package prometheus is not to be had here: $(tail -n 1 download.log)"
  fi
  dpkg-deb --extract prometheus_*.deb unpacked
  mkdir -p "$CACHE/bin"
  install unpacked/usr/bin/promtool unpacked/usr/bin/prometheus "$CACHE/bin/"
}

grafana() {
  local venv=$CACHE/grafana
  if [ -e "$venv/.done" ]; then return; fi
  python3 -m venv --clear "$venv" || skip "python3 makes no environment for Grafana's SDK"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement "$HERE/grafana.txt" || skip "Grafana's SDK is not to be had here"
  touch "$venv/.done"
}

prometheus
grafana
