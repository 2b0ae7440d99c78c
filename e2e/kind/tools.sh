#!/usr/bin/env bash
# Build tool families from their Go modules into the cache's bin directory; nothing is downloaded but modules that
# the committed go.sum knows. usage: tools.sh FAMILY...       (k8s etcd kind helm helm3 pause)
#                                    tools.sh --where BINARY  print its path, build nothing
set -euo pipefail
. "$(dirname "$0")/lib.sh"

if [ "${1:-}" = --where ]; then
  printf '%s\n' "$CACHE/bin/$2"
  exit 0
fi

# Static binaries: they run in images that hold nothing else. KIND_GOFLAGS is for people who share a machine (-p=1).
export CGO_ENABLED=0 GOFLAGS="-mod=readonly -trimpath -buildvcs=false ${KIND_GOFLAGS:-}"

# build <family> <output> <linker flags> <package>...
build() {
  local family=$1 output=$2 flags=$3
  shift 3
  mkdir -p "$CACHE/bin"
  (
    cd "$TOOLS/$family"
    [ ! -f go.sum ] || retry timeout 900 go mod download
    timeout 1800 go build -ldflags "-s -w $flags" -o "$output" "$@"
  )
}

# A binary without a version says v0.0.0-master, and kubeadm, kubectl and kubelet check each other's version.
k8s() {
  local packages=() name stamp=k8s.io/component-base/version
  for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubeadm kubectl; do
    packages+=("k8s.io/kubernetes/cmd/$name")
  done
  build k8s "$CACHE/bin/" "-X $stamp.gitVersion=v$KUBERNETES_VERSION -X $stamp.gitMajor=1 \
    -X $stamp.gitMinor=$(cut -d. -f2 <<<"$KUBERNETES_VERSION") -X $stamp.gitTreeState=clean" "${packages[@]}"
}
etcd() { build etcd "$CACHE/bin/etcd" "" go.etcd.io/etcd/server/v3; }
kind() { build kind "$CACHE/bin/kind" "" sigs.k8s.io/kind; }
helm() { build helm "$CACHE/bin/helm" "-X helm.sh/helm/v4/internal/version.version=v$HELM_VERSION" helm.sh/helm/v4/cmd/helm; }
helm3() { build helm3 "$CACHE/bin/helm3" "-X helm.sh/helm/v3/internal/version.version=v$HELM3_VERSION" helm.sh/helm/v3/cmd/helm; }
pause() { build pause "$CACHE/bin/pause" "" .; }

need go
alone "$CACHE/tools.lock"
for family in "$@"; do
  case $family in
    pause) inputs=("$TOOLS/pause/go.mod" "$TOOLS/pause/main.go") ;;
    k8s | etcd | kind | helm | helm3) inputs=("$TOOLS/$family/go.mod" "$TOOLS/$family/go.sum") ;;
    *) fail "tools.sh: no family $family" ;;
  esac
  # This file too: it holds the flags.
  step "tool-$family" "$HERE/tools.sh" "$HERE/versions.env" "${inputs[@]}" -- "$family"
done
