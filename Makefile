# make demo    the environment and the whole loop on the example API; ends with a table and a report page
# make apibench  the loop on APIBench's HuggingFace part, in its three prompt modes
# make test    the environment and the default tests
# make check   format, lint, types, layers, tests
# make bench   every benchmark of benchmarks/
# make peers   what `kohai bench metrics` compares with, into .peers
# make lock    writes the lock files from the environment
# make docs    writes docs/configuration.md from the configuration's models
# make clean   removes the environment and what tools cached; runs and fetched models stay
#
# APIBENCH_SET=...  of make apibench: settings, such as --set model.name=Qwen/Qwen2.5-Coder-0.5B-Instruct
# OFFLINE=1         of make apibench: fetch none of its files, take what lies in data/apibench
# PYTHON=...        another interpreter (3.11 or newer)
# TORCH_INDEX=...   an index with another build of torch, for example one for CPUs only
# VENV=...          another place for the environment

# The lock files were made with 3.11; a newer Python is taken where 3.11 is not there.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$python; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := torch==2.13.0
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo apibench test check bench peers lock docs clean environment

demo: environment
	$(BIN)/kohai run configs/demo.yaml

apibench: environment
	$(BIN)/kohai image build hub
	$(if $(OFFLINE),,$(BIN)/kohai data apibench --download > /dev/null)
	$(BIN)/kohai data apibench --to data/apibench/tasks --image hub
	for docs in retrieved oracle none; do \
	  $(BIN)/kohai run configs/apibench.yaml --set prompt.docs=$$docs --set run=runs/apibench-$$docs \
	    $(APIBENCH_SET) || exit 1; done
	$(BIN)/kohai report runs/apibench-retrieved runs/apibench-oracle runs/apibench-none

test: environment
	$(BIN)/python -m pytest

check: environment
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

bench: environment peers
	$(PIP) install --progress-bar off --quiet -r requirements-ray.lock
	@failed=0; for file in benchmarks/*.py; do $(BIN)/kohai bench $$(basename $$file .py) || failed=1; done; exit $$failed

# codebleu asks for an older tree-sitter than ours, and works with it.
peers: environment
	$(PIP) install --progress-bar off --quiet --target .peers rouge-score==0.1.2
	$(PIP) install --progress-bar off --quiet --target .peers --no-deps --upgrade codebleu==0.7.0

lock: environment
	$(BIN)/python scripts/lock.py

docs: environment
	$(BIN)/python scripts/configuration.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

environment: $(STAMP)

# Nothing is done where the lock files have not changed; a half-made environment has no stamp and is made again.
$(STAMP): requirements.lock requirements-dev.lock pyproject.toml
ifeq ($(strip $(PYTHON)),)
	@echo "Kohai needs Python 3.11 or newer with its venv module (Debian, Ubuntu: apt install python3-venv)." >&2
	@exit 1
endif
	@$(PYTHON) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "$(PYTHON) is not a Python of 3.11 or newer with its venv module (Debian, Ubuntu: apt install python3-venv)." >&2; \
	exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --progress-bar off --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c requirements.lock $(TORCH)
	$(PIP) install --progress-bar off --quiet -r requirements.lock -r requirements-dev.lock
	$(PIP) install --progress-bar off --quiet --no-deps --no-build-isolation --editable .
	@touch $@
