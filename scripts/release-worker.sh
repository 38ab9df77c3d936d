#!/usr/bin/env bash
# Builds potluck-worker for every system that owners have, with checksums.
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
mkdir -p dist
for os in linux windows darwin; do
	for arch in amd64 arm64; do
		out=dist/potluck-worker-$os-$arch
		[ $os = windows ] && out=$out.exe
		CGO_ENABLED=0 GOOS=$os GOARCH=$arch $GO build -trimpath -ldflags "-s -w -X main.version=${VERSION:-dev}" -o "$out" ./cmd/potluck-worker
	done
done
cd dist
sha256sum potluck-worker-* | tee SHA256SUMS
