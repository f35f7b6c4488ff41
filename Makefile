# make demo   install, run the main job on Topology I with sliding popularity, leave table, records and plots
# make test   install, run the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo

.PHONY: install demo test lint scenarios benchmarks clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all,test]"
	touch $@

demo: install
	rm -rf $(DEMO)
	$(BIN)/idn-gym run topology-1-sliding --output $(DEMO) \
	    --agent infida-coordinated --agent infida --agent last-batch-greedy --agent load-aware-greedy --agent random --agent repository-only \
	    --agent static-greedy --agent infida-offline --agent optimum:gap=0.005,time_limit=60

test: install
	$(BIN)/python -m pytest -n 2

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

scenarios: install
	$(BIN)/python -m idn_gym.library.packaged

benchmarks: install
	$(BIN)/python benchmarks/speed.py

clean:
	rm -rf $(VENV) runs
