# Two commands: `make proof` and `make test`. Each sets up .venv the first time it is needed
# and whenever pyproject.toml changes. All paths are relative, so any folder name will do.

PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)
RUN := .venv/bin/python

# Each process begins with half of the tests, in order: what one has compiled, its next tests load,
# while dealt out singly most functions would be compiled by both processes at once.
WORKERS := -n 2 --dist worksteal

.PHONY: proof test test-all test-jit test-plain test-bounds lint types contract bench counts wheel check clean

proof: .venv/installed-core
	$(RUN) -m gradcheck

# The suite three times over, without the benchmarks: compiled; as plain Python, which covers the
# lines that a compiled run hides; and, in part, compiled with bounds checks, in float64.
test: test-jit test-plain test-bounds

test-jit: .venv/installed-test
	$(RUN) -m pytest -q $(WORKERS) tests

test-plain: .venv/installed-test
	NUMBA_DISABLE_JIT=1 $(RUN) -m pytest -q $(WORKERS) tests/kernels tests/mlp

test-bounds: .venv/installed-test
	NUMBA_BOUNDSCHECK=1 $(RUN) -m pytest -q $(WORKERS) tests/mlp/test_plan.py \
		tests/mlp/test_network.py tests/mlp/test_optimizers.py tests/mlp/test_training.py \
		tests/mlp/test_nonfinite.py tests/mlp/test_memory.py tests/mlp/test_gradients.py \
		tests/mlp/test_inference.py tests/kernels/test_update.py tests/kernels/test_edges.py \
		tests/kernels/test_laws.py -k "not float32 and not another_dtype"

test-all: .venv/installed-test
	$(RUN) -m pytest -q $(WORKERS) --thorough

bench: .venv/installed-test
	$(RUN) -m pytest --benchmark-only -q bench $(BENCH)

counts: .venv/installed-test
	$(RUN) -m pytest -q --thorough bench/test_instructions.py

lint: .venv/installed-lint
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: .venv/installed-lint
	$(RUN) -m mypy

contract: .venv/installed-lint
	PYTHONPATH=. $(RUN) -c 'from importlinter.cli import lint_imports_command as run; run()'

wheel: .venv/installed-lint
	rm -rf dist
	$(RUN) -m build --wheel --outdir dist .
	$(RUN) tests/wheel_contents.py dist

# Every gate, as CI has them.
check: test proof lint types contract bench counts wheel

clean:
	rm -rf .venv dist build *.egg-info

# ---------------------------------------------------------------------------- environment
# A stamp after each step that succeeded: what was interrupted is done again.

.venv/made:
	@test -n "$(PYTHON)" || { echo "backproof needs Python 3.10 or newer; none was found" >&2; exit 2; }
	$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/installed-core: .venv/made pyproject.toml
	$(RUN) -m pip install -q -e .
	@touch $@

.venv/installed-%: .venv/made pyproject.toml
	$(RUN) -m pip install -q -e ".[$*]"
	@touch $@
