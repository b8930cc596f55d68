# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Where a kernel's source comes from, and how it becomes a tree to build in.
#
# A tree is the pristine source as hard links, with an overlay of files on top: those the
# series changes and those kernel/cpuset-migrate adds. The overlay is made apart from the
# tree and only files whose content differs are replaced, each by a new file, so that make
# sees exactly what changed and the pristine source stays untouched.
#
# Sourced by kernel-build, series and others after lib.sh.

deb_tarball=/usr/src/linux-source-6.12.tar.xz

# find_source - set source_id and source_dir (which need not exist yet)
find_source() {
	if [ -n "${KERNEL_SRC:-}" ]; then
		[ -f "$KERNEL_SRC/Kbuild" ] ||
			die "KERNEL_SRC=$KERNEL_SRC: not the top folder of a kernel source"
		source_id=dir-$(cd "$KERNEL_SRC" && find . -name .git -prune -o -type f \
			-printf '%P %s %T@\n' | LC_ALL=C sort | sha256sum | cut -c1-16)
	elif [ -n "${KERNEL_TARBALL:-}" ]; then
		[ -r "$KERNEL_TARBALL" ] || die "KERNEL_TARBALL=$KERNEL_TARBALL: cannot be read"
		source_id=tarball-$(sha256sum <"$KERNEL_TARBALL" | cut -c1-16)
	else
		[ -r "$deb_tarball" ] ||
			die "$deb_tarball: not there (scripts/deps build installs it)," \
				"or name a source with KERNEL_SRC=DIR or KERNEL_TARBALL=FILE"
		source_id=linux-source-6.12_$(dpkg-query -W -f '${Version}' linux-source-6.12 |
			tr -c 'A-Za-z0-9.+\n' -)
	fi
	source_dir=$cache/src/$source_id
}

# unpack_source - make source_dir exist
unpack_source() {
	local tmp=$cache/src/.unpack top

	mkdir -p "$cache/src"
	(
		flock 8
		[ ! -d "$source_dir" ] || exit 0
		need_space "$cache" 2560 "unpacking the kernel source"
		say "unpack ${KERNEL_SRC:-${KERNEL_TARBALL:-$deb_tarball}}"
		rm -rf "$tmp"
		mkdir "$tmp"
		if [ -n "${KERNEL_SRC:-}" ]; then
			rsync -a --exclude=/.git "$KERNEL_SRC/" "$tmp/source/"
			make -s -C "$tmp/source" mrproper
		else
			tar -C "$tmp" -xf "${KERNEL_TARBALL:-$deb_tarball}" ||
				die "${KERNEL_TARBALL:-$deb_tarball}: cannot be unpacked (see above)"
		fi
		top=$(find "$tmp" -mindepth 1 -maxdepth 1 -type d)
		[ -f "$top/Kbuild" ] || die "${KERNEL_TARBALL:-$deb_tarball}: not a kernel source"
		mv "$top" "$source_dir"
		rm -rf "$tmp"
	) 8>"$cache/src/.lock"
}

# stage_inputs DIR FLAVOUR - copy what the overlay and the configuration are made from to
# DIR/in, so that what is hashed and what is built are the same even while files change
stage_inputs() {
	local in=$1/in patch

	mkdir -p "$in/patches" "$in/engine"
	cp "$root/kernel/configs/guest.config" "$in/config"
	printf 'CONFIG_LOCALVERSION="-%s"\n' "$2" >>"$in/config"
	: >"$in/series"
	[ "$2" != stock ] || return 0
	cat "$root/kernel/configs/engine.config" >>"$in/config"
	[ "$2" = engine ] || cat "$root"/kernel/configs/{faults,"$2"}.config >>"$in/config"
	if [ -f "$root/mm-patches/series" ]; then
		sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$root/mm-patches/series" >"$in/series"
	fi
	while read -r patch; do
		cp "$root/mm-patches/$patch" "$in/patches/" 2>/dev/null ||
			die "mm-patches/series: $patch: no such file in mm-patches/"
	done <"$in/series"
	if [ -d "$root/kernel/cpuset-migrate" ]; then
		rsync -a --exclude='*.o' --exclude='*.cmd' --exclude='*~' --exclude='.*' \
			"$root/kernel/cpuset-migrate/" "$in/engine/"
	fi
	[ "$2" != coverage ] || echo 'GCOV_PROFILE := y' >>"$in/engine/Makefile"
}

# patched_files PATCH - the files it touches
patched_files() {
	sed -n -e 's/^--- a\/\([^[:space:]]*\).*/\1/p' -e 's/^+++ b\/\([^[:space:]]*\).*/\1/p' "$1" |
		sort -u
}

# engine_path FILE - where the kernel wants a file of kernel/cpuset-migrate
engine_path() {
	case $1 in
	include/uapi/*) echo "include/uapi/linux/${1#include/uapi/}" ;;
	include/linux/* | include/trace/events/*) echo "$1" ;;
	include/*)
		die "kernel/cpuset-migrate/$1: headers belong in include/linux," \
			"include/trace/events or include/uapi"
		;;
	*) echo "kernel/cpuset-migrate/$1" ;;
	esac
}

# place_engine DIR - put kernel/cpuset-migrate of DIR/in where the kernel wants it, in DIR/out
place_engine() {
	local in=$1/in/engine file to

	(cd "$in" && find . -type f -printf '%P\n') | while read -r file; do
		to=$(engine_path "$file")
		[ ! -e "$source_dir/$to" ] ||
			die "kernel/cpuset-migrate/$file: the kernel has a $to of its own"
		mkdir -p "$1/out/$(dirname "$to")"
		cp "$in/$file" "$1/out/$to"
		echo "$to" >>"$1/list"
	done
}

# apply_patch DIR PATCH - apply one of DIR/in/patches to the files in DIR/out, after copying
# there what it touches
apply_patch() {
	local dir=$1 patch=$2 file said

	patched_files "$dir/in/patches/$patch" | while read -r file; do
		echo "$file" >>"$dir/list"
		if [ ! -e "$dir/out/$file" ] && [ -e "$source_dir/$file" ]; then
			mkdir -p "$dir/out/$(dirname "$file")"
			cp "$source_dir/$file" "$dir/out/$file"
		fi
	done
	said=$(patch -d "$dir/out" -p1 --fuzz=0 --batch --forward --no-backup-if-mismatch \
		<"$dir/in/patches/$patch" 2>&1) || {
		awk '/^patching file/ { file = $0 }
			/FAILED|ignored|malformed|find file/ {
				if (file) print file
				file = ""
				print
			}' <<<"$said" >&2
		die "$patch does not apply to $source_id (hunks above)"
	}
}

# apply_series DIR - apply the series to copies of the files it touches, in DIR/out
apply_series() {
	local patch

	while read -r patch; do
		apply_patch "$1" "$patch"
	done <"$1/in/series"
}

# checkpatch ARG... - the kernel's own, with .checkpatch.conf of the current folder
checkpatch() {
	local status=0

	find_source
	unpack_source
	"$source_dir/scripts/checkpatch.pl" --no-tree --strict --terse --no-summary \
		--quiet "$@" || status=1
	rm -f .checkpatch-camelcase.*
	return "$status"
}

# need_kernel_tools - stop when something a kernel is built with is missing
need_kernel_tools() {
	need_tools gcc ld make flex bison bc patch rsync xz tar flock cmp
	echo '#include <gelf.h>' | gcc -E - >/dev/null 2>&1 ||
		die "missing: gelf.h (scripts/deps build installs what a build needs)"
}

# clear_overlay DIR - an empty DIR/out and list
clear_overlay() {
	rm -rf "$1/out" "$1/list"
	mkdir -p "$1/out"
	: >"$1/list"
}

# make_overlay DIR - DIR/in -> DIR/out and the list of its files, DIR/list
make_overlay() {
	clear_overlay "$1"
	place_engine "$1"
	apply_series "$1"
	sort -u -o "$1/list" "$1/list"
}

# open_tree TREE - make TREE a tree of source_dir, without an overlay if it is new
open_tree() {
	local tree=$1

	if [ -f "$tree/.source-id" ] && [ "$(cat "$tree/.source-id")" = "$source_id" ]; then
		return
	fi
	say "new tree from $source_id"
	rm -rf "$tree" "$tree.new"
	cp -al "$source_dir" "$tree.new"
	: >"$tree.new/.overlay"
	echo "$source_id" >"$tree.new/.source-id"
	mv "$tree.new" "$tree"
}

# sync_tree TREE DIR - make TREE the pristine source plus DIR/out, replacing only files whose
# content differs
sync_tree() {
	local tree=$1 dir=$2 file want changed=0

	sort -u -o "$tree/.overlay" "$tree/.overlay" "$dir/list"
	while read -r file; do
		want=$dir/out/$file
		if [ ! -e "$want" ] && ! grep -qxF -- "$file" "$dir/list"; then
			want=$source_dir/$file
		fi
		if [ ! -e "$want" ]; then
			rm -f "$tree/$file"
		elif ! cmp -s "$want" "$tree/$file"; then
			mkdir -p "$tree/$(dirname "$file")"
			cp "$want" "$tree/$file.new"
			mv -f "$tree/$file.new" "$tree/$file"
			changed=$((changed + 1))
		fi
	done <"$tree/.overlay"
	cp "$dir/list" "$tree/.overlay"
	say "$changed of $(wc -l <"$dir/list") overlay files changed"
}

# set_config TREE DIR - derive .config from DIR/in/config, on top of nothing
set_config() {
	kernel_make "$1" -s KCONFIG_ALLCONFIG="$2/in/config" allnoconfig >"$2/kconfig.log" 2>&1 || {
		cat "$2/kconfig.log" >&2
		die "the kernel's configuration failed"
	}
}

# check_config TREE DIR - all that DIR/in/config asks for is so in .config
check_config() {
	local dropped

	# A later fragment has the last word.
	dropped=$(awk '
		{ name = /^#/ ? $2 : $0; sub(/=.*/, "", name) }
		name !~ /^CONFIG_/ { next }
		NR == FNR { if (!/^#/) have[name] = $0; next }
		{ want[name] = /^#/ ? "" : $0; line[name] = $0 }
		END { for (name in want) if (have[name] != want[name]) print "  " line[name] }
		' "$1/.config" "$2/in/config")
	[ -z "$dropped" ] || {
		printf 'kernel/configs asks for these, Kconfig did not grant them:\n%s\n' "$dropped" >&2
		die "look at what they depend on"
	}
}

# open_work - set $work to a working folder with the engine's inputs, removed when the script
# ends, and unpack the source
open_work() {
	need_kernel_tools
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/.work-XXXXXX")
	trap 'rm -rf "$work"' EXIT
	find_source
	unpack_source
	stage_inputs "$work" engine
}

# lock_check_tree - set $tree to a tree for checks, locked until the script ends. Kernels are
# built in others: what checks leave there does not matter.
lock_check_tree() {
	tree=$cache/tree-check
	exec 9>"$tree.lock"
	flock 9
	need_space "$cache" 1024 "checking the engine's sources"
	open_tree "$tree"
}

# enter_check_tree - both
enter_check_tree() {
	open_work
	lock_check_tree
}

# What kernels are for, and what the names of the tools that make them begin with.
kernel_arch=x86_64
kernel_cross=

# kernel_make TREE ARG... - make in TREE, with what keeps results the same from build to build
kernel_make() {
	local tree=$1 cc=${kernel_cross}gcc

	shift
	if command -v ccache >/dev/null; then
		cc="ccache $cc"
	fi
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS LC_ALL=C \
		CCACHE_DIR="$cache/ccache" CCACHE_BASEDIR="$tree" CCACHE_NOHASHDIR=1 CCACHE_DEPEND=1 \
		KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_VERSION=1 \
		KBUILD_BUILD_USER=cpuset-migrate KBUILD_BUILD_HOST=cpuset-migrate \
		make -C "$tree" ARCH="$kernel_arch" CROSS_COMPILE="$kernel_cross" CC="$cc" "$@"
}

# kernel_compile TREE LOG TELL ARG... - kernel_make with all CPUs, what it says in LOG; the
# command TELL gets seconds and compiled files about once a minute; errors from the log on
# failure. Ends with this script, whatever ends that.
kernel_compile() {
	local tree=$1 log=$2 tell=$3 pid start=$SECONDS next=60 elapsed status=0

	shift 3
	set -m
	kernel_make "$tree" "-j$(nproc)" "$@" >"$log" 2>&1 9>&- </dev/null &
	pid=$!
	set +m
	trap 'kill -- "-$pid"; exit 130' INT
	trap 'kill -- "-$pid"; exit 143' TERM HUP
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.5
		elapsed=$((SECONDS - start))
		if [ "$elapsed" -ge "$next" ]; then
			"$tell" "$elapsed" "$(grep -c '^ *CC ' "$log" || :)"
			next=$((next + 60))
		fi
	done
	wait "$pid" || status=1
	trap - INT TERM HUP
	[ "$status" = 0 ] ||
		grep -E -A 3 'error:|undefined reference|No space left|\*\*\* ' "$log" | head -n 40 >&2
	return "$status"
}
