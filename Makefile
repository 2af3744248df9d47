# What people type.  Everything real is in meson.build and tools/.
#
# SPDX-License-Identifier: MIT
# BUILD is the debug build, which holds drivers to their rules: tests use it.
# RELEASE is what people run, and what is measured.
BUILD ?= build
RELEASE ?= $(BUILD)-release
PYTHON = /usr/bin/python3
REINSERT = $(RELEASE)/front/cli/reinsert

.PHONY: all deps build release demo test conformance docs ddk-check wine-check \
        model faults faults-mutants vm bench bench-iscsi lint fmt install clean

all: build

# The packages, by their Debian names; nothing happens when all are there.
deps:
	@tools/deps

build: deps
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD)
	@ninja -C $(BUILD)

release: deps
	@test -f $(RELEASE)/build.ninja || \
	    meson setup $(RELEASE) -Db_ndebug=true --buildtype=release
	@ninja -C $(RELEASE) front/cli/reinsert bench/irp bench/nbdload \
	    bench/jukebox bench/jukebox_stack tests/changer/sgnode.so

# One yank, told line by line, with real clients.
demo: release
	@$(PYTHON) tools/demo.py $(REINSERT)

# Everything; REINSERT_SEED replays the swaps, REINSERT_SWAPS says how many.
test: build
	@$(PYTHON) tools/run-tests.py $(BUILD)

# Every documented rule by its name; writes $(BUILD)/conformance.xml too.
conformance: build
	@$(PYTHON) tests/conformance/conformance.py run $(BUILD)

# The pages that are made from tables.
docs:
	@$(PYTHON) tests/conformance/conformance.py docs
	@tools/driver-rules.py

# Our drivers against somebody else's DDK headers, with a cross compiler.
ddk-check:
	@DDK_BUILD=$(BUILD)/ddk tools/ddk/check

# Somebody else's driver tests against our headers, on our I/O manager.
wine-check: build
	@tests/wine/check $(BUILD)

# The volume's states, verified exhaustively within stated bounds.
model: deps
	@tests/model/run

# The kernel's own NBD client and file systems, in a virtual machine.
vm: build
	@tools/deps vm
	@tests/vm/run $(BUILD)

# Every fault at every point, against a model of the media; one seed, one run.
# JOBS: on so many processors, all rounds the same.
FAULTS ?= 20000
SEED ?= 1
TIME ?= 0
JOBS ?= 1
faults: deps
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD)
	@ninja -C $(BUILD) tests/faults/faults >$(BUILD)/faults.log || \
	    { cat $(BUILD)/faults.log; exit 1; }
	@$(BUILD)/tests/faults/faults --faults $(FAULTS) --seed $(SEED) \
	    --time $(TIME) --jobs $(JOBS)

# Mistakes in the code that the campaign must find.
faults-mutants: deps
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD)
	@ninja -C $(BUILD) tests/faults/faults >$(BUILD)/faults.log || \
	    { cat $(BUILD)/faults.log; exit 1; }
	@$(PYTHON) tests/faults/mutants.py $(BUILD)

bench: release
	@$(PYTHON) bench/bench.py --server $(REINSERT) \
	    --nbdload $(RELEASE)/bench/nbdload
	@$(RELEASE)/bench/irp
	@$(RELEASE)/bench/jukebox
	@$(RELEASE)/bench/jukebox_stack
	@$(PYTHON) bench/changer.py $(RELEASE)
	@$(PYTHON) bench/drives.py $(REINSERT)
	@$(PYTHON) bench/tape.py $(REINSERT)

bench-iscsi: release
	@ninja -C $(RELEASE) bench/iscsiloop >/dev/null
	@$(PYTHON) bench/iscsi.py --server $(REINSERT) \
	    --nbdload $(RELEASE)/bench/nbdload \
	    --loop $(RELEASE)/bench/iscsiloop

lint: deps
	@tools/lint

fmt:
	@tools/lint --fix

# To /usr/local, or as meson's --prefix said.
install: release
	@ninja -C $(RELEASE)
	@meson install -C $(RELEASE) --no-rebuild

clean:
	rm -rf $(BUILD) $(RELEASE)
