# SPDX-License-Identifier: GPL-2.0
#
# Everything starts here; `make` alone lists what there is.

# KERNEL: stock, engine, debug or coverage. MINUTES, SEED: of stress and servers. SERVER: one or some of
# the servers. FUZZ, RUNS: of fuzzing. VM: more options of tests/vm/vm. PREFIX, DESTDIR: as usual.
KERNEL ?= engine
VM ?=
PREFIX ?= /usr/local

build := $(abspath build)
parts := O=$(build) PREFIX=$(PREFIX)

help: ## list the targets
	@echo "Targets (KERNEL=stock|engine|debug|coverage where a kernel is meant, $(KERNEL) if not given):"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1 \2/p' Makefile | \
		while read -r target text; do printf '  %-12s %s\n' "$$target" "$$text"; done

kernel: ## build the kernel KERNEL and print the folder it is in
	@scripts/deps build
	@scripts/kernel-build $(KERNEL)

lib: ## build libcgmigrate into build/lib
	@scripts/deps build
	$(MAKE) -C libcgroup-plugin $(parts) all

plugin: lib ## build the libcgroup plugin into build/lib/cgmigrate
	$(MAKE) -C libcgroup-plugin/plugin $(parts) all

tools: lib plugin ## build cgmigrate and the plugin into build/bin and build/lib
	$(MAKE) -C tools/cgmigrate $(parts) all

tests: lib ## build the programs the tests need into build/tests
	@scripts/deps build check
	$(MAKE) -C tests/unit $(parts) all
	$(MAKE) -C tests/inject $(parts) all
	$(MAKE) -C tests/kernel $(parts) all
	$(MAKE) -C tests/stress $(parts) all

demo: ## move a live server's memory on both kernels and compare; results in build/demo
	@demo/run

bench: ## compare stock and engine in figures (QUICK=1: fewer runs); results in build/bench
	@scripts/deps build guest bench
	@tests/bench/run $(if $(QUICK),--quick)

scaling: ## how cost grows with size, threads, processes, nodes, mappings; results in build/bench
	@scripts/deps build guest bench
	@tests/bench/scaling

stress: ## move everything while everything happens (MINUTES=, SEED=, KERNEL=); results in build/stress
	@scripts/deps build guest
	@$(MAKE) -s -C tests/stress $(parts) all
	@tests/stress/run --kernel $(KERNEL) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

servers: tools ## repartition real servers, which must not notice (MINUTES=, SERVER=, KERNEL=); results in build/servers
	@scripts/deps guest servers
	@tests/servers/run --kernel $(KERNEL) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) \
		$(addprefix --server ,$(SERVER))

fuzz: ## feed every parser with anything (FUZZ=name, RUNS=n each); results in build/fuzz
	@scripts/deps build fuzz
	@$(MAKE) -s -C tests/fuzz $(parts) all
	@tests/fuzz/run $(if $(RUNS),--runs $(RUNS)) $(FUZZ)

check: ## build everything and test it; results in build/check
	@scripts/deps build guest check lint
	@tests/check

check-all: ## the same with what takes too long for every change
	@scripts/deps build guest check servers lint deb
	@tests/check --all

coverage: ## which lines of library, command, plugin and engine the tests run; results in build/coverage
	@scripts/deps build guest check coverage
	@scripts/coverage
	@scripts/coverage-kernel

matrix: ## build and boot kernels that lack one option or another (ROW=names); results in build/matrix
	@scripts/deps build guest matrix
	@scripts/matrix $(ROW)

check-lint: ## run the linters only
	@scripts/deps build lint
	@scripts/lint

shell: tools ## a root shell in a NUMA guest, with build/bin on PATH (VM=options of tests/vm/vm)
	@scripts/deps build guest demo
	@tests/vm/vm --kernel $(KERNEL) $(VM)

libcgroup-patches: ## build libcgroup 3 without and with libcgroup-plugin/patches
	@scripts/deps build
	@scripts/libcgroup

doc: ## make the pages of the library in build/doc
	@scripts/deps doc
	@mkdir -p $(build)/doc
	cd libcgroup-plugin && O=$(build) doxygen Doxyfile

deb: ## build Debian packages of all but the kernel in build/deb
	@scripts/deps build deb
	@scripts/deb

deb-kernel: ## build Debian packages of a kernel for real machines (LSMOD=FILE of lsmod); takes hours
	@scripts/deps build deb-kernel
	@scripts/deb-kernel $(if $(LSMOD),--lsmod '$(LSMOD)')

series: ## write the work as patches for the kernel's lists, and check each; in build/series
	@scripts/deps build lint
	@scripts/series

selftests: ## run the kernel's own tests on stock and engine, and compare; in build/selftests
	@scripts/deps build guest selftests
	@scripts/selftests

install: tools ## install library, headers, plugin, command and man pages below PREFIX
	$(MAKE) -C libcgroup-plugin $(parts) install
	$(MAKE) -C libcgroup-plugin/plugin $(parts) install
	$(MAKE) -C tools/cgmigrate $(parts) install

clean: ## remove build/; kernels stay in the cache (see scripts/kernel-build --help)
	$(RM) -r build

.PHONY: help kernel lib plugin tools tests demo bench scaling stress fuzz check check-all coverage check-lint shell doc libcgroup-patches deb deb-kernel series install clean selftests servers matrix
