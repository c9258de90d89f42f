"""Parts of one's own by --plugin: in every command, in resume, and what is said where they fail."""

import json
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT
from plugin_parts import PARTS

from experiments import compare, evaluate, mnist, ring, sample, sweep
from gan.augment import instance_noise
from gan.errors import UserError
from gan.losses import LOSSES
from gan.report import study
from gan.training import plugins, restore
from gan.training.build import DataInfo, build_game, hyperparameters
from gan.training.config import Config
from gan.training.options import value, with_values
from gan.training.parts import identity
from gan.training.run_folder import EVALUATIONS, read_config, read_metrics, read_summary
from gan.training.validation import validate

CHOSEN = ("--dataset=noise", "--model=tiny", "--batch_size=4", "--latent_dim=2")
(ONE_OF_EACH,) = re.findall(
  r"^```python\n(# one_of_each\.py\n.*?)^```$", (ROOT / "docs/python.md").read_text(), re.S | re.M
)
QUICK = (*CHOSEN, "--log_every=1", "--checkpoint_every=2", "--eval_every=0")


@pytest.fixture
def place(tmp_path, monkeypatch):
  """A folder with a plugin, which is the current one; registries are as before after the test."""
  (tmp_path / "own_parts.py").write_text(PARTS)
  (tmp_path / "one_of_each.py").write_text(ONE_OF_EACH)
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
  assert study.in_order(["brightness"]) == ["brightness"]


def test_a_preset_of_a_plugin_and_its_names_are_in_the_help(place, capsys):
  assert ring.main(["ring", "--plugin", "own_parts", "--help"]) == 0
  text = " ".join(capsys.readouterr().out.split())
  assert "exponential | fgan_gan" in text and "--plugin:" in text and "mine" in text
  assert re.search(r"points \|[ |a-z0-9_]* \| tiny", text)


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


ENTRIES = "from gan.regularizers import REGULARIZERS as R, Entry\n"
FAULTS = {
  "raising": ("x = 1\nraise ValueError('bad')", "raising.py, line 2): ValueError: bad"),
  "silent": ("raise KeyError", "silent.py, line 1): KeyError"),
  "several": ("raise ValueError('a\\nb')", "several.py, line 1): ValueError: a b"),
  "unsaid": ("raise SyntaxError", "unsaid.py, line 1): SyntaxError"),
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
  "untaken": (
    f"{ENTRIES}R['own'] = Entry(lambda: None, 1.0, '', '', options=('power',))",
    "adds REGULARIZERS['own'], whose make must take its option power by name",
  ),
  "undecided": (
    f"{ENTRIES}R['own'] = Entry(lambda *, power: None, 1.0, '', '', options=('power',))",
    "whose option power needs a default for the type of its flag",
  ),
  "typed": (
    f"{ENTRIES}R['own'] = Entry(lambda *, latent_dim='2': None, 1.0, '', '', ('latent_dim',))",
    "whose option latent_dim is of another type than the one of that name, int",
  ),
  "weighty": (
    f"{ENTRIES}R['penalty'] = Entry(lambda: None, 1.0, '', '')",
    "REGULARIZERS['penalty'], whose weight, penalty_weight, is another option",
  ),
  "spelled": (
    f"{ENTRIES}R['own'] = Entry(lambda *, power=1.0: None, 1.0, '', '', options=('power'))",
    "whose options are 'power' where a tuple of names belongs",
  ),
  "numbered": (
    f"{ENTRIES}R['own'] = Entry(3, 1.0, '', '')",
    "REGULARIZERS['own'], whose make is no function",
  ),
  "divided": (
    f"{ENTRIES}R['one'] = Entry(lambda *, power=1.0: None, 1.0, '', '', options=('power',))\n"
    "R['two'] = Entry(lambda *, power=2.0: None, 1.0, '', '', options=('power',))",
    "whose option power has another default than the one elsewhere",
  ),
  "endless": (
    f"{ENTRIES}R['own'] = Entry(lambda *, power=float('nan'): 0, 1.0, '', '', options=('power',))",
    "whose option power has a default that is no finite number",
  ),
  "weighing": (
    f"{ENTRIES}R['own'] = Entry(lambda *, own_weight=1.0: None, 1.0, '', '', ('own_weight',))",
    "REGULARIZERS['own'], whose weight, own_weight, is another option",
  ),
  "lending": (
    f"{ENTRIES}R['own'] = Entry(lambda: None, 1.0, '', '')\n"
    "from gan.augment import AUGMENTATIONS as A, Entry\n"
    "A['own'] = Entry(lambda *, own_weight=1.0: None, '', '', ('own_weight',))",
    "AUGMENTATIONS['own'], whose option own_weight is the weight of a regulariser",
  ),
  "shadowed": (
    "from gan.losses import LOSSES\nLOSSES['minimax'] = LOSSES['sat']._replace()",
    "adds LOSSES['minimax'], which is another name of sat: give it another name",
  ),
  "spelling": (
    "from gan.schedules import SCHEDULES\nSCHEDULES['cosine_decay_schedule'] = SCHEDULES['cosine']",
    "adds SCHEDULES['cosine_decay_schedule'], which is another name of cosine",
  ),
  "needless": (
    "from gan.losses import LOSSES\nLOSSES['o'] = LOSSES['sat']._replace(needs=('featurs',))",
    "LOSSES['o'], whose needs are ('featurs',) where a tuple of fields of gan.Outputs (logits, cla",
  ),
  "upwards": (
    "from gan.metrics import METRICS as M\n"
    "M['o'] = next(iter(M.values()))._replace(better={'o': 'floor'})",
    "METRICS['o'], whose `better` has 'floor' where one of ('lower', 'higher', 'reference')",
  ),
  "strong": (
    "from gan.augment import AUGMENTATIONS, Entry\n"
    "AUGMENTATIONS['o'] = Entry(lambda: None, '', '', strength='blur')",
    "AUGMENTATIONS['o'], whose strength 'blur' is no field of gan.Config",
  ),
  "behind": (
    "from gan.augment import AUGMENTATIONS as A, Entry\nA['cutout'] = Entry(lambda: None, '', '')",
    "AUGMENTATIONS['cutout'], which diffaugment takes behind its colon: give it another name",
  ),
  "taking": (
    "from gan.augment import AUGMENTATIONS as A, Entry\n"
    "A['o'] = Entry(lambda *, of='': None, '', '', argument='of', choices=('mirror',))",
    "AUGMENTATIONS['o'], which takes mirror behind its colon, the name of another: give that",
  ),
  "untyped": (
    "from gan.augment import AUGMENTATIONS as A, Entry\n"
    "A['o'] = Entry(lambda: None, '', '', argument='of')",
    "AUGMENTATIONS['o'], whose make must take of, what is typed behind its colon, by name",
  ),
  "falling": (
    "from gan.augment import AUGMENTATIONS, Entry\n"
    "AUGMENTATIONS['o'] = Entry(lambda: None, '', '', strength='instance_noise', steps='mine')",
    "AUGMENTATIONS['o'], whose steps 'mine' is no field of gan.Config",
  ),
  "measuring": (
    f"{ENTRIES}R['own'] = Entry(lambda: None, 1.0, '', '', metrics={{'generator_loss': ''}})",
    "REGULARIZERS['own'], whose metrics generator_loss must begin with its name",
  ),
  "needing_text": (
    "from gan.losses import LOSSES\nLOSSES['o'] = LOSSES['sat']._replace(needs='features')",
    "whose needs are 'features' where a tuple of fields of gan.Outputs",
  ),
  "flagged": (
    f"{ENTRIES}R['own'] = Entry(lambda *, workdir='': None, 1.0, '', '', options=('workdir',))",
    "has an option workdir, and --workdir is another flag here",
  ),
}
# Functions of entries that cannot be called as they are.
UNCALLED = {
  "gan.augment.AUGMENTATIONS": ("Entry(lambda x: 0, '', '')", "whose make must take ()"),
  "gan.losses.LOSSES": ("Loss(lambda r, f: r, lambda f: f)", "whose generator must take (real, f"),
  "gan.metrics.METRICS": ("Metric(3, {}, dict, bool)", "whose function must take (data, fake, rng"),
  "gan.models.MODELS": ("Model(lambda: 0)", "whose build must take (spec)"),
  "gan.optimizers.OPTIMIZERS": ("Entry(lambda: 0, ())", "whose make must take (learning_rate)"),
  "gan.penalties.PENALTIES": (
    "Penalty(lambda critic, real, fake: 0, 1.0, '', '')",
    "whose function must take (critic, real, fake, keys), and nothing else but options by name",
  ),
  "gan.schedules.SCHEDULES": ("Entry(lambda: 0, ('END',))", "whose make must take (END)"),
}
FAULTS |= {
  f"uncalled_{place.split('.')[1]}": (
    f"import {module}\n{place}['own'] = {module}.{entry}",
    f"{place.split('.')[2]}['own'], {message}",
  )
  for place, (entry, message) in UNCALLED.items()
  for module in [place.rpartition(".")[0]]
}
FAULTS["unlabelled"] = (
  "from gan.losses import LOSSES\n"
  "LOSSES['own'] = LOSSES['sat']._replace(generator=lambda real, fake: -fake)",
  "whose discriminator, generator, threshold must take its option real_label by name",
)
FAULTS["unmoving"] = (
  "import optax\nfrom gan import optimizers\n"
  "optimizers.OPTIMIZERS['own'] = optimizers.Entry(lambda learning_rate: optax.sgd(1), ('b1',))",
  "whose make must take its option b1 by name",
)
FAULTS["uncalled_sets"] = (
  "from gan.datasets import DATASETS\nDATASETS['own'] = lambda split: 0",
  "adds DATASETS['own'], which must take (split, data_dir, image_size)",
)


@pytest.mark.parametrize("name", FAULTS)
def test_a_plugin_that_cannot_be_used_is_one_line(place, capsys, name, unchecked):
  source, message = FAULTS[name]
  (place[0] / f"{name}.py").write_text(source)
  assert ring.main(["ring", f"--plugin={name}", "--workdir=run"]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("error: ") and message in line
  # A flag of the same name is one command's.
  if name != "flagged":
    assert name in line and name not in plugins.loaded()
  assert not (place[0] / "run").exists()


def test_a_package_of_this_folder_is_not_taken_for_an_installed_one(place, capsys):
  (place[0] / "absl").mkdir()
  (place[0] / "absl" / "__init__.py").write_text("")
  assert ring.main(["ring", "--plugin=absl", "--workdir=run"]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert f"which is found before {place[0] / 'absl' / '__init__.py'}" in line


WRONG = """
import numpy as np
from gan import datasets
from gan import augment, losses, models, regularizers, schedules
from gan.method import update_rules
losses.LOSSES["featured"] = losses.LOSSES["sat"]._replace(needs=("features", "residual"))
augment.AUGMENTATIONS["three"] = augment.Entry(lambda: 3, "", "")
models.MODELS["nothing"] = models.Model(lambda spec: None)
regularizers.REGULARIZERS["text"] = regularizers.Entry(lambda: "none", 1.0, "", "")
regularizers.REGULARIZERS["typo"] = regularizers.Entry(
  lambda: regularizers.Regularizer(needs=("featurs",)), 1.0, "", ""
)
schedules.SCHEDULES["number"] = schedules.Entry(lambda end: end, ("END",))
schedules.SCHEDULES["empty"] = schedules.Entry(lambda end: lambda start, progress: None, ("END",))
update_rules.UPDATE_RULES["rule"] = update_rules.Entry(lambda: "no rule", "", "")
datasets.DATASETS["labels"] = lambda *_: datasets.Dataset(
  "labels", np.zeros((6, 8, 8, 1), np.uint8), np.arange(6), 3, ""
)
datasets.DATASETS["nan"] = lambda *_: datasets.Dataset(
  "nan", np.full((6, 2), np.nan, np.float32), None, 0, ""
)
"""


@pytest.mark.parametrize(
  ("flag", "message"),
  [
    ("--dataset=labels", "DATASETS['labels'] returned label 5, and num_classes=3"),
    ("--dataset=nan", "DATASETS['nan'] returned images float32 [6, 2]: it must return uint8"),
    ("--augment=three", "AUGMENTATIONS['three'] of a plugin returns int, where a gan.Augmentation"),
    ("--model=nothing", "MODELS['nothing'] of a plugin returns NoneType, where a pair of gan.Netw"),
    ("--regularizers=text", "REGULARIZERS['text'] of a plugin returns str, where a gan.Regulariz"),
    ("--regularizers=typo", "whose needs are a tuple of fields of gan.Outputs (logits, class_logi"),
    ("--schedules=b1=number:0", "SCHEDULES['number'] of a plugin returns float, where a function"),
    ("--schedules=b1=empty:0", "a schedule of SCHEDULES['empty'] of a plugin returns NoneType, "),
    ("--update_rule=rule", "UPDATE_RULES['rule'] of a plugin returns str, where a gan.UpdateRule"),
    (
      "--loss=featured",
      "no model does; a Model(build, outputs=('logits', 'features', 'residual')) of a plugin",
    ),
    ("--update_rule=simultaneous", "alternating, alternating_generator_first, unrolled, look"),
  ],
)
def test_an_entry_that_makes_something_else_is_one_line(place, capsys, flag, message):
  (place[0] / "wrong.py").write_text(WRONG)
  line = ["ring", "--plugin=wrong", "--workdir=run", flag, "--steps=1", "--batch_size=4"]
  assert ring.main([*line, "--discriminator_steps=2"]) == 2
  *_, line = (said := capsys.readouterr().err).splitlines()
  assert line.startswith("error: ") and message in line and "Traceback" not in said


FAILING = """
import jax, sys, jax.numpy as jnp
from gan import datasets, losses, regularizers

def fail(*args, **options):
  raise ValueError("not today\\nand not tomorrow")

losses.LOSSES["raises"] = losses.LOSSES["hinge"]._replace(generator=lambda real, fake: 1 // 0)
losses.LOSSES["exits"] = losses.LOSSES["hinge"]._replace(generator=lambda real, fake: sys.exit(0))
losses.LOSSES["shapes"] = losses.LOSSES["hinge"]._replace(
  generator=lambda real, fake: real + jnp.ones(3)
)
regularizers.REGULARIZERS["fails"] = regularizers.Entry(lambda: fail(), 1.0, "", "")

def call_back(real, fake):
  return jax.pure_callback(fail, jax.ShapeDtypeStruct((), jnp.float32), jax.lax.stop_gradient(fake))

losses.LOSSES["calls"] = losses.LOSSES["hinge"]._replace(generator=call_back)
datasets.DATASETS["fails"] = lambda split, data_dir, image_size: fail()

def debugged(real, fake):
  jax.debug.callback(fail, fake)
  return -fake

losses.LOSSES["debugged"] = losses.LOSSES["hinge"]._replace(generator=debugged)
"""


@pytest.mark.parametrize(
  ("flag", "message"),
  [
    ("--loss=raises", "line 8): ZeroDivisionError: integer division or modulo by zero"),
    ("--loss=exits", "line 9): SystemExit: 0"),
    ("--loss=shapes", "line 11): TypeError: add got incompatible shapes"),
    ("--regularizers=fails", "line 6): ValueError: not today and not tomorrow"),
    ("--loss=calls", "line 6): ValueError: not today and not tomorrow"),
    ("--loss=debugged", "line 6): ValueError: not today and not tomorrow"),
    ("--dataset=fails", "line 6): ValueError: not today"),
  ],
)
def test_what_a_part_raises_is_one_line_with_its_place(place, capsys, caplog, flag, message):
  (place[0] / "failing.py").write_text(FAILING)
  line = ["ring", "--plugin=failing", "--workdir=run", flag, "--steps=1", "--batch_size=4"]
  assert ring.main(line) == 2
  *_, line = (said := capsys.readouterr().err).splitlines()
  assert line.startswith(f"error: the plugin failing failed ({place[0] / 'failing.py'}, ")
  assert message in line
  assert "Traceback" not in said
  assert not [record for record in caplog.records if record.name.startswith("jax")]


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
    ("os", "--plugin=os names a module of Python's own, which adds no parts: name one of yours"),
    ("gan", "--plugin=gan names a module of this library's own"),
    ("experiments", "--plugin=experiments names a module of this library's own"),
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
  monkeypatch.setattr(sys, "path", [str(folder / "elsewhere"), *sys.path])
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


# With a part of each kind and an option of each part.
EACH = ["--preset=mine", "--dataset=noise", "--batch_size=4", "--latent_dim=2", "--log_every=1"]
EACH += ["--checkpoint_every=2", "--eval_every=2", "--eval_samples=50", "--sample_every=50"]
PARTED = ["--penalty=slope", "--augment=flip", "--instance_noise=0.1", "--update_rule=twice"]
PARTED += [
  "--optimizer=sign",
  "--small_logits_weight=0.5",
  "--small_logits_power=1.5",
  "--flip_share=0.25",
]
PARTED += ["--rounds=1", "--sign_clip=0.5", "--units=4", "--schedules=small_logits_weight=halved"]
OPTIONS = {"margin": 2.0, "small_logits_weight": 0.5, "small_logits_power": 1.5, "flip_share": 0.25}
OPTIONS |= {"rounds": 1, "sign_clip": 0.5, "units": 4}


def test_the_plugin_of_the_page_goes_through_every_command(place, capsys):
  folder, forget = place
  run = ["--workdir=a", *EACH, *PARTED]
  assert mnist.main(["mnist", "--plugin=one_of_each", *run, "--steps=2"]) == 0
  known_by = read_config("a")["determining"]
  assert {name: known_by[name] for name in OPTIONS} == OPTIONS and "options" not in known_by
  forget()
  assert mnist.main(["mnist", *run, "--steps=4"]) == 0, capsys.readouterr().err
  records = read_metrics("a")
  assert [record["step"] for record in records] == [1, 2, 3, 4]
  assert all(record["small_logits"] > 0 and record["penalty"] > 0 for record in records)
  forget()
  assert mnist.main(["mnist", "--workdir=a", *EACH, *PARTED, "--units=8", "--steps=6"]) == 2
  assert "units" in capsys.readouterr().err  # another run
  forget()
  assert sample.main(["sample", "--workdir=a"]) == 0
  forget()
  chosen = ["--workdir=a", "--samples=50", "--metrics=brightness"]
  assert evaluate.main(["evaluate", *chosen]) == 0
  forget()
  loaded = restore.load("a")
  assert {name: value(loaded.config, name) for name in OPTIONS} == OPTIONS
  assert loaded.sample(3, jax.random.key(0)).shape == (3, 8, 8, 1)


MEASURES = """
from gan.metrics import METRICS, Metric, Value

def add(name, function, **fields):
  METRICS[name] = Metric(function, {name: "higher"}, lambda data: {}, lambda data: True, **fields)

def broken(data, fake, rng):
  raise ValueError("my metric broke")

add("fine", lambda data, fake, rng: {"fine": Value(fake.examples.mean())})
add("slow", lambda data, fake, rng: {"slow": Value(0.5)}, resample=False, quick=False)
add("broken", broken)
add("number", lambda data, fake, rng: {"number": 0.5})
add("other", lambda data, fake, rng: {"another": Value(0.5)})
"""
UNHAD = {
  "broken": "broken: ValueError: my metric broke (",
  "number": "METRICS['number'] of a plugin returns dict, where a dict with a gan.metrics.Value of",
  "other": "a gan.metrics.Value of each of its numbers (other) belongs: correct the plugin",
}


def test_metrics_of_a_plugin_are_measured_in_training_and_those_that_fail_left_out(place, capsys):
  (place[0] / "measures.py").write_text(MEASURES)
  line = [*CHOSEN, "--workdir=a", "--steps=2", "--eval_every=2", "--eval_samples=50"]
  assert mnist.main(["mnist", "--plugin=own_parts,measures", *line]) == 0
  said = capsys.readouterr().err
  assert all(f"Left out, {name}: " in said for name in UNHAD)
  (record,) = read_metrics("a", EVALUATIONS)
  assert record.keys() & {"brightness", "fine", "slow", *UNHAD} == {"brightness", "fine"}
  assert read_summary("a")["evaluation"]["fine"]["best"] == [2, record["fine"]]
  capsys.readouterr()
  assert evaluate.main(["evaluate", "--workdir=a", "--samples=50"]) == 0
  said = capsys.readouterr().err
  assert all(message in said for message in UNHAD.values())
  measured = json.loads((place[0] / "a/evaluation.json").read_text())["metrics"]
  assert measured["slow"]["value"] == 0.5 and "fine" in measured and not measured.keys() & UNHAD
  for name, message in UNHAD.items():
    assert evaluate.main(["evaluate", "--workdir=a", "--samples=50", f"--metrics={name}"]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_a_sweep_goes_over_options_of_a_plugin_and_weights_share_a_program(place, capsys):
  folder, forget = place
  grid = "--grid=small_logits_weight=0.1,1;margin=1,2"
  line = ["--workdir=s", *EACH, "--losses=margin", "--seeds=1", grid]
  assert sweep.main(["sweep", "--plugin=one_of_each", *line, "--steps=2"]) == 0
  assert "4 runs, 2 programs" in capsys.readouterr().out
  forget()
  assert sweep.main(["sweep", *line, "--steps=3"]) == 0, capsys.readouterr().err
  for weight in (0.1, 1.0):
    folder_of = f"s/members/margin,small_logits_weight={weight},margin=2.0,seed=0"
    assert read_summary(folder_of)["step"] == 3
    known_by = read_config(folder_of)["determining"]
    assert known_by["small_logits_weight"] == weight and known_by["margin"] == 2.0
  forget()
  assert compare.main(["compare", "--workdir=s"]) == 0


def test_a_run_of_such_a_sweep_is_that_run_alone(place, capsys):
  line = [*EACH, "--steps=2"]
  both = ["--losses=margin", "--seeds=1", "--grid=small_logits_weight=0.1,1"]
  assert sweep.main(["sweep", "--plugin=one_of_each", "--workdir=s", *line, *both]) == 0
  alone = ["--workdir=a", *line, "--loss=margin", "--small_logits_weight=1"]
  assert mnist.main(["mnist", *alone]) == 0, capsys.readouterr().err
  swept, own = (
    read_metrics(folder) for folder in ("s/members/margin,small_logits_weight=1.0,seed=0", "a")
  )
  for name in ("discriminator_loss", "small_logits", "generator_loss"):
    np.testing.assert_allclose(
      [record[name] for record in swept], [record[name] for record in own], rtol=1e-5
    )
  assert identity(restore.load("a").config)["small_logits_weight"] == 1.0


@pytest.fixture
def parts(place):
  sys.path.append(str(place[0]))
  plugins.load(["one_of_each"])


def test_options_reach_what_they_are_of(parts):
  base = Config(loss="margin", model="tiny", regularizers="small_logits", augment="flip")
  config = with_values(
    base, {"margin": 3.0, "small_logits_weight": 0.5, "flip_share": 1.0, "units": 4}
  )
  validate(config)
  assert config.options == "flip_share=1.0;margin=3.0;small_logits_weight=0.5;units=4"
  assert float(hyperparameters(config).get("small_logits_weight")) == 0.5
  game = build_game(config, DataInfo((8, 8, 1), 0, 100, None))
  zeros = np.zeros(2, np.float32)
  np.testing.assert_array_equal(game.loss.discriminator(zeros, zeros), [6.0, 6.0])
  state = game.init(jax.random.key(0), hyperparameters(config))
  assert state.generator.params["Dense_1"]["kernel"].shape == (64, 4)
  images, keys = _images()
  np.testing.assert_array_equal(game.augment.apply(images, keys, state), images[:, :, ::-1])
  default = build_game(base, DataInfo((8, 8, 1), 0, 100, None))
  np.testing.assert_array_equal(default.loss.discriminator(zeros, zeros), [2.0, 2.0])


def _images():
  images = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)
  return jnp.asarray(images), jax.random.split(jax.random.key(1), 3)


def test_instance_noise_comes_after_the_augmentations_that_are_named(parts):
  config = with_values(
    Config(model="tiny", augment="flip", instance_noise=0.5), {"flip_share": 1.0}
  )
  validate(config)
  game = build_game(config, DataInfo((8, 8, 1), 0, 100, None))
  state, (images, keys) = game.init(jax.random.key(0), hyperparameters(config)), _images()
  second = jax.vmap(jax.random.fold_in, (0, None))(keys, 1)
  expected = instance_noise(images[:, :, ::-1], jnp.float32(0.5), second)
  np.testing.assert_array_equal(game.augment.apply(images, keys, state), expected)


def test_a_weight_alone_names_its_regulariser_and_a_default_is_not_kept(parts):
  named = with_values(Config(), {"small_logits_weight": 0.5, "small_logits_power": 2.0})
  assert named.options == "small_logits_weight=0.5"
  assert hyperparameters(named).regularizer_weights == {"small_logits": 0.5}
  assert hyperparameters(Config()).regularizer_weights == {}
  off = with_values(Config(), {"small_logits_weight": 0.0})
  validate(off)
  assert hyperparameters(off).regularizer_weights == {}


@pytest.mark.parametrize(
  ("flags", "message"),
  [
    (
      ["--small_logits_power=3"],
      "--small_logits_power has no meaning for --regularizers=; it is for small_logits",
    ),
    (
      ["--regularizers=lecam", "--small_logits_weight=1"],
      "--small_logits_weight has no meaning for --regular",
    ),
    (
      ["--regularizers=small_logits", "--small_logits_weight=0"],
      "--small_logits_weight=0 turns off what --regular",
    ),
    (
      ["--regularizers=nosuch"],
      "--regularizers=nosuch is unknown: choose from acgan, ",
    ),
    (["--small_logits_weight=-1"], "--small_logits_weight=-1.0 must be at least 0"),
    (["--small_logits_power=x"], "small_logits_power"),
    (["--small_logits_weight=inf"], "must be a finite number"),
    (["--units=3"], "--units has no meaning for --model=points; it is for tiny"),
    (["--augment=nosuch"], "--augment=nosuch is unknown: choose from ada, "),
    (["--augment=flip,instance_noise"], "--augment=instance_noise is chosen by --instance_noise"),
    (["--flip_share=0.1"], "--flip_share has no meaning for --augment="),
    (["--options=nosuch=1"], "--options: no part has an option 'nosuch': choose from acgan_fakes"),
    (["--options=margin"], "--options: 'margin' must be name=value"),
    (["--options=margin=1;margin=2"], "each name once"),
    (["--options=margin=wide"], "--options: margin=wide must be of type float"),
    (
      ["--schedules=small_logits_weight=linear:0"],
      "'small_logits_weight' is no number that a step of this run",
    ),
  ],
)
def test_an_option_that_cannot_be_is_one_line(place, capsys, flags, message):
  assert ring.main(["ring", "--plugin=one_of_each", *flags, "--workdir=run"]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert message in line and not (place[0] / "run").exists()


def test_options_of_plugins_are_in_the_help_beside_their_kind(place, capsys):
  assert ring.main(["ring", "--help"]) == 0
  assert "small_logits" not in capsys.readouterr().out
  assert ring.main(["ring", "--plugin=one_of_each", "--help"]) == 0
  loss = capsys.readouterr().out.split("\nloss:\n")[1].split("\ntraining:\n")[0]
  assert (
    "--small_logits_power: power of the logits of data (--regularizers=small_logits) (default: 2.0)"
    in loss
  )
  assert (
    "--small_logits_weight: weight of the regulariser small_logits (named: 0.001; else off)" in loss
  )


def test_a_plugin_whose_code_has_changed_is_said(place, monkeypatch, capsys):
  code = """
from gan import losses
losses.LOSSES["own"] = losses.LOSSES["hinge"]._replace(generator=lambda real, fake: -1.0 * fake)
"""

  def write(text):
    (place[0] / "changing.py").write_text(text)
    monkeypatch.delitem(sys.modules, "changing", raising=False)
    LOSSES.pop("own", None)
    plugins._LOADED.clear()

  def train(steps):
    flags = "--plugin=changing --loss=own --workdir=run --batch_size=4 --eval_every=0"
    assert ring.main(["ring", *flags.split(), f"--steps={steps}"]) == 0
    return capsys.readouterr().err

  line = "The code of the plugin changing has changed since the run was trained"
  write(code)
  assert line not in train(1) and line not in train(2)
  write(code.replace("-1.0", "-2.0"))
  assert sample.main(["sample", "--workdir=run"]) == 0
  assert line in capsys.readouterr().err
  assert line in train(3) and line not in train(4)
