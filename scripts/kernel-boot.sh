# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Boot a kernel with nothing but the engine's kselftest. Sourced after kernel-tree.sh.

# make_initrd TREE DIR - DIR/initrd: the first process and the test, for nothing but a kernel
make_initrd() {
	local all=$source_dir/tools/testing/selftests tests=$2/selftests

	mkdir -p "$tests"
	cp -r "$all/kselftest.h" "$all/cgroup" "$all/clone3" "$tests"
	cp "$root"/kernel/selftests/cgroup/*.c "$tests/cgroup"
	"${kernel_cross}gcc" -static -O2 -Wall -o "$2/test" \
		"$tests/cgroup/test_cpuset_migrate.c" "$tests/cgroup/cgroup_util.c" -lpthread
	"${kernel_cross}gcc" -static -O2 -Wall -o "$2/init" "$root/tests/matrix/init.c"
	"$1/usr/gen_init_cpio" - >"$2/initrd" <<-LIST
		dir /dev 0755 0 0
		nod /dev/console 0600 0 0 c 5 1
		file /init $2/init 0755 0 0
		file /test $2/test 0755 0 0
	LIST
}

# boot_image - where in its tree a kernel is
boot_image() {
	case $kernel_arch in
	x86_64) echo arch/x86/boot/bzImage ;;
	arm64) echo arch/arm64/boot/Image ;;
	esac
}

# boot_alone IMAGE INITRD CONSOLE - in a machine with four nodes, until the test has ended
boot_alone() {
	local node numa=() machine

	for node in 0 1 2 3; do
		numa+=(-object "memory-backend-ram,id=mem$node,size=256M")
	done
	case $kernel_arch in
	x86_64)
		machine=(qemu-system-x86_64 -M q35 -smp "4,sockets=4")
		for node in 0 1 2 3; do
			numa+=(-numa "node,nodeid=$node,memdev=mem$node"
				-numa "cpu,node-id=$node,socket-id=$node")
		done
		;;
	arm64)
		machine=(qemu-system-aarch64 -M virt -cpu cortex-a57 -smp 4)
		for node in 0 1 2 3; do
			numa+=(-numa "node,nodeid=$node,memdev=mem$node,cpus=$node")
		done
		;;
	esac
	timeout 600 "${machine[@]}" -m 1G "${numa[@]}" -display none -no-reboot \
		-serial "file:$3" -kernel "$1" -initrd "$2" \
		-append "console=ttyS0 console=ttyAMA0 panic=-1 kunit.enable=1" </dev/null
}

# boot_status CONSOLE - the exit status of the test; fails where it did not end
boot_status() {
	grep -q 'init: the test ended' "$1" || return 1
	sed -n 's/.*init: the test ended with status \([-0-9]*\).*/\1/p' "$1"
}

# boot_complaints CONSOLE - what the kernel did not like; fails where that is nothing
boot_complaints() {
	grep -E 'BUG: |WARNING: |Oops|INFO: (possible|inconsistent|suspicious)|\bnot ok ' "$1"
}
