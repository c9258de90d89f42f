"""The schema of a run: every choice that determines it, as a field with its flag, unit and range.

A hyper-parameter is one field of `Config` (its flag and its schedule come by themselves) and one
use. `parts.py` says which parts a config chooses, `validation.py` checks it, `build.py` makes an
algorithm of it.
"""

import dataclasses
from typing import Any

from gan import losses, models
from gan.method.fields import FAKE_LABELS
from gan.method.lazy import JOINT, STEPS
from gan.method.update_rules import UPDATE_RULES
from gan.networks import LATENTS
from gan.optimizers import OPTIMIZERS
from gan.penalties import PENALTIES
from gan.schedules import PUBLISHED
from gan.system.schema import plain_number
from gan.training.option_field import option, type_of
from gan.training.parallel import PLACES, STRATEGIES

PRECISIONS = ("float32", "bfloat16")
AUGMENT_CONTROLS = ("none", "ada", "apa")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """The choices of a run of named parts; `gan-train mnist --help` says what each means.

  Examples:
    >>> import gan
    >>> gan.Config(loss="hinge", steps=1000).batch_size
    64
  """

  dataset: str = option(
    "auto", "data", "data set by name: auto, digits, ring, grid, or any of TFDS"
  )
  split: str = option("train", "data", "part of the data set, sliced as in TFDS: train[:50000]")
  image_size: int | None = option(
    None, "data", "side in pixels to which images are resized", positive=True
  )
  mirror: bool = option(False, "data", "flip each real image with probability 1/2", added=True)
  crop: int = option(
    0,
    "data",
    "pixels by which a real image is shifted at most, its border reflected",
    minimum=0,
    added=True,
  )
  dequantize: bool = option(
    False, "data", "spread the 256 levels of real pixels: (x + U(0, 1)) / 256", added=True
  )
  model: str = option("dcgan", "model", "architecture", choices=models.MODELS)
  width: int | None = option(
    None, "model", "channels of the narrowest layer (dcgan: 64), units (points: 128)", positive=True
  )
  discriminator_norm: str | None = option(
    None, "model", "normalisation in the discriminator (dcgan: none)", choices=models.NORMS
  )
  discriminator_hidden: int | None = option(
    None, "model", "units of a dense layer before D's logit (dcgan: 0, no such layer)", minimum=0
  )
  conditional: bool = option(False, "model", "give the class labels to both players")
  conditioning: str | None = option(
    None,
    "model",
    "how labels reach the players, implies --conditional (default: the model's own, concat)",
    choices=models.CONDITIONINGS,
    added=True,
  )
  fake_labels: str = option(
    "batch",
    "model",
    "labels that G makes examples of (--conditional): the batch's, uniform, or as the data's are",
    choices=(*FAKE_LABELS, "data"),
    added=True,
  )
  packing: int = option(
    1, "model", "examples that D judges at once, joined along the channels (PacGAN)", positive=True
  )
  latent: str = option("normal", "model", "distribution of the latents", choices=LATENTS)
  latent_dim: int = option(64, "model", "length of a latent", positive=True)
  precision: str = option(
    "float32", "model", "type in which activations are computed", choices=PRECISIONS
  )
  loss: str = option("nonsat", "loss", "adversarial loss", choices=losses.LOSSES)
  real_label: float = option(
    1.0, "loss", "target of D on real data, in (0, 1]; 0.9 smooths it", positive=True, maximum=1
  )
  discriminator_loss_scale: float = option(1.0, "loss", "factor on D's loss", positive=True)
  weight_clip: float | None = option(
    None,
    "loss",
    "bound on D's weights (wgan without penalty: 0.01; else off); 0 turns it off",
    minimum=0,
  )
  penalty: str = option(
    "none", "loss", "gradient penalty on D, of each example's logit", choices=PENALTIES
  )
  penalty_weight: float | None = option(
    None, "loss", "lambda or gamma of the penalty (default: that of its paper)", minimum=0
  )
  penalty_every: int = option(
    1, "loss", "steps between penalties, which then weigh as much more (lazy)", positive=True
  )
  lazy_correction: bool = option(
    False,
    "loss",
    "D's rate times c and its betas to the power c, c = n/(n + 1) of --penalty_every=n",
    added=True,
  )
  lazy_step: str = option(
    JOINT,
    "loss",
    "whether a lazy penalty is a term of D's loss, or one more update of D",
    choices=STEPS,
    added=True,
  )
  instance_noise: float = option(
    0.0, "loss", "standard deviation of noise on all that D sees, in the model's range", minimum=0
  )
  instance_noise_steps: int = option(
    1000, "loss", "steps in which the noise falls to 0, unless --schedules has it", positive=True
  )
  augment: str = option(
    "",
    "loss",
    "augmentations of all that D sees, by commas in order: mirror, diffaugment:color,cutout, "
    "ada:bgc (noise: --instance_noise)",
    added=True,
  )
  augment_strength: float | None = option(
    None,
    "loss",
    "probability that an example is augmented, by ada that of each transform (default: 1, of ada "
    "none)",
    minimum=0,
    maximum=1,
    added=True,
  )
  augment_control: str = option(
    "none",
    "loss",
    "regulariser that sets --augment_strength as D overfits, as if named by --regularizers",
    choices=AUGMENT_CONTROLS,
    added=True,
  )
  regularizers: str = option("", "loss", "further terms by name, separated by commas", added=True)
  lecam_weight: float | None = option(
    None, "loss", "weight of the LeCam regulariser (named: 0.3; else off)", minimum=0
  )
  lecam_decay: float = option(
    0.99, "loss", "decay in an update of LeCam's averages", minimum=0, below=1, added=True
  )
  lecam_start: int = option(
    0,
    "loss",
    "first step with LeCam's term; before it averages are of one batch",
    minimum=0,
    added=True,
  )
  lsgan_targets: str = option(
    "0,1,1", "loss", "targets a,b,c of lsgan: D on fakes, D on data, G; -1,1,0 for Pearson"
  )
  fgan_generator: str = option(
    "bound",
    "loss",
    "what G of fgan_* descends: the bound, or the alternative that does not saturate",
    choices=losses.FGAN_GENERATORS,
  )
  options: str = option(
    "",
    "loss",
    "options of parts, name=value;name=value; each has a flag of its own too",
    added=True,
  )
  update_rule: str = option(
    "alternating", "training", "which player is updated when", choices=UPDATE_RULES
  )
  unrolled_steps: int = option(
    5, "training", "D updates that G looks ahead (--update_rule=unrolled)", minimum=0
  )
  lookahead_steps: int = option(
    5, "training", "steps between interpolations (--update_rule=lookahead)", positive=True
  )
  consensus_weight: float = option(
    10.0, "training", "weight of the field's squared norm (--update_rule=consensus)", minimum=0
  )
  discriminator_steps: int = option(
    1, "training", "k, D updates in each step (one G update)", positive=True
  )
  shared_latents: bool = option(
    False, "training", "G's update takes the latents and fakes of D's last: one pass of G less"
  )
  optimizer: str = option(
    "adam",
    "training",
    "optimiser of both players, of optax with its further defaults",
    choices=OPTIMIZERS,
  )
  generator_optimizer: str | None = option(
    None, "training", "optimiser of G, if another", choices=OPTIMIZERS
  )
  discriminator_optimizer: str | None = option(
    None, "training", "optimiser of D, if another", choices=OPTIMIZERS
  )
  generator_learning_rate: float = option(2e-4, "training", "step size of G", minimum=0)
  discriminator_learning_rate: float = option(2e-4, "training", "step size of D", minimum=0)
  b1: float = option(
    0.5, "training", "decay of the first moment (Adam and its kin)", minimum=0, below=1
  )
  b2: float = option(
    0.999, "training", "decay of the second moment (Adam and its kin)", minimum=0, below=1
  )
  momentum: float = option(
    0.0, "training", "decay of the momentum (sgd, rmsprop)", minimum=0, below=1
  )
  schedule: str = option(
    "constant", "training", "a published schedule of rates and momentum", choices=PUBLISHED
  )
  schedules: str = option(
    "",
    "training",
    "how any hyper-parameter changes: field=linear:END;field=cosine:END;field=warmup:SHARE; also "
    "exponential:END, polynomial:END:POWER, warmup_cosine:SHARE:END, "
    "piecewise_constant:SHARE:FACTOR",
    added=True,
  )
  schedule_images: int | None = option(
    None,
    "training",
    "real images over which --schedules go (default: those of --steps at the start of the run)",
    positive=True,
    added=True,
  )
  ema_decay: float = option(
    0.99, "training", "decay a step of the averaged G, which draws samples", minimum=0, below=1
  )
  ema_half_life: float | None = option(
    None,
    "training",
    "half-life of the average in images, in the place of the decay; 0: the generator itself",
    minimum=0,
    added=True,
  )
  ema_ramp: float = option(
    0.05,
    "training",
    "the half-life is at most this share of the images so far; 0: no bound",
    minimum=0,
    added=True,
  )
  ema_start: int = option(
    0, "training", "update of G at which its average starts, as it is then", minimum=0, added=True
  )
  init_from: str | None = option(
    None, "training", "RUN|FILE[:generator|discriminator|both|ema] to start from", resumable=True
  )
  freeze_d: int = option(0, "training", "first layers of D, not updated", minimum=0, added=True)
  batch_size: int = option(
    64, "training", "real examples in each update, over all devices", positive=True
  )
  generator_batch_size: int | None = option(
    None,
    "training",
    "samples in G's update, over all devices (default: --batch_size)",
    positive=True,
    added=True,
  )
  accumulate: int = option(
    1,
    "training",
    "parts of a batch whose gradients are made one after the other, to save memory",
    positive=True,
    added=True,
  )
  steps: int = option(2000, "training", "G updates in all", positive=True, resumable=True)
  seed: int = option(0, "training", "everything random follows from it", minimum=0)
  parallel: str = option(
    "auto",
    "devices",
    "how local devices share a batch",
    choices=("auto", *STRATEGIES),
    resumable=True,
  )
  data_on: str = option(
    "auto",
    "devices",
    "where the data lie: a copy on each device, or host, which feeds each its share of a batch; "
    "auto: device, while that takes a quarter of its memory at most",
    choices=PLACES,
    resumable=True,
  )
  steps_per_call: int = option(
    0,
    "devices",
    "steps in one compiled call; 0 chooses: 1 on the CPU but for points",
    minimum=0,
    resumable=True,
  )
  log_every: int = option(20, "records", "steps between records", positive=True)
  sample_every: int = option(250, "records", "steps between image grids", positive=True)
  eval_every: int = option(
    0, "records", "steps between evaluations by the metrics; 0: none", minimum=0
  )
  eval_samples: int = option(
    2000, "records", "generated samples, and reference examples, in an evaluation", minimum=50
  )
  reference_split: str | None = option(
    None, "records", "data that the metrics set beside samples (default: --split)", added=True
  )
  extractor: str | None = option(
    None, "records", "of metrics: names or files, by commas (default: the data's)", resumable=True
  )
  heldout: str = option(
    "",
    "records",
    "split out of training, such as test, on which D is judged beside it (--eval_every)",
    added=True,
  )
  checkpoint_every: int = option(
    500, "records", "steps between checkpoints", positive=True, resumable=True
  )
  log: str = option(
    "", "records", "writers beside the run folder, by commas", resumable=True, added=True
  )

  def __post_init__(self):
    for name, value in vars(self).items():
      object.__setattr__(self, name, plain_number(value))
    if self.conditioning is not None:
      object.__setattr__(self, "conditional", True)


def field_types() -> dict[str, type]:
  """Returns the type of each field of Config: int for `int | None`, and so on."""
  return {field.name: type_of(field) for field in dataclasses.fields(Config)}


def default(name: str) -> Any:
  """Returns the default of a field of Config."""
  return Config.__dataclass_fields__[name].default


def images_per_step(config: Config) -> int:
  """Returns how many real examples a step sees."""
  return config.discriminator_steps * config.batch_size
