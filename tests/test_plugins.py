"""Parts of one's own by --plugin: in every command, in resume, and what is said where they fail."""

import json
import sys

import pytest

from experiments import compare, evaluate, mnist, ring, sample, sweep
from gan.errors import UserError
from gan.report import study
from gan.training import plugins, restore
from gan.training.run_folder import read_config, read_metrics, read_summary

PARTS = """
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gan.datasets import DATASETS, Dataset
from gan.losses import LOSSES, Loss
from gan.metrics import METRICS, Metric, Value
from gan.models import MODELS, Model
from gan.models.spec import to_networks
from gan.training.presets import PRESETS


class Generator(nn.Module):
  @nn.compact
  def __call__(self, latents, labels, *, train):
    return nn.tanh(nn.Dense(64)(latents)).reshape(-1, 8, 8, 1)


class Discriminator(nn.Module):
  @nn.compact
  def __call__(self, images, labels, *, train):
    return nn.Dense(1)(images.reshape(images.shape[0], -1))[:, 0]


def noise(split, data_dir, image_size):
  draws = np.random.default_rng(["train", "test"].index(split)).integers(0, 256, (100, 8, 8, 1))
  return Dataset("noise", draws.astype(np.uint8), None, 0, "made by a plugin")


def exponential(real_logits, fake_logits):
  return jnp.exp(-real_logits / 2) + jnp.exp(fake_logits / 2)


LOSSES["exponential"] = Loss(exponential, lambda real, fake: jnp.exp(-fake / 2))
MODELS["tiny"] = Model(lambda spec: to_networks(Generator(), Discriminator(), spec))
DATASETS["noise"] = noise
METRICS["brightness"] = Metric(
  lambda data, fake, rng: {"brightness": Value(float(fake.examples.mean()))},
  {"brightness": "higher"},
  lambda data: {"brightness": (0.0, 255.0)},
  lambda data: True,
)
PRESETS["mine"] = {"model": "tiny", "loss": "exponential", "dataset": "noise"}
"""
CHOSEN = ("--dataset=noise", "--model=tiny", "--batch_size=4", "--latent_dim=2")
QUICK = (*CHOSEN, "--log_every=1", "--checkpoint_every=2", "--eval_every=0")


@pytest.fixture
def place(tmp_path, monkeypatch):
  """A folder with a plugin, which is the current one; registries are as before after the test."""
  (tmp_path / "own_parts.py").write_text(PARTS)
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
  known, registries = set(sys.modules), plugins._registries()
  before = {name: dict(registry) for name, registry in registries.items()}

  def forget():
    for name in set(sys.modules) - known:
      if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
        del sys.modules[name]
    for name, registry in registries.items():
      registry.clear()
      registry.update(before[name])
    plugins._LOADED.clear()

  yield tmp_path, forget
  forget()


def test_every_command_has_the_parts_and_later_ones_need_no_flag(place, capsys):
  folder, forget = place
  run = ["--workdir=runs/a", *QUICK, "--loss=exponential"]
  assert mnist.main(["mnist", "--plugin=own_parts", *run, "--steps=2"]) == 0
  record = read_config("runs/a")
  assert record["plugins"] == ["own_parts"] and "plugins" not in record["determining"]
  forget()
  assert mnist.main(["mnist", *run, "--steps=4"]) == 0  # it goes on
  assert [record["step"] for record in read_metrics("runs/a")] == [1, 2, 3, 4]
  assert read_config("runs/a")["plugins"] == ["own_parts"]
  forget()
  assert sample.main(["sample", "--workdir=runs/a"]) == 0
  assert (folder / "runs/a/drawn/grid.png").exists()
  forget()
  chosen = ["--workdir=runs/a", "--samples=50", "--metrics=brightness"]
  assert evaluate.main(["evaluate", *chosen]) == 0
  measured = json.loads((folder / "runs/a/evaluation.json").read_text())["metrics"]
  assert 0 < measured["brightness"]["value"] < 255
  forget()
  assert restore.load("runs/a").config.loss == "exponential"


def test_a_sweep_has_the_parts_and_goes_on_without_the_flag(place, capsys):
  folder, forget = place
  flags = ["--workdir=runs/s", *QUICK, "--losses=exponential", "--seeds=2"]
  assert sweep.main(["sweep", "--plugin=own_parts", *flags, "--steps=2"]) == 0
  forget()
  assert sweep.main(["sweep", *flags, "--steps=3"]) == 0, capsys.readouterr().err
  for seed in (0, 1):
    assert read_summary(f"runs/s/members/exponential,seed={seed}")["step"] == 3
    assert read_config(f"runs/s/members/exponential,seed={seed}")["plugins"] == ["own_parts"]
  assert json.loads((folder / "runs/s/sweep.json").read_text())["plugins"] == ["own_parts"]
  forget()
  assert compare.main(["compare", "--workdir=runs/s"]) == 0
  assert "brightness" in study.directions()


def test_a_preset_of_a_plugin_and_its_names_are_in_the_help(place, capsys):
  assert ring.main(["ring", "--plugin", "own_parts", "--help"]) == 0
  text = " ".join(capsys.readouterr().out.split())
  assert "exponential | fgan_gan" in text and "--plugin:" in text and "mine" in text
  assert "points | tiny" in text


@pytest.mark.parametrize(
  "flags",
  [
    ("--plugin=first,second",),
    ("--plugin=first", "--plugin=second"),
    ("--plugin", "first, second"),
    ("-plugin", "first", "--plugin=second,first"),
  ],
)
def test_plugins_are_separated_by_commas_or_repeated(place, capsys, flags):
  for name in ("first", "second"):
    (place[0] / f"{name}.py").write_text(
      f"from gan.losses import LOSSES\nLOSSES['{name}'] = LOSSES['sat']._replace()\n"
    )
  assert ring.main(["ring", "--loss", "second", *flags, "--help"]) == 0
  assert plugins.loaded() == ["first", "second"]


FAULTS = {
  "raising": ("x = 1\nraise ValueError('bad')", "raising.py, line 2): ValueError: bad"),
  "silent": ("raise KeyError", "silent.py, line 1): KeyError"),
  "several": ("raise ValueError('a\\nb')", "ValueError: a\\nb"),
  "leaving": ("import sys\nsys.exit(3)", "leaving.py, line 2): SystemExit: 3"),
  "unparsed": ("x = 1\ndef f(:\n", "unparsed.py, line 2): SyntaxError: invalid syntax"),
  "needing": ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'"),
  "inside": (
    "import gan.losses\ngan.losses.make_loss('nosuch')",
    "inside.py, line 2): UserError: loss 'nosuch' is unknown",
  ),
  "replacing": (
    "from gan.losses import LOSSES\nLOSSES['nonsat'] = LOSSES['sat']",
    "the plugin replacing replaces or removes LOSSES['nonsat']",
  ),
  "removing": ("from gan.models import MODELS\ndel MODELS['mlp']", "removes MODELS['mlp']"),
  "comma": (
    "from gan.losses import LOSSES\nLOSSES['a,b'] = LOSSES['sat']",
    "LOSSES['a,b']: a name",
  ),
  "function": (
    "from gan.losses import LOSSES\nLOSSES['own'] = lambda real, fake: real",
    "adds a function as LOSSES['own'], where a gan.losses.base.Loss belongs",
  ),
  "text": (
    "from gan.datasets import DATASETS\nDATASETS['own'] = 'here'",
    "adds a str as DATASETS['own'], where a function (split, data_dir, image_size) -> Dataset",
  ),
  "fields": (
    "from gan.training.presets import PRESETS\nPRESETS['own'] = {'nosuch': 1}",
    "a dict of fields of Config (and not nosuch) belongs",
  ),
  "json": ("", "json/__init__.py, which is found before"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_plugin_that_cannot_be_used_is_one_line(place, capsys, name):
  source, message = FAULTS[name]
  (place[0] / f"{name}.py").write_text(source)
  assert ring.main(["ring", f"--plugin={name}", "--workdir=run"]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("error: ") and message in line and name in line
  assert not (place[0] / "run").exists() and name not in plugins.loaded()


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ("nowhere", "there is no module nowhere, which is asked for as a plugin"),
    ("own_parts,nowhere", "there is no module nowhere"),
    ("nowhere.below", "there is no module nowhere.below"),
    (
      "own_parts.py",
      "'own_parts.py' names no plugin: give the name of a module, as in `import own",
    ),
    ("./own_parts.py", "as in `import own_parts`"),
    ("", "'' names no plugin"),
    ("own_parts,", "'' names no plugin"),
    ("own parts", "'own parts' names no plugin"),
  ],
)
@pytest.mark.parametrize("main", [ring.main, sweep.main, sample.main, evaluate.main, compare.main])
def test_a_plugin_that_is_not_there_is_one_line_in_every_command(
  place, capsys, main, given, message
):
  assert main(["command", f"--plugin={given}"]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("error: ") and message in line


def test_a_run_says_which_plugin_it_lacks_and_what_gives_it(place, capsys, monkeypatch):
  folder, forget = place
  line = ["--workdir=a", *QUICK, "--loss=exponential", "--steps=1"]
  assert mnist.main(["mnist", "--plugin=own_parts", *line]) == 0
  forget()
  (folder / "own_parts.py").rename(folder / "renamed_parts.py")
  for main in (mnist.main, sample.main, evaluate.main):
    capsys.readouterr()
    assert main(["command", *(line if main is mnist.main else ["--workdir=a"])]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "a needs the plugin own_parts" in said
    assert "PYTHONPATH" in said and "--plugin" in said
  with pytest.raises(UserError, match="a needs the plugin own_parts"):
    restore.load("a")
  # What it says gives it: another module that has the parts, or the folder of this one.
  assert sample.main(["sample", "--workdir=a", "--plugin=renamed_parts"]) == 0
  forget()
  (folder / "elsewhere").mkdir()
  (folder / "renamed_parts.py").rename(folder / "elsewhere" / "own_parts.py")
  monkeypatch.syspath_prepend(folder / "elsewhere")
  assert sample.main(["sample", "--workdir=a"]) == 0


def test_a_comparison_needs_no_plugin(place, capsys):
  folder, forget = place
  flags = ["--workdir=s", *QUICK, "--losses=exponential", "--seeds=1", "--steps=1"]
  assert sweep.main(["sweep", "--plugin=own_parts", *flags]) == 0
  forget()
  (folder / "own_parts.py").unlink()
  capsys.readouterr()
  assert compare.main(["compare", "--workdir=s"]) == 0
  assert "needs the plugin own_parts" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{", '{"plugins": 3}', "[]", '{"plugins": ["a", 1]}'])
def test_a_damaged_record_is_left_to_who_opens_it(tmp_path, content):
  (tmp_path / "config.json").write_text(content)
  assert plugins.recorded(tmp_path) == []


def test_the_current_folder_is_looked_through_last(place):
  folder, _ = place
  (folder / "experiments").mkdir()
  (folder / "experiments" / "__init__.py").write_text("raise SystemExit('the wrong one')")
  assert ring.main(["ring", "--plugin=own_parts", "--help"]) == 0
  assert sys.path[-1] == str(folder)
