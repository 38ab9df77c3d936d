#!/usr/bin/env bash
# Installs what the demo or the tests need, where it may: Debian or Ubuntu, as root. Elsewhere it says what is missing and goes on.
set -u
what=${1:?demo or check}

apertium=(apertium apertium-eng-spa apertium-spa-cat apertium-fra-cat apertium-eng-cat apertium-fr-es)

missing() { # the packages of $@ that are not installed
	local p
	for p in "$@"; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || echo "$p"
	done
}

want=("${apertium[@]}")
if [ "$what" = check ]; then
	want+=(chromium)
	command -v gcc >/dev/null || want+=(gcc libc6-dev)
fi

if ! command -v apt-get >/dev/null; then
	command -v apertium >/dev/null || echo "Apertium is not installed: /translate will only show the demonstration engine. Your system's package manager may have it (https://wiki.apertium.org/wiki/Installation)."
	exit 0
fi
mapfile -t lacking < <(missing "${want[@]}")
[ ${#lacking[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
	echo "Not installed: ${lacking[*]}. Potluck works without them, with less to show. To have them: sudo apt-get install --no-install-recommends ${lacking[*]}"
	exit 0
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "Installing ${lacking[*]} …"
install() { DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >"$log" 2>&1; }
if ! install "${lacking[@]}"; then
	apt-get update >"$log" 2>&1
	if ! install "${lacking[@]}"; then
		tail -n 5 "$log"
		echo "These could not be installed; Potluck works without them, with less to show."
	fi
fi
exit 0
