# make demo            compile LeNet-5 and show it a digit
# make test            every check: ruff, mypy, pytest
# make coverage        the tests, and the lines of netdsl that none of them reaches
# make test-versions   the tests that need no PyTorch, on every Python found and on the oldest packages
# make test-long       mutated programs, damaged files and the tests marked `long`, which takes an hour or two

PYTHON := $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: demo test coverage test-versions test-long

demo: .venv/cpu
	$(BIN)/netdsl compile nets/lenet5.net -o lenet5.onnx
	$(BIN)/netdsl run lenet5.onnx docs/digit.png

test: .venv/dev
	$(BIN)/python -m compileall -q netdsl  # the tests start hundreds of processes, also where Python may write no bytecode
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest -n auto --durations=10

coverage: .venv/dev
	$(BIN)/pytest -n auto --cov --cov-report=term-missing:skip-covered

test-versions: .venv/dev
	$(BIN)/python tools/versions.py

test-long: .venv/dev
	$(BIN)/python tools/fuzz.py all
	$(BIN)/pytest -n auto -m long

# One environment serves both: the stamps say which extras are in it.
# Installing also writes the table of the grammar, without which every start of netdsl takes longer.
.venv/%: pyproject.toml constraints.txt grammars/netdsl.lark netdsl/syntax/grammar.py
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -e '.[$*]'
	touch $@
