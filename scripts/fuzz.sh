#!/usr/bin/env bash
# Runs every fuzz target for TIME each; new inputs that matter are kept by go in its cache, failing ones under testdata/fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
for dir in $(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/^func //'); do
		echo "== $dir $target"
		$GO test -run '^$' -fuzz "^$target\$" -fuzztime "${TIME:-30s}" "./$dir"
	done
done
