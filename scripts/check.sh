#!/usr/bin/env bash
# What CI runs: format, vet, staticcheck, the worker's cross builds, all tests under the race detector (the whole program among them).
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

step 'gofmt'
unformatted=$(gofmt -l $(git ls-files '*.go'))
if [ -n "$unformatted" ]; then
	echo "gofmt would change: $unformatted"
	exit 1
fi

step 'go vet'
$GO vet ./...

step 'staticcheck'
$GO tool staticcheck ./...

step 'go.mod is tidy'
$GO mod tidy -diff

step 'the worker builds without cgo for every system'
for os in linux windows darwin; do
	for arch in amd64 arm64; do
		CGO_ENABLED=0 GOOS=$os GOARCH=$arch $GO build -o /dev/null ./cmd/potluck-worker
	done
done

step 'the worker links neither SQLite nor a bot library'
if $GO list -deps ./cmd/potluck-worker | grep -E 'go-sqlite3|discordgo|go-telegram|lingua|^potluck/(storage|bot|commands)'; then
	echo 'the worker must not link these'
	exit 1
fi

step 'simulated worlds'
$GO test ./workers -run '^TestSimulation$' -count=1 -seeds 150

step 'tests under the race detector'
$GO test -race -timeout 40m ./...

step 'done'
