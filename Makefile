# make run    start everything and chat          make test       install what the tests need and run them all
# make lint   style and types                    make footprint  what the processes weigh
# make streams  what streams cost                make soak       everything at once for ten minutes
# make scaling  more processes, replicas, nodes   make nodes    three machines of which one fails (as root)
# make boot-test  installed under a real systemd, a second machine too (as root)   make test-container  the image, built and run (as root)
# make bench    beside other gateways (BENCH="--help": its options)   make bench-quick   beside the provider only
# make fuzz     many more generated requests     make fuzz-wire five minutes of coverage-guided fuzzing of the parser
# make quick    what needs no cluster: style, types, and the pure logic's tests, in seconds
# make test-wine  the clients for Windows' COM objects, under Wine       make test-libreoffice  WEBSERVICE() in Calc
# make test-clients  large clients of /v1: aider, opencode, promptfoo, Claude Code and Codex
# make test-network  two machines whose cable is unplugged, slow DNS, a provider that moves (as root)
# make test-long  tests that take minutes each
# make house    draw which module imports which: docs/house.svg
# make doctor   what is wrong, and what to do    (HOSTS="a.example b.example:8080": hosts to try)
# make lock     pin the requirements anew
# make install, make uninstall   on a machine with systemd; PREFIX=/opt/byzer-gateway USER=byzer DESTDIR= PURGE=
PYTHON ?= python3
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Only what is pinned, and all of it: resolving anew, pip refuses a `name[extra]` once a newer `name` is out.
LOCKED = --require-hashes --no-deps
PIP = .venv/bin/pip install $(LOCKED)
# A shell's own USER is not meant.
INSTALL = PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' SERVICE_USER='$(if $(filter command,$(firstword $(origin USER))),$(USER))' deploy/install
DASHBOARD = $(if $(RAY_DASHBOARD_HOST),.venv/dashboard)

PREFIX ?=
DESTDIR ?=
PURGE ?=
export PURGE PYTHON

.PHONY: help run doctor test quick boot-test nodes test-wine test-libreoffice test-clients test-network test-long check lint format \
  footprint streams bench bench-quick scaling soak fuzz fuzz-wire house install uninstall lock clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# make/make/p' Makefile

run: .venv/run $(DASHBOARD)
	exec .venv/bin/python -m gateway run --local-chat

# It installs nothing: whatever is broken, it only looks.
doctor:
	@$(or $(wildcard .venv/bin/python),$(PYTHON)) -m gateway doctor $(HOSTS)

# Who may install nothing runs all that can be run; pytest names what was skipped, and why.
test: .venv/test
	tests/install-packages || [ "$$(id -u)" -ne 0 ]
	$(MAKE) --no-print-directory check

# Not in `make test`: each waits for a minute or more, or repeats for long what another test shows.
test-long: .venv/test
	tests/install-packages
	LONG=1 .venv/bin/python -m pytest -m long

# Not in `make test`: Debian's wine takes 700 MB. Its locale makes Wine a Chinese Windows, whose console speaks GBK.
test-wine: .venv/test
	tests/install-packages wine wine64 locales
	WINE=1 .venv/bin/python -m pytest tests/test_wine.py

# Nor is Debian's LibreOffice Calc, which takes 400 MB.
test-libreoffice: .venv/test
	tests/install-packages libreoffice-calc
	LIBREOFFICE=1 .venv/bin/python -m pytest tests/test_libreoffice.py

# Not in `make test`: they take 2 GB.
test-clients: .venv/test .venv/aider/installed
	tests/install-packages
	CLIENTS=1 .venv/bin/python -m pytest tests/test_large_clients.py

# Nor does this: it takes 6 minutes, 5 GB of disk, and root.
test-container: .venv/test
	tests/install-packages buildah debootstrap
	CONTAINER=1 .venv/bin/python -m pytest -s tests/test_container.py

# Nor does this: a Debian is made, installed into and booted. It takes 5 minutes, 2 GB of disk, and root.
boot-test: .venv/test
	tests/install-packages systemd-container debootstrap
	BOOT=1 .venv/bin/python -m pytest -s tests/test_real_boot.py

# Three machines, and what becomes of chats when one fails: the table of docs/scaling.md. 6 minutes, and root.
nodes: .venv/test .venv/other-ray/installed
	tests/install-packages
	NODES=1 unshare --net --mount .venv/bin/python -m pytest -s tests/test_three_machines.py -k "not short"

# Nor do these run there: they take minutes, and a network of their own, which only root may have.
test-network: .venv/test
	NETWORK=1 unshare --net --mount .venv/bin/python -m pytest -s tests/test_network.py

# A file of tests runs in one process, with a cluster and a gateway of its own. Three at a time keep two cores busy.
check: lint
	.venv/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

quick: lint
	.venv/bin/python -m pytest tests/unit -n 2

lint: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports --no-logo >/dev/null || .venv/bin/lint-imports --no-logo
	.venv/bin/mypy --num-workers 2
	tests/lint/run

format: .venv/test
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

footprint: .venv/run
	.venv/bin/python -m bench.footprint

streams: .venv/test
	.venv/bin/python -m bench.streams

PEERS = .bench/litellm/installed .bench/compiled/installed .bench/portkey/installed
bench: .venv/test $(if $(findstring --no-peers,$(BENCH)),,$(PEERS))
	tests/install-packages
	.venv/bin/python -m bench.compare $(BENCH)

# Under 2 minutes.
bench-quick: .venv/test
	tests/install-packages
	.venv/bin/python -m bench.compare --no-peers --loads 1,16,64,held,streams --seconds 2 --rounds 1

scaling: .venv/test
	tests/install-packages
	.venv/bin/python -m bench.scaling
	.venv/bin/python -m bench.cluster

soak: .venv/test
	LONG=1 SOAK_SECONDS=$(or $(SOAK_SECONDS),600) .venv/bin/python -m pytest -s tests/test_soak.py tests/test_storm.py

fuzz: .venv/test
	FUZZ_EXAMPLES=400 .venv/bin/python -m pytest -s tests/test_openapi.py

fuzz-wire: .venv/test
	PYTHONPATH=. .venv/bin/python tests/fuzz_wire.py -max_total_time=300 -max_len=2000

house: .venv/test
	drawn=$$(.venv/bin/python -m docs.house) && echo "$$drawn" >docs/house.svg

install uninstall:
	$(INSTALL) $@

# Each stamp is newer than what it was installed from, so a second run installs nothing.
.venv/bin/pip:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "Python 3.11 or newer is needed; this is %d.%d: make PYTHON=python3.11" % v[:2])'
	@echo "Creating .venv"
	$(PYTHON) -m venv .venv

.venv/run: requirements.txt requirements-local.txt | .venv/bin/pip
	@echo "Installing the gateway's requirements (about 800 MB; some minutes the first time)"
	$(PIP) -r requirements.txt -r requirements-local.txt
	@touch $@

.venv/test: .venv/run requirements-test.txt
	$(PIP) -q -r requirements-test.txt
	@touch $@

.venv/aider/installed: tests/clients/aider/requirements.txt | .venv/bin/pip
	$(PYTHON) -m venv .venv/aider
	.venv/aider/bin/pip install -q $(LOCKED) -r $<
	@touch $@

.venv/other-ray/installed: tests/other_ray/requirements.txt | .venv/bin/pip
	.venv/bin/pip install -q $(LOCKED) --target $(@D) --upgrade -r $<
	@touch $@

.venv/dashboard: .venv/run requirements-dashboard.txt
	$(PIP) -r requirements-dashboard.txt
	@touch $@

# The peers, each in a folder of its own.
.bench/%/installed: bench/peers/%.txt
	$(PYTHON) -m venv .bench/$*
	.bench/$*/bin/pip install -q $(LOCKED) -r $<
	@touch $@

.bench/portkey/installed: bench/peers/package-lock.json
	mkdir -p .bench/portkey
	cp bench/peers/package*.json .bench/portkey
	npm --prefix .bench/portkey ci --ignore-scripts --no-audit --no-fund
	@touch $@

# No address of a package index goes into the files.
LOCK = .venv/bin/uv pip compile -q --generate-hashes --no-emit-index-url --no-header --python-version 3.11
lock: | .venv/bin/pip
	.venv/bin/pip install -q uv
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) requirements-xlsx.in -o requirements-xlsx.txt
	$(LOCK) requirements-test.in -o requirements-test.txt
	$(LOCK) requirements-dashboard.in -o requirements-dashboard.txt
	$(LOCK) --no-deps requirements-local.in -o requirements-local.txt
	$(LOCK) --no-deps tests/other_ray/requirements.in -o tests/other_ray/requirements.txt
	$(LOCK) bench/peers/litellm.in -o bench/peers/litellm.txt
	$(LOCK) bench/peers/compiled.in -o bench/peers/compiled.txt
	$(LOCK) tests/clients/aider/requirements.in -o tests/clients/aider/requirements.txt
	npm --prefix bench/peers install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved
	npm --prefix tests/lint install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved

clean:
	rm -rf .venv .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis
