# make demo   set-up, then the main job          make demo-train   set-up, then a small model trained
# make test   set-up, then every check and test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_OUT ?= demo-out
TRAIN_OUT ?= demo-train-out
# Byte code is made at the first import: of 20,000 installed files most are never imported, and compiling all takes 90 s.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt

.PHONY: demo demo-train test pytest lint check-clients clean

demo: $(VENV)/.demo-ready
	$(BIN)/gazecapture demo --out $(DEMO_OUT)

# From simulated readers to a trained small model, its table and its pages of evidence.
demo-train: $(VENV)/.train-ready
	$(BIN)/python -m examples.gazex.demo_train --out $(TRAIN_OUT)

# The tests start some hundred processes; without byte code each would compile all of ours anew.
unexport PYTHONDONTWRITEBYTECODE

# The checks beside the tests.
test: $(VENV)/.test-ready
	$(MAKE) --no-print-directory --jobs 2 lint pytest

# Three at a time on two processors, for many of these wait for a stream or a process; whole files together, for they
# share what they made; long files first (tests/conftest.py), so that none is left alone at the end.
pytest: $(VENV)/.test-ready
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Other projects' programs against ours, each in an environment of its own (.clients).
check-clients: $(VENV)/.test-ready
	$(BIN)/python tools/check_clients/run.py

# A stamp is older than what it was made from only when that changed, so a second run starts at once.
$(VENV)/.made:
	@sh tools/system-packages.sh demo
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo-ready: pyproject.toml constraints.txt system-packages.txt | $(VENV)/.made
	@sh tools/system-packages.sh demo
	$(INSTALL) --editable '.[viewer]'
	@touch $@

# What the demo needs is among it; installed after the demo's own it would be resolved and built twice.
$(VENV)/.test-ready: pyproject.toml constraints.txt system-packages.txt | $(VENV)/.made
	@sh tools/system-packages.sh demo test
	$(INSTALL) --editable '.[viewer,dictation,whisper,segment,neon,video,cluster,train,test]'
	@touch $(VENV)/.demo-ready $@

$(VENV)/.train-ready: $(VENV)/.demo-ready
	$(INSTALL) --editable '.[viewer,train]'
	@touch $@

clean:
	rm -rf $(VENV) .clients $(DEMO_OUT) $(TRAIN_OUT) build dist
