"""GAN research in JAX: any adversarial loss, compared fairly, on one device or many.

  import gan, optax
  game = gan.Game(generator=gan.from_linen(G()), discriminator=gan.from_linen(D()),
                  loss=gan.LOSSES["nonsat"], optimizer=optax.adam(2e-4, b1=0.5))
  state = game.init(key); step = jax.jit(game.step)             # a loop of your own
  run = gan.fit(game, images, steps=1000, workdir="runs/mine")  # or ours
  images = gan.load("runs/mine", game).sample(16, key)

Functions take things; names are looked up in commands alone. Registries are dictionaries by the
names that commands take, to which a plugin adds:

  LOSSES         name -> Loss: discriminator and generator loss, per example
  PENALTIES      name -> Penalty: gradient penalty of the critic, with formula and source
  REGULARIZERS   name -> Entry: makes a Regularizer, a further term of an objective
  AUGMENTATIONS  name -> Entry: makes an Augmentation of what the discriminator sees
  UPDATE_RULES   name -> Entry: makes an UpdateRule, how updates make a step
  OPTIMIZERS     name -> Entry: makes an optax transformation of rates that are arrays
  SCHEDULES      name -> Entry: makes a schedule of a hyper-parameter
  MODELS         name -> Model: builds a generator and a discriminator from a ModelSpec
  DATASETS       name -> function of (split, data_dir, image_size): one split, a Dataset
  METRICS        name -> Metric: numbers of generated examples beside real ones
  PRESETS        name -> fields of a Config: published systems
  WRITERS        name -> Entry: opens a log of runs beside their folders
  STEP_METRICS   name -> meaning: what each metric of a step is
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

# Where each name lives; imported when it is first read, so that `import gan` costs nothing.
_HOMES = {
  "gan.errors": ("UserError",),
  "gan.losses": ("LOSSES", "Loss"),
  "gan.penalties": (
    "PENALTIES",
    "Penalty",
    "r1_penalty",
    "r2_penalty",
    "r1r2_penalty",
    "wgan_gp_penalty",
  ),
  "gan.networks": ("Network", "Outputs", "from_linen", "from_nnx", "latent_sampler"),
  "gan.state": ("GanState", "Hyperparameters", "PlayerState"),
  "gan.optimizers": ("OPTIMIZERS",),
  "gan.schedules": ("SCHEDULES",),
  "gan.augment": ("AUGMENTATIONS", "Augmentation"),
  "gan.regularizers": ("REGULARIZERS", "Regularizer", "View"),
  "gan.models": ("MODELS", "ModelSpec"),
  "gan.method.game": ("STEP_METRICS", "Batch", "Game"),
  "gan.method.update_rules": (
    "UPDATE_RULES",
    "UpdateRule",
    "alternating",
    "consensus",
    "extragradient",
    "lookahead",
    "optimistic",
    "simultaneous",
    "unrolled",
  ),
  "gan.datasets": ("DATASETS", "Dataset"),
  "gan.metrics": ("METRICS",),
  "gan.metrics.extractors.base": ("Extractor",),
  "gan.training.config": ("Config",),
  "gan.training.fit": ("fit",),
  "gan.training.presets": ("PRESETS",),
  "gan.training.restore": ("LoadedRun", "load"),
  "gan.training.writers": ("WRITERS",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME]


# What editors and type checkers read in the place of _HOMES; a test holds them equal.
# ruff: noqa: F401
if TYPE_CHECKING:
  from gan.augment import AUGMENTATIONS, Augmentation
  from gan.datasets import DATASETS, Dataset
  from gan.errors import UserError
  from gan.losses import LOSSES, Loss
  from gan.method.game import STEP_METRICS, Batch, Game
  from gan.method.update_rules import (
    UPDATE_RULES,
    UpdateRule,
    alternating,
    consensus,
    extragradient,
    lookahead,
    optimistic,
    simultaneous,
    unrolled,
  )
  from gan.metrics import METRICS
  from gan.metrics.extractors.base import Extractor
  from gan.models import MODELS, ModelSpec
  from gan.networks import Network, Outputs, from_linen, from_nnx, latent_sampler
  from gan.optimizers import OPTIMIZERS
  from gan.penalties import (
    PENALTIES,
    Penalty,
    r1_penalty,
    r1r2_penalty,
    r2_penalty,
    wgan_gp_penalty,
  )
  from gan.regularizers import REGULARIZERS, Regularizer, View
  from gan.schedules import SCHEDULES
  from gan.state import GanState, Hyperparameters, PlayerState
  from gan.training.config import Config
  from gan.training.fit import fit
  from gan.training.presets import PRESETS
  from gan.training.restore import LoadedRun, load
  from gan.training.writers import WRITERS


def __getattr__(name: str) -> Any:
  if name in _HOME:
    globals()[name] = value = getattr(importlib.import_module(_HOME[name]), name)
    return value
  if name in _rooms():
    return importlib.import_module(f"{__name__}.{name}")
  raise AttributeError(f"gan has no {name}: it has {', '.join(sorted(_HOME))}")


def __dir__() -> list[str]:
  return sorted({*globals(), *_HOME, *_rooms()})


def _rooms() -> set[str]:
  """The modules of the package, such as gan.losses: each is imported when it is first read."""
  return {module.name for module in pkgutil.iter_modules(__path__)}
