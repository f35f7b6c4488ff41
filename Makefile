# make demo   install, run the main job on Topology I with sliding popularity, leave table, records and plots
# make test   install, run the tests of what is computed
# make commands   install, run the tests of commands from end to end: interrupts, terminals, sweeps, trainings, figures
# make pages   install, run the notebooks and pages from top to bottom
# make browser   install, open pages of idn-gym report in Chromium, if it is there
# make lower-bounds, make newest-versions   a smoke test with the oldest versions that pyproject.toml allows, with the newest there are
# make benchmarks-against REV=COMMIT   this checkout's speed beside another commit's, on this machine
# make release-check   build, install on every Python at hand, run the README: could this commit be released?
# make results   run every study that is not of this commit, and include the tables; ONLY=studies (trainings, speed, or a study): those alone
# make tables   include the tables of pages from stored results
# make docs   build the site into site/, strictly: no broken link
# make clients   install and run the programs of docs/how-to/trainers.md, each in an environment of its own
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile # a file's kernels are compiled by one of the two
DEMO := runs/demo

.PHONY: install demo test commands pages browser lower-bounds newest-versions release-check clients docs results tables lint scenarios benchmarks benchmarks-against clean

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
	$(PYTEST) -m "not commands and not pages and not browser"

commands: install
	$(PYTEST) -m commands

pages: install
	$(BIN)/python -m pytest -n 2 -m pages

browser: install
	@command -v chromium || command -v google-chrome || apt-get install --yes --quiet chromium > /dev/null 2>&1 \
	    || echo "no Chromium, and none can be installed here: its tests are skipped"
	$(BIN)/python -m pytest -rs -m browser

lower-bounds:
	.ci/smoke lowest

newest-versions:
	.ci/smoke newest

release-check:
	.ci/release

clients:
	$(PYTHON) clients/run.py

docs: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

results: install
	$(BIN)/python benchmarks/all.py $(if $(ONLY),--only $(ONLY))
	$(BIN)/python docs/tables.py

tables: install
	$(BIN)/python docs/tables.py

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

scenarios: install
	$(BIN)/python -m idn_gym.library.packaged

benchmarks: install
	$(BIN)/python benchmarks/speed.py

benchmarks-against: install
	$(BIN)/python benchmarks/against.py $(REV)

clean:
	rm -rf site $(VENV) .venv-lowest .venv-newest .venv-clients runs
