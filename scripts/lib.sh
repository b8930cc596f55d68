# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Shared by the scripts of this folder. Sourced with $0 being the script, so that messages
# carry its name.

# shellcheck disable=SC2034 # root and cache are used by the scripts that source this file
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034
cache=${CPUSET_MIGRATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cpuset-migrate}

# say WORD... - one line of progress, with the time since the script started
say() {
	printf '[%2d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*" >&2
}

# die WORD... - a last message and exit status 1
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# minutes SECONDS - a duration for people
minutes() {
	if [ "$1" -lt 90 ]; then
		echo "$1 s"
	else
		echo "$((($1 + 30) / 60)) min"
	fi
}

# need_tools NAME... - stop when one of these programs is missing
need_tools() {
	local tool missing=

	for tool; do
		command -v "$tool" >/dev/null || missing+=" $tool"
	done
	[ -z "$missing" ] ||
		die "missing:$missing (scripts/deps build installs what a build needs)"
}

# need_space DIR MEBIBYTES WHAT - stop when the file system of DIR has less than that free
need_space() {
	local free

	free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$2" ] ||
		die "$1: $free MiB free, $3 needs $2 MiB; free some, or name a folder" \
			"elsewhere with CPUSET_MIGRATE_CACHE=DIR"
}

# commit_stamp - for a version: when the last commit was made, its name, and "mod" if there is
# more than that. Short, as it is part of the names of files.
commit_stamp() {
	local changed=

	[ -z "$(git -C "$root" status --porcelain)" ] || changed=.mod
	LC_ALL=C TZ=UTC git -C "$root" log -1 --date=format-local:%Y%m%d%H%M --abbrev=7 \
		--format="git%cd.%h$changed"
}
