# shellcheck shell=bash
# What CI consists of, cheap ones first; sourced by run.
# shellcheck disable=SC2034,SC2329 # read and called by run

# Set-up may be tried again, assertions never are.
setup() {
  local pause
  for pause in 10 60 ""; do
    if make setup; then return 0; fi
    [ -z "$pause" ] || { echo "ci: set-up failed, again in $pause s" && sleep "$pause"; }
  done
  return 1
}

# What `make test` skips on a machine without helm.
chart() {
  command -v go >/dev/null || { echo "SKIPPED: helm is built from its Go module, and go is not on PATH" && return 77; }
  e2e/kind/tools.sh helm helm3 || return
  # Without Prometheus' own tools the tests that need them skip, and say so.
  e2e/prometheus/tools.sh || [ $? = 77 ] || return
  make chart-check
}
export -f setup chart

# name, most minutes, command
TIERS=(
  "setup 15 setup"
  "check 15 make check"
  "test  30 make test"
  "docs  10 make docs"
  "chart 20 chart"
  "python 30 .ci/python"
  "kind  45 .ci/kind"
)
