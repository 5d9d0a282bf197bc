#!/usr/bin/env bash
# Roll a tag out to the cluster of KUBECONFIG_BASE64 and wait for it: tools/deploy.sh v1.2.3
set -euo pipefail
tag=${1:?name the tag}
: "${REGISTRY:?is not set: where the images are}"
: "${KUBECONFIG_BASE64:?is not set: the cluster, as base64 of a kubeconfig}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
base64 --decode <<<"$KUBECONFIG_BASE64" >"$work/kubeconfig"
chmod 600 "$work/kubeconfig"
export KUBECONFIG=$work/kubeconfig

cp -r "$(dirname "$0")/../k8s" "$work/k8s"
cd "$work/k8s/overlays/prod"
{
  echo "images:"
  sed -n 's/.*{name: \(sensus-[a-z]*\), newTag:.*/\1/p' ../../base/kustomization.yaml | while read -r image; do
    echo "  - {name: $image, newName: $REGISTRY/$image, newTag: $tag}"
  done
} >>kustomization.yaml
kubectl apply --kustomize .
kubectl --namespace sensus get deployments,statefulsets --output name | xargs -n 1 kubectl --namespace sensus rollout status --timeout=10m
