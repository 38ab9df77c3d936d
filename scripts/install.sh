#!/usr/bin/env bash
# Installs what the demo or the tests need, where it may: Debian or Ubuntu, as root. Elsewhere it says what is missing and goes on.
set -u
what=${1:?demo or check}
cd "$(dirname "$0")/.." || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT

apertium=(apertium apertium-eng-spa apertium-spa-cat apertium-fra-cat apertium-eng-cat apertium-fr-es)

missing() { # the packages of $@ that are not installed
	local p
	for p in "$@"; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || echo "$p"
	done
}

install() { DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >"$log" 2>&1; }

packages() {
	local want=("${apertium[@]}") lacking
	if [ "$what" = check ]; then
		want+=(chromium)
		command -v gcc >/dev/null || want+=(gcc libc6-dev)
	fi
	if ! command -v apt-get >/dev/null; then
		command -v apertium >/dev/null || echo "Apertium is not installed: /translate will only show the demonstration engine. Your system's package manager may have it (https://wiki.apertium.org/wiki/Installation)."
		return
	fi
	mapfile -t lacking < <(missing "${want[@]}")
	[ ${#lacking[@]} -eq 0 ] && return
	if [ "$(id -u)" -ne 0 ]; then
		echo "Not installed: ${lacking[*]}. Potluck works without them, with less to show. To have them: sudo apt-get install --no-install-recommends ${lacking[*]}"
		return
	fi
	echo "Installing ${lacking[*]} …"
	if ! install "${lacking[@]}"; then
		apt-get update >"$log" 2>&1
		if ! install "${lacking[@]}"; then
			tail -n 5 "$log"
			echo "These could not be installed; Potluck works without them, with less to show."
		fi
	fi
}

# The judges of the page stand in .pagecheck/, which git and go leave alone. They read, they are no part of any program.
judges='axe-core@4.14.1 html-validate@9.7.1 csstree-validator@4.0.1'
page_judges() {
	[ "$(cat .pagecheck/installed 2>/dev/null)" = "$judges" ] && return
	if ! command -v npm >/dev/null; then
		echo "npm is not installed: axe-core and the validators of HTML and CSS do not look at the page."
		return
	fi
	echo "Installing $judges …"
	mkdir -p .pagecheck
	# shellcheck disable=SC2086 # one word each
	if npm install --prefix .pagecheck --no-save --no-package-lock --ignore-scripts --no-audit --no-fund $judges >"$log" 2>&1; then
		echo "$judges" >.pagecheck/installed
	else
		tail -n 5 "$log"
		echo "These could not be installed; the tests that need them are skipped."
	fi
}

packages
[ "$what" = check ] && page_judges
exit 0
