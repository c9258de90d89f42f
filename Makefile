# Each target makes its own environment first: a fresh machine needs Python >= 3.11 and a package index.
#   make test PYTHON=python3.12     another interpreter, in an environment of its own
PYTHON ?= python3
# Empty where no Python answers; what a shim prints of its own is no answer.
ASK := import sys; print("version=%d.%d" % sys.version_info[:2])
TAG := $(patsubst version=%,%,$(filter version=%,$(shell $(PYTHON) -c '$(ASK)' 2>/dev/null || true)))
VENV ?= .venv-$(TAG)
RUN := $(VENV)/bin/python
# Tests compile without optimisations, but where runs are long or several processes agree.
AS_USERS := JAX_DISABLE_MOST_OPTIMIZATIONS=0
ARGS ?=

.PHONY: mnist cifar10 families extractor test test-networks test-cluster test-slow test-install test-notebooks \
  tutorials lint figures theory scaling roofline benchmark docs clean
.DEFAULT_GOAL := mnist

ifeq ($(TAG)$(wildcard $(VENV)/bin/python)$(filter clean,$(MAKECMDGOALS)),)
$(error $(PYTHON) does not run: name a Python >= 3.11 that does, as in PYTHON=python3.12)
endif

# $(call install,what,MB): quiet but for a dot every five seconds, which says that it goes on.
define install
@echo "Installing $(1) into $(VENV): fetches about $(2) MB where pip's cache has none of it,"
@echo "which takes minutes by most connections. Done once."
@( while sleep 5; do printf .; done ) & dots=$$!; \
  $(RUN) -m pip install --quiet --disable-pip-version-check -e '$(1)' -c constraints.txt; \
  code=$$?; kill $$dots; echo; exit $$code
endef

mnist: $(VENV)/installed
	$(RUN) -m experiments.mnist --loss=nonsat --workdir=runs/nonsat $(ARGS)

# Presets of CIFAR-10 at sizes for two cores; docs/models.md shows what they make.
BATCH := --discriminator_steps=1 --batch_size=16
RATES := --generator_learning_rate=4e-4 --discriminator_learning_rate=4e-4 --ema_decay=0.99
RESIDUAL := $(BATCH) --generator_batch_size=16 $(RATES)
resnet := --preset=cgan_pd_cifar10 --width=16 $(RESIDUAL) --steps=18000
sndcgan := --preset=sngan_cifar10 --model=sndcgan --width=16 $(RESIDUAL) --steps=5000
biggan := --preset=biggan_cifar10 --width=8 $(BATCH) $(RATES) --ema_start=100 --steps=5000
sagan := --preset=sagan_cifar10 --width=8 $(BATCH) $(RATES) --steps=5000
stylegan2 := --preset=stylegan2_cifar10 --width=16 --latent_dim=128 --batch_size=16 --augment= \
  --augment_control=none --steps=5000
r3gan := --preset=r3gan_cifar10 --stage_widths=64-64-32-16 --stage_blocks=1 --precision=float32 \
  --batch_size=16 --steps=5000
CIFAR10 = $(RUN) -m experiments.cifar10 --sample_every=1000

# About ten minutes on two cores that are idle.
cifar10: $(VENV)/installed
	$(CIFAR10) $(resnet) --workdir=runs/cifar10 $(ARGS)
	$(RUN) -m experiments.sample --workdir=runs/cifar10

# That run, and then one of each other network; what was interrupted goes on.
FAMILIES := resnet sndcgan biggan sagan stylegan2 r3gan
families: $(FAMILIES)
.PHONY: $(FAMILIES)
$(FAMILIES): FOLDER = runs/families/$@
resnet: FOLDER := runs/cifar10
# Every second class: figures of the documentation are small.
resnet biggan sagan r3gan: CLASSES := 0,2,4,6,8
FIGURES := docs/figures/families
$(FAMILIES): $(VENV)/installed
	$(CIFAR10) $($@) --workdir=$(FOLDER) $(ARGS)
	$(RUN) -m experiments.sample --workdir=$(FOLDER) $(CLASSES:%=--classes=%)
	mkdir -p $(FIGURES)
	cp $(FOLDER)/drawn/grid.png $(FIGURES)/$@.png
	$(CLASSES:%=cp $(FOLDER)/drawn/classes.png $(FIGURES)/$@_classes.png)

# The classifier whose features measure CIFAR-10: an hour on two cores; continues where it stopped.
extractor: $(VENV)/installed
	$(RUN) -m experiments.train_classifier --dataset=cifar10 --epochs=14 $(ARGS)

# Tests of the networks have a target of their own: compiling them takes minutes.
NETWORKS := tests/models tests/training/test_modern_presets.py
test: $(VENV)/installed-dev
	$(RUN) -m pytest -n 2 --dist loadfile $(NETWORKS:%=--ignore=%) $(ARGS)

test-networks: $(VENV)/installed-dev
	$(RUN) -m pytest -n 2 --dist loadfile $(NETWORKS) $(ARGS)

# What takes several processes: killed runs and sweeps, jax.distributed and Ray on this machine.
test-cluster: $(VENV)/installed-dev
	$(AS_USERS) $(RUN) -m pytest -m "cluster and not slow" $(ARGS)

test-slow: $(VENV)/installed-dev
	$(AS_USERS) $(RUN) -m pytest -m slow -n 2 $(ARGS)

# Installs the package into a new environment, uses it from a folder outside of this one, and runs
# the commands of the README.
test-install: $(VENV)/installed-dev
	$(RUN) -m pytest -m install $(ARGS)

# Executes the notebooks of docs/tutorials, two minutes or three; `tutorials` writes what they print into them.
test-notebooks: $(VENV)/installed-dev
	$(RUN) -m pytest -m notebooks $(ARGS)

tutorials: $(VENV)/installed-dev
	$(RUN) tests/notebooks.py docs/tutorials/*.ipynb

lint: $(VENV)/installed-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

# The figures of docs/losses.md.
figures: $(VENV)/installed
	$(RUN) -m experiments.losses --outdir=docs/figures $(ARGS)

# The studies of docs/sweeps.md, each at most two hours on two cores that are idle. What was
# interrupted goes on; a study that has ended writes its page of the documentation from its records.
STUDIES := study-ring study-mnist study-cifar10
studies: $(STUDIES)
.PHONY: studies $(STUDIES)
$(STUDIES): FOLDER = runs/studies/$(@:study-%=%)
$(STUDIES): PAGE = docs/$(subst -,_,$@).md
SWEEP = $(RUN) -m experiments.sweep
# ARGS=--dry_run prints the plan with its time, and leaves nothing to compare.
COMPARE = $(if $(findstring dry_run,$(ARGS)),,$(RUN) -m experiments.compare --workdir=$(FOLDER) --docs=$(PAGE))

# A program for each of 25 losses with each of five penalties.
study-ring: $(VENV)/installed
	$(SWEEP) --experiment=ring --losses=all --grid="penalty=none,r1,r1r2,wgan_gp,dragan" --seeds=10 \
	  --width=32 --steps=1500 --eval_every=750 --sample_every=1500 --checkpoint_every=1500 \
	  --workdir=$(FOLDER) $(ARGS)
	$(COMPARE)

CONTESTANTS := sat,nonsat,lsgan,hinge,wgan,wgan+wgan_gp,rsgan+r1r2,nonsat+dragan
# Of Lucic et al.'s first phase what a discriminator without normalisation has.
SPACE := generator_learning_rate=log:1e-5:1e-2;discriminator_learning_rate=log:1e-5:1e-2;b1=0:0.9;
SPACE := $(SPACE)weight_clip=log:1e-3:1;penalty_weight=log:0.1:100
study-mnist: $(VENV)/installed
	$(RUN) -m experiments.study --experiment=mnist --model=dcgan --width=16 --losses=$(CONTESTANTS) \
	  --samples=12 --space="$(SPACE)" --seeds=5 --steps=1000 --eval_every=250 --sample_every=1000 \
	  --workdir=$(FOLDER) $(ARGS)
	$(COMPARE)

# Under spectral normalisation wgan has no bound on its weights; without it its paper's.
spectral := --discriminator_norm=spectral --weight_clip=0
none := --discriminator_norm=none
study-cifar10: $(VENV)/installed
	for norm in "spectral $(spectral)" "none $(none)"; do \
	  $(SWEEP) --experiment=cifar10 --preset=sngan_cifar10 --width=16 $(RESIDUAL) --steps=1500 \
	    --losses=sat,nonsat,lsgan,hinge,wgan,rsgan --seeds=3 --eval_every=750 --sample_every=1500 \
	    --workdir=$(FOLDER)/$${norm%% *} $${norm#* } $(ARGS) || exit 1; \
	done
	$(COMPARE)

# The quick runs come first; where MNIST cannot be had the page says so.
theory: $(VENV)/installed
	for name in mixtures parzen; do test -e runs/theory/$$name/result.json || \
	  $(RUN) -m experiments.theory --case=$$name --quick --outdir=runs/theory $(ARGS) || true; done
	$(RUN) -m experiments.theory --case=all --outdir=runs/theory --docs=docs/theory.md $(ARGS)

scaling: $(VENV)/installed
	$(RUN) -m experiments.scaling --docs=docs/scaling.md $(ARGS)

# Predicts a step of each preset on accelerators that are not here; minutes of one core.
roofline: $(VENV)/installed
	$(RUN) -m experiments.roofline --docs=docs/roofline.md $(ARGS)

benchmark: $(VENV)/installed-bench
	$(RUN) -m experiments.benchmark --peer=torch $(ARGS)

# The site of docs/ and of what the code says of itself, in site/; a link that leads nowhere ends it.
docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict $(ARGS)

clean:
	rm -rf site .venv-* *.egg-info .mypy_cache .pytest_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python >= 3.11 is needed, $(PYTHON) is $(TAG): make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(call install,.,260)
	@touch $@

# Measured with pip 26 on Linux; PyTorch for CUDA is the most of bench.
SIZE-dev := 350
SIZE-bench := 3000
SIZE-docs := 290
$(VENV)/installed-%: $(VENV)/bin/python pyproject.toml constraints.txt
	$(call install,.[$*],$(SIZE-$*))
	@touch $@ $(VENV)/installed
