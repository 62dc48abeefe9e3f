# Three commands are enough on a fresh machine with Python 3.11 or newer:
#   make train    installs into .venv and trains PPO on CartPole and prints the results
#   make serve    trains the recommender from a simulated log and serves it
#   make test     installs into .venv and runs all checks and tests

PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
CONFIG ?= configs/cartpole/ppo.yaml
PARTS  ?=

PORT   ?= 8000

.PHONY: train serve test results check format install clean

train: install
	$(BIN)/rl train $(CONFIG)

# Prints two `curl` commands that work as they are.
serve: install runs/serve/.trained
	$(BIN)/rl serve services/recommender.yaml --port $(PORT)

runs/serve/.trained: | install
	mkdir -p $(@D)
	$(BIN)/rl simulate configs/recommender/q_learning.yaml --interactions 100_000 --out $(@D)/log.parquet
	$(BIN)/rl train configs/recommender/from_logs.yaml --set data.path=$(@D)/log.parquet --runs-dir $(@D)
	touch $@

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal  # the workers share the cores

# Hours: trains the shipped configs on this commit, then writes their figures into README and docs.
# It resumes what was interrupted. `make results PARTS=frozenlake` trains one part of it.
results: install
	$(BIN)/python benchmarks/results.py run $(PARTS)
	$(BIN)/python benchmarks/results.py write

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(VENV)/.installed

# The lock file pins every package, including torch's CPU build. It is installed first, so that the
# project's own version ranges are satisfied and nothing else is downloaded.
$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
