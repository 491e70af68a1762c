PYTHON ?= python3
# Passed on to `jupyter lab`, as in: make lab LAB_ARGS="--no-browser --port 8890"
LAB_ARGS ?=
# As in: make bench BENCH_ARGS="--only first_start restart"
BENCH_ARGS ?=
# As in: make faults FAULTS_ARGS="--only 'kernel killed' --seed 7"
FAULTS_ARGS ?=
# As in: make soak SOAK_ARGS="--cycles 100"
SOAK_ARGS ?=

.PHONY: help lab test test-fast test-all test-changed bench faults soak lint format build images stop clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

lab: ## set everything up and open JupyterLab on examples/ (LAB_ARGS="--no-browser ...")
	@$(PYTHON) scripts/develop.py lab $(LAB_ARGS)

test: ## set everything up and run the checks and tests that every change runs
	@$(PYTHON) scripts/develop.py test

test-fast: ## run the tests that need neither an engine nor a browser
	@$(PYTHON) scripts/develop.py test --tier fast

test-all: ## run every test, those that take long among them
	@$(PYTHON) scripts/develop.py test --tier all

test-changed: ## run what `make test` does, and those long tests whose subject the last commits touch (CI_BASE=COMMIT)
	@$(PYTHON) scripts/develop.py test --tier changed

bench: ## measure kernels in containers against local ones and other programs' (BENCH_ARGS="--quick")
	@$(PYTHON) scripts/bench.py $(BENCH_ARGS)

faults: ## have things go wrong around kernels, see what is lost and left (FAULTS_ARGS="--runs 1 --seed 7")
	@$(PYTHON) scripts/faults.py faults $(FAULTS_ARGS)

soak: ## start and stop kernels, again and again, and see that the server does not grow (SOAK_ARGS="--cycles 100")
	@$(PYTHON) scripts/faults.py soak $(SOAK_ARGS)

lint: ## check style and types
	@$(PYTHON) scripts/develop.py lint

format: ## rewrite the code in the project's style
	@$(PYTHON) scripts/develop.py install
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
	cd labextension && PATH="$(CURDIR)/.venv/bin:$$PATH" jlpm lint

build: ## make the wheel and the sdist in dist/
	@$(PYTHON) scripts/develop.py install
	PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python -m build

.PHONY: release-check
release-check: ## build the wheel and the sdist, install them, and say whether they can be released
	@$(PYTHON) scripts/develop.py install
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python scripts/release.py

images: ## build the images that the tests use
	@$(PYTHON) scripts/develop.py install
	@.venv/bin/python scripts/images.py

stop: ## stop the container engine that `make lab` started, if it did
	@$(PYTHON) scripts/engine.py stop

clean: ## remove what was built here; images and their cache stay
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache test-results
	rm -rf jupyter_tfcontainer/labextension labextension/lib labextension/node_modules labextension/*.tsbuildinfo labextension/.yarn
	find . \( -name __pycache__ -o -name ".*_cache" \) -prune -exec rm -rf {} +
