#!/bin/sh
# Sees to the system libraries of system-packages.txt.   tools/system-packages.sh SECTION...
# As root on Debian or Ubuntu it installs what is missing; otherwise it prints the line to run and fails.
set -eu
list=$(dirname "$0")/../system-packages.txt

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "not a Debian or Ubuntu system: the libraries named in system-packages.txt are taken to be there" >&2
    exit 0
fi

wanted=$(for section in "$@"; do
    awk -v want="[$section]" '/^\[/ { inside = ($0 == want); next } inside && NF && !/^#/' "$list"
done)

present() { dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }
offered() { apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'; }

find_missing() {
    missing=""
    old_ifs=$IFS
    IFS='
'
    for line in $wanted; do
        IFS=' |'
        found="" choice=""
        for name in $line; do
            if present "$name"; then found=$name; break; fi
            if [ -z "$choice" ] && offered "$name"; then choice=$name; fi
        done
        [ -n "$found" ] || missing="$missing ${choice:-${line%% *}}"
        IFS='
'
    done
    IFS=$old_ifs
}

find_missing
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "system packages are missing; run this line once, then the same command again:" >&2
    echo "  sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
echo "installing system packages:$missing" >&2
apt-get update -q >/dev/null
find_missing
# shellcheck disable=SC2086 # one word a package
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null
