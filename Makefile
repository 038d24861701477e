# make demo · docs · gallery · catalogue · experiments · faults · test · test-gpu · test-cluster · conformance · check · bench · bench-gpu: each makes the environment first, in .venv, if it is missing.
PYTHON ?= python3
BIN := .venv/bin
DEMO := runs/demo

.PHONY: demo docs gallery catalogue experiments faults test test-gpu test-cluster conformance check bench bench-gpu

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

demo: .venv/ready  ## four losses, with growing shares of outliers on one side, eight seeds
	$(BIN)/python train.py -m task=regression loss=mse,l1,huber,tukey corruption.fraction=0,0.1,0.2,0.3 \
		corruption.side=one_sided "seed=range(0,8)" hydra.sweep.dir=$(DEMO)
	$(BIN)/losslab report $(DEMO)

docs: .venv/ready  ## the site: build/site/html/index.html
	$(BIN)/python docs/site/build.py

gallery: .venv/ready  ## one page with every loss: runs/gallery.html
	$(BIN)/losslab gallery

catalogue: .venv/ready  ## the tables of docs/losses.md, from the cards of the losses; and docs/advice.md
	mkdir -p runs && $(BIN)/losslab losses --markdown > runs/catalogue.md
	sed -i.old -e '/^<!-- catalogue -->/,/^<!-- .catalogue -->/{//!d;}' -e '/^<!-- catalogue -->/r runs/catalogue.md' docs/losses.md
	$(BIN)/losslab advise --markdown > runs/advice.md
	sed -i.old -e '/^<!-- advice -->/,/^<!-- .advice -->/{//!d;}' -e '/^<!-- advice -->/r runs/advice.md' docs/advice.md
	rm docs/losses.md.old docs/advice.md.old

experiments: .venv/ready  ## every study again, from its recipe to the records and figures beside its page
	$(BIN)/python experiments/rebuild.py

faults: .venv/ready  ## harm done on purpose, and what came of it: the table of docs/faults.md
	PYTHONPATH=tests $(BIN)/python -m faults.inject --page

test: .venv/ready
	$(BIN)/python -m pytest -n 2

test-gpu: .venv/ready  ## what only a GPU can show; skipped where there is none
	$(BIN)/python -m pytest tests/gpu

test-cluster: .venv/ready  ## workers and commands killed 25 times on each engine: by hand, SLURM (as root, with slurmctld and slurmd), Ray
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[slurm,ray]"
	LOSSLAB_MANY_KILLS=1 $(BIN)/python -m pytest -n 0 tests/cluster

conformance: .venv/ready  ## each loss beside other implementations, and the table of it: docs/conformance.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[conformance]"
	$(BIN)/python -m pytest -n 2 tests/conformance/conformance.py
	PYTHONPATH=tests $(BIN)/python -m conformance.page

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: .venv/ready
	$(BIN)/python experiments/speed/bench.py
	$(BIN)/python experiments/speed/sweeps.py
	$(BIN)/python experiments/speed/cores.py
	$(BIN)/python experiments/speed/bookkeeping.py
	$(BIN)/python experiments/speed/busy.py
	$(BIN)/python experiments/speed/own_data.py

bench-gpu: .venv/ready  ## steps and a whole sweep on a GPU; a few of them on a CPU where there is none
	$(BIN)/python experiments/speed/gpu.py
