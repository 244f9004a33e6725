# Two commands need nothing but Python 3.11 or newer with venv, make and git:  make repro  and  make test.
# Everything is installed into .venv, which is made anew whenever it is missing, broken, moved, or older than its inputs.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help setup repro test lint lab site slides sheet bench ready lock clean distclean scm

ARGS ?=#     handed on: make test ARGS='-k color -x', make repro ARGS='train@rebalanced', make bench ARGS='encoding lab'
UPGRADE ?=#  make lock UPGRADE=1: the newest versions that pyproject.toml allows, instead of keeping the pins
TORCH ?= $(shell sed -n 's/^torch==//p' requirements.lock 2>/dev/null)#  make lock TORCH=2.14.0: torch moves only when asked to

OUTSIDE_PATH := $(PATH)
export PATH := $(CURDIR)/.venv/bin:$(PATH)#  so that DVC's stages find Python and its tools, and the pages their kernel
export VIRTUAL_ENV := $(CURDIR)/.venv
export PIP_USER := 0
export OMP_WAIT_POLICY ?= passive#  threads that wait for each other sleep; `make lab`'s kernels read it before repro is there to set it
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONPATH PYTHONHOME GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

# Usable: it was set up here, in full, and its Python still starts.
USABLE := $(shell test "$$(cat .venv/.ready 2>/dev/null)" = "$(CURDIR)" && .venv/bin/python -c '' 2>/dev/null && echo yes)
ifneq ($(USABLE),yes)
.PHONY: .venv/.ready
endif

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1@\2/p' Makefile | while IFS=@ read -r a b; do printf '%-15s %s\n' "$$a" "$$b"; done

setup: .venv/.ready ## install everything into .venv (the other targets do it when needed)
	@$(if $(filter setup,$(MAKECMDGOALS)),echo "Ready: .venv holds everything.",:)

repro: setup scm ## run the whole pipeline: every page, every number (ARGS='...' goes to dvc repro)
	@python -m repro run -- $(ARGS)
	@echo "Done. The pages are in outputs/pages/; open outputs/pages/12_results.html in a browser."

test: setup scm ## run the tests on two cores (ARGS='...' goes to pytest)
	@OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile $(ARGS)

lint: setup ## check the code and the pages with ruff
	ruff check . && ruff format --check .

lab: setup scm ## open the pages in JupyterLab, to step through
	jupyter lab $(ARGS) notebooks

site: setup ## build the executed pages into a book that needs no network: outputs/site/index.html
	@python docs/build_site.py $(ARGS)

slides: setup ## make slides of the executed pages, a file each that needs no network: outputs/slides/ (ARGS='02 05')
	@python docs/build_slides.py $(ARGS)

sheet: setup ## write the exercises by hand as a sheet to print, answers on the last page: outputs/by_hand.html
	@python docs/build_sheet.py $(ARGS)

bench: setup ## measure speed and memory, each figure beside its peer (ARGS='NAME ... --json FILE')
	python -m benchmarks $(ARGS)

ready: export REPRO_OUTPUTS := $(CURDIR)/scratch/ready
ready: setup ## train again the small models that stand in on the pages until there are others (repro/pages/ready)
	rm -rf scratch/ready
	python -m repro data
	python -m repro train --series conf/by_hand.yaml --out scratch/ready/models
	python -m repro ready scratch/ready/models

lock: ## write requirements.lock from pyproject.toml (UPGRADE=1: newest versions; TORCH=...: another torch)
	@rm -rf .venv-lock
	@$(FIND_PYTHON) "$$python" -m venv .venv-lock
	@touch requirements.lock
	@grep -E '$(if $(UPGRADE),^$$,^[^#])' requirements.lock | grep -v '^torch==' > .venv-lock/pins; \
	  test -z '$(TORCH)' || echo 'torch==$(TORCH)' >> .venv-lock/pins
	@$(call PIP_INSTALL,.venv-lock,.venv-lock/pins)
	@{ echo '# Every package of the environment, as exact versions: pip install -c requirements.lock -e ".[all,test,site]"'; \
	   echo '# Written by `make lock`; another platform installs its own builds of these, and its own extras besides.'; \
	   .venv-lock/bin/python -m pip list --format=freeze --exclude pip --exclude repro \
	   | sed 's/+.*//' | LC_ALL=C sort -f; } > .venv-lock/requirements.lock
	@mv .venv-lock/requirements.lock requirements.lock && rm -rf .venv-lock
	@echo "requirements.lock: $$(grep -c == requirements.lock) packages"

clean: ## remove what was made: outputs/, scratch/, caches (data/ and runs/ stay; DVC's cache brings outputs/ back)
	rm -rf outputs scratch .pytest_cache .hypothesis .ruff_cache build *.egg-info
	find repro benchmarks tests notebooks -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## also remove .venv and DVC's cache, so that everything is made from nothing
	rm -rf .venv .venv-lock .dvc/cache .dvc/tmp .dvc/config.local

# DVC wants to know whether it stands at the top of a git repository. A source archive does not, even inside another repository;
# a clone that git does not trust, as it belongs to somebody else, is one all the same, and only its user can say that it is safe.
scm: setup
	@if test -z "$$(git rev-parse --show-prefix 2>/dev/null || echo none)"; then \
	    ! grep -qs no_scm .dvc/config.local || dvc config --local --unset core.no_scm; \
	  elif test -e .git; then \
	    echo "git does not work here: $$(git rev-parse 2>&1 | head -n 1)" >&2; \
	    echo "If you trust this folder: git config --global --add safe.directory '$(CURDIR)'" >&2; exit 1; \
	  elif ! grep -qs no_scm .dvc/config.local; then \
	    dvc config --local core.no_scm true \
	      && echo "This copy is no git repository of its own: DVC was told so (core.no_scm in .dvc/config.local)."; \
	  fi

.venv/.ready: pyproject.toml requirements.lock
	@rm -f .venv/.ready
	@.venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { $(FIND_PYTHON) echo "Making .venv with $$("$$python" --version)"; "$$python" -m venv --clear .venv; }
	@.venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null
	@echo "Installing into .venv: once, some minutes"
	@$(call PIP_INSTALL,.venv,requirements.lock)
	@echo "$(CURDIR)" > .venv/.ready

# Sets $$python to the first interpreter that will do, looked for outside .venv; or stops with one line that says what to do.
define FIND_PYTHON
PATH="$(OUTSIDE_PATH)"; unset VIRTUAL_ENV; python=; old=yes; \
for candidate in $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11); do \
  "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; old=; \
  "$$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1 && { python="$$candidate"; break; }; \
done; \
if [ -z "$$python" ]; then \
  if [ -n "$$old" ]; then echo "$(if $(PYTHON),$(PYTHON) is not,There is no) Python 3.11 or newer$(if $(PYTHON),," here"): install one, or name it: make setup PYTHON=/path/to/python3.12" >&2; \
  else echo "This Python has no venv: install it (Debian, Ubuntu: apt install python3-venv), or name another: make setup PYTHON=/path/to/python3.12" >&2; fi; \
  exit 1; \
fi;
endef

# $(call PIP_INSTALL,venv,constraints): pip's 400 lines go to setup.log, the big steps to the screen; on failure the end of the log.
define PIP_INSTALL
set -o pipefail; found=0; \
$(1)/bin/python -m pip install --progress-bar off -c $(2) -e '.[all,test,site]' 2>&1 | tee $(1)/setup.log | while IFS= read -r line; do \
  case "$$line" in \
    Collecting*|Processing*) found=$$((found + 1)); test $$((found % 40)) -ne 0 || echo "  $$found packages found";; \
    *Downloading*"GB)"*|*Downloading*[0-9][0-9][0-9].[0-9]" MB)"*) echo " $$line";; \
    "Installing collected packages"*) echo "  installing them";; \
  esac; done \
|| { tail -n 20 $(1)/setup.log >&2; echo "The installation failed; all of it is in $(1)/setup.log. Run the same command to try again." >&2; \
  ! grep -q "No space left" $(1)/setup.log || echo "The disk is full: .venv needs about 3 GB (more where torch comes with CUDA), and pip some of TMPDIR while it works." >&2; exit 1; }
endef
