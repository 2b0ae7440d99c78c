#!/usr/bin/env bash
# Write go.mod and go.sum of every tool family anew for the versions in ../versions.env. A developer runs it after
# changing a version and commits the result; the harness itself only ever builds with -mod=readonly.
# usage: resolve.sh [FAMILY...]
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../versions.env
. ../versions.env
# The newest toolchain the families need; stated once so that no family asks for a download of another Go.
GO_LANGUAGE=1.26.0

# family <name> <package@version>...: a fresh module whose tools are those packages. One module per family, because
# each pins other versions of the same libraries.
family() {
  local name=$1
  shift
  echo "resolving $name" >&2
  mkdir -p "$name"
  rm -f "$name/go.mod" "$name/go.sum"
  (
    cd "$name"
    go mod init "damon-operator.invalid/e2e/kind/tools/$name" 2>/dev/null
    go mod edit -go="$GO_LANGUAGE"
    [ "$name" != k8s ] || staging
    go get -tool "$@"
    go mod tidy
    go mod verify >&2
  )
}

# k8s.io/kubernetes replaces its staging modules by directories of its own tree, which go.mod of a dependency may not
# do; the same modules are published as v0.<minor>.<patch>, so take its list and point every line there.
staging() {
  local go_mod published=v0.${KUBERNETES_VERSION#1.}
  go_mod=$(go mod download -json "k8s.io/kubernetes@v$KUBERNETES_VERSION" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')
  sed -n 's#^[[:space:]]*\(k8s\.io/[a-z0-9-]*\) => \./staging/src/.*#\1#p' "$go_mod" | while read -r module; do
    go mod edit -replace="$module=$module@$published"
  done
}

commands=()
for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubeadm kubectl; do
  commands+=("k8s.io/kubernetes/cmd/$name@v$KUBERNETES_VERSION")
done
[ $# -gt 0 ] || set -- k8s etcd kind helm helm3
for name in "$@"; do
  case $name in
    k8s) family k8s "${commands[@]}" ;;
    etcd) family etcd "go.etcd.io/etcd/server/v3@v$ETCD_VERSION" ;;
    kind) family kind "sigs.k8s.io/kind@v$KIND_VERSION" ;;
    helm) family helm "helm.sh/helm/v4/cmd/helm@v$HELM_VERSION" ;;
    helm3) family helm3 "helm.sh/helm/v3/cmd/helm@v$HELM3_VERSION" ;;
    *) echo "resolve.sh: no family $name" >&2 && exit 2 ;;
  esac
done
