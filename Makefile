# make demo      installs what is missing, builds, renders a scene on a mesh of three nodes
# make test      installs what is missing, builds, runs every test
# make test-asan, make test-tsan
#                the same with address or thread sanitizer, in a build of its own; FILTER=… for
#                some of the tests (docs/TESTING.md)
# make lint      checks the formatting and the rules that a compiler does not
# make build     leaves the program at .build/release/meshd
# make lab-soak FRAMES=100 SEED=1
#                as many frames on five hosts while nodes are killed and frozen and the network
#                falls apart, all from the seed; as root
# make soak SEEDS=1..1000 NODES=32
#                as many simulated meshes under wild faults
# make fuzz TIME=600 [TARGET=gltf]
#                hostile bytes for everything that reads bytes, so many seconds each (docs/TESTING.md)
# make model     checks the models of the protocols (docs/model); model-mutations, that they can fail

SHELL := /bin/bash
CONFIGURATION := release
# Tests reach into modules; one set of flags keeps one build for program and tests.
SWIFT_FLAGS := -c $(CONFIGURATION) -Xswiftc -enable-testing
SOURCES := Package.swift Sources Tests
# Tests that start the program run in a process of their own. In one process the run hung twice;
# the likely cause, not proven, is that the test library's exit tests wait for any child.
PROGRAM_TESTS := LabTests|CommandLineTests
RUN_TESTS := timeout --foreground 1500 swift test $(SWIFT_FLAGS) --skip-build --no-parallel

.PHONY: all build setup demo test test-asan test-tsan lab-soak soak fuzz lint format proto bench \
	model model-mutations install clean

all: build

setup:
	@tools/setup.sh

build: setup
	swift build $(SWIFT_FLAGS) --product meshd

demo: build
	@Examples/demo.sh

test: setup
	swift build $(SWIFT_FLAGS) --build-tests
	$(RUN_TESTS) --skip '^($(PROGRAM_TESTS))\.'
	MESHD_PROGRAM=$(CURDIR)/.build/$(CONFIGURATION)/meshd \
		$(RUN_TESTS) --filter '^($(PROGRAM_TESTS))\.'

FILTER ?=
test-asan: setup
	tools/test-sanitized.sh address '$(FILTER)'
test-tsan: setup
	tools/test-sanitized.sh thread '$(FILTER)'

FRAMES ?= 100
SEED ?= 1
# As much of the nodes' logs as a failure needs: info.
lab-soak: setup
	swift build $(SWIFT_FLAGS) --build-tests
	MESHD_PROGRAM=$(CURDIR)/.build/$(CONFIGURATION)/meshd MESHD_LOG=$${MESHD_LOG:-info} \
		MESHD_SOAK_FRAMES=$(FRAMES) MESHD_SOAK_SEED=$(SEED) \
		swift test $(SWIFT_FLAGS) --skip-build --no-parallel --filter '^LabTests\.SoakTests'

SEEDS ?= 1..1000
NODES ?= 32
soak: build
	.build/$(CONFIGURATION)/meshd sim --seeds $(SEEDS) --nodes $(NODES) --faults wild

TIME ?= 600
TARGET ?=
fuzz: setup
	tools/fuzz.sh $(TIME) $(TARGET)

lint:
	swift format lint --strict --recursive $(SOURCES)
	@tools/lint.sh

format:
	swift format --in-place --recursive $(SOURCES)

# Needs protoc and protoc-gen-swift 1.39.0; the generated file is committed.
proto:
	protoc --proto_path=Sources/MeshWire --swift_out=Sources/MeshWire \
		--swift_opt=UseAccessLevelOnImports=true --swift_opt=Visibility=Internal mesh.proto

bench: build
	python3 Examples/make-scene.py out/scene
	.build/$(CONFIGURATION)/meshd bench out/scene/still-life.gltf \
		--env out/scene/studio.hdr --size 960x540

# Spin is needed here and nowhere else, so it is no part of setup.
model model-mutations: MODE = $(if $(findstring mutations,$@),mutations,models)
model model-mutations:
	@tools/install.sh spin gcc libc6-dev
	@docs/model/check.sh $(MODE)

# Does not build: `make && sudo make install` works where only the user has Swift.
PREFIX ?= /usr/local
install:
	install -D -m 755 .build/$(CONFIGURATION)/meshd $(DESTDIR)$(PREFIX)/bin/meshd
	install -D -m 644 docs/man/meshd.1 $(DESTDIR)$(PREFIX)/share/man/man1/meshd.1
	install -d $(DESTDIR)$(PREFIX)/share/systemd/user
	sed 's|@PREFIX@|$(PREFIX)|' packaging/meshd.service \
		>$(DESTDIR)$(PREFIX)/share/systemd/user/meshd.service

clean:
	rm -rf .build .build-asan .build-tsan out
