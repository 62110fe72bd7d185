# One command each, the same for people and CI. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast check format bench flink lock clean
BIN := .venv/bin
WORKDIR ?= tfrec-demo
# Tests also wait for servers and processes of their own, so that three workers fill two cores; up to
# 4 GB of memory each.
WORKERS ?= 3
export TF_CPP_MIN_LOG_LEVEL ?= 2

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## make .venv with everything pinned, and .venv/bin/tfrec in it
	@.ci/setup

demo: setup  ## from simulated raw files to a gRPC answer, in tfrec-demo/
	@$(BIN)/tfrec demo $(WORKDIR)

test: setup  ## every test, slow ones too (under 20 minutes on two cores)
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-fast: setup  ## the tests that end within 3 minutes
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow"

check: setup  ## ruff, mypy strict, import directions, the documentation's commands
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q -p no:cacheprovider tests/test_house.py tests/test_docs.py

format: setup  ## let ruff lay out the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## each benchmark runs ours and its peer; the last line is one JSON object
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

FLINK ?= 1.19
BEAM ?= $(shell sed -n 's/^apache-beam==\([0-9.]*\).*/\1/p' requirements.lock)
flink: setup  ## preprocessing on a Flink mini-cluster, compared with the local runner (Java, Maven)
	mvn -q -B dependency:copy -DoutputDirectory=build/flink \
	  -Dartifact=org.apache.beam:beam-runners-flink-$(FLINK)-job-server:$(BEAM)
	$(BIN)/pytest -q -rs tests/preprocessing/test_runners.py -k flink_gives

lock: setup  ## resolve requirements.lock anew from setup.py
	$(BIN)/uv pip compile setup.py --extra all --extra dev --extra minilm --universal --python-version 3.11 --generate-hashes \
	  --override .ci/overrides.txt --no-annotate --no-header --quiet --upgrade -o requirements.lock

clean:  ## remove what the commands above made
	rm -rf .venv $(WORKDIR) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
