#!/usr/bin/env bash
# Fuzzes every target, or those that ONLY names, for TIME each, and keeps what was learnt:
#
#   TIME=10m ONLY='protocol|FuzzParseCommand' scripts/fuzz.sh     ONLY is looked for in "folder target"
#   TIME=10m KEEP=60 scripts/fuzz.sh                              and then chooses at most KEEP inputs of each target for the repository
#   TIME=0 KEEP=60 scripts/fuzz.sh                                only chooses, from what go has in its cache
#
# A failing input is written to <folder>/testdata/fuzz/<target>/<hash> by go, the script ends, and the input stays there for good. Inputs that reach
# something new are in go's cache ($GOCACHE/fuzz). From these, KEEP takes the small ones that together cover what the seeds do not: the next is always
# the one that adds the most lines (or the most often run, in powers of two), until none adds anything. They stand as seen-<hash> beside the failing
# ones, so that every plain "go test" runs them; each run of KEEP chooses them anew. MOST is how large one may be, in bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go} TIME=${TIME:-30s} KEEP=${KEEP:-0} MOST=${MOST:-2500}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# gain reads "<input> <feature>" lines, "-" being the input that is there anyway, and prints which inputs to take, the most useful first.
gain() {
	awk -v most="$KEEP" '
		$1 == "-" { have[$2] = 1; next }
		{ of[$1] = of[$1] " " $2 }
		END {
			while (most-- > 0) {
				best = ""; gained = 0
				for (i in of) {
					n = split(of[i], f, " "); left = ""; g = 0
					for (k = 1; k <= n; k++) if (!(f[k] in have)) { g++; left = left " " f[k] }
					of[i] = left
					if (g > gained || g == gained && g > 0 && i < best) { gained = g; best = i }
				}
				if (gained == 0) exit
				print best
				n = split(of[best], f, " ")
				for (k = 1; k <= n; k++) have[f[k]] = 1
			}
		}'
}

# features prints what a run has covered, for gain: each block with the power of two of how often it ran.
features() { # input profile
	awk -v input="$1" '!/^mode:/ && $NF > 0 { print input, $1 "*" int(log($NF) / log(2)) }' "$2"
}

keep() { # folder target
	local corpus="$1/testdata/fuzz/$2" cache run="$tmp/run"
	cache="$($GO env GOCACHE)/fuzz/$($GO list -f '{{.ImportPath}}' "./$1")/$2"
	local covered="./$1"
	case $1 in # where what is fuzzed mostly calls others, inputs differ in how far they get there
	imagegen) covered+=,image/png,image/jpeg ;;
	workers/protocol) covered+=,encoding/json,encoding/base64,net/url ;;
	esac
	$GO test -c -covermode=count -coverpkg="$covered" -o "$tmp/covered.test" "./$1"
	rm -rf "$run" && mkdir -p "$run/testdata"
	[ -d "$1/testdata" ] && cp -r "$1/testdata" "$run/"
	local here="$run/testdata/fuzz/$2"
	mkdir -p "$here" "$corpus" "$tmp/inputs"
	rm -f "$tmp"/inputs/*
	find "$here" -name 'seen-*' -exec sh -c 'mv "$1" "$2/$(basename "$1" | sed s/^seen-//)"' - {} "$tmp/inputs" \;
	[ -d "$cache" ] && find "$cache" -type f -size "-$((MOST + 1))c" -exec cp -t "$tmp/inputs" {} +
	: >"$tmp/features"
	covers() { # input pattern
		if (cd "$run" && "$tmp/covered.test" -test.run "$2" -test.coverprofile "$tmp/profile" >"$tmp/said" 2>&1); then
			features "$1" "$tmp/profile" >>"$tmp/features"
		elif [ "$1" = - ]; then
			cat "$tmp/said" && exit 1
		fi # an input of an older version of the target may not fit any more
	}
	covers - "^$2\$"
	local input name n=0 total=0
	for input in "$tmp"/inputs/*; do
		[ -e "$input" ] || continue
		name=$(basename "$input")
		[ -e "$here/$name" ] && continue # a failing one, kept anyway
		cp "$input" "$here/"
		covers "$name" "^$2\$/^$name\$"
		rm "$here/$name"
		total=$((total + 1))
	done
	rm -f "$corpus"/seen-*
	for name in $(gain <"$tmp/features"); do
		cp "$tmp/inputs/$name" "$corpus/seen-$name"
		n=$((n + 1))
	done
	rmdir --ignore-fail-on-non-empty -p "$corpus"
	echo "kept $n of $total inputs of $1 $2"
}

for dir in $(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/^func //'); do
		grep -qE "${ONLY:-.}" <<<"$dir $target" || continue
		echo "== $dir $target"
		[ "$TIME" = 0 ] || $GO test -run '^$' -fuzz "^$target\$" -fuzztime "$TIME" -fuzzminimizetime 2s ${PARALLEL:+-parallel "$PARALLEL"} "./$dir"
		[ "$KEEP" = 0 ] || keep "$dir" "$target"
	done
done
