#!/usr/bin/env bash
# Put promtool and prometheus, as Debian packages them, where the tests of alerts and dashboard look for them. The package
# is unpacked, not installed: nothing of it runs by itself. Ends with 77 and the reason where that is not possible.
set -euo pipefail

BIN=${XDG_CACHE_HOME:-$HOME/.cache}/damon-operator/prometheus/bin
if [ -x "$BIN/promtool" ] && [ -x "$BIN/prometheus" ]; then exit 0; fi
if command -v promtool >/dev/null && command -v prometheus >/dev/null; then exit 0; fi
for program in apt-get dpkg-deb; do
  command -v "$program" >/dev/null || {
    echo "SKIPPED: no promtool and prometheus on PATH, and no $program to unpack Debian's package of them"
    exit 77
  }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
# Lists of a system are its administrator's to renew; one without any cannot tell where the package is.
if ! apt-get download prometheus >download.log 2>&1; then
  { apt-get update && apt-get download prometheus; } >>download.log 2>&1 || {
    echo "SKIPPED: Debian's package prometheus is not to be had here: $(tail -n 1 download.log)"
    exit 77
  }
fi
dpkg-deb --extract prometheus_*.deb unpacked
mkdir -p "$BIN"
install unpacked/usr/bin/promtool unpacked/usr/bin/prometheus "$BIN/"
