"""The import directions of the house, read off the source of every file."""

import ast
import functools
import importlib.metadata
import re
import subprocess
import sys
import tomllib

import pytest
from conftest import ROOT

# The rooms of gan/: a file imports only from its own room and from those before it.
ROOMS = [
  "errors",
  "system",
  "losses",
  "penalties",
  "networks",
  "state",
  "optimizers",
  "schedules",
  "augment",
  "regularizers",
  "models",
  "method",
  "datasets",
  "metrics",
  "training",
  "sweeps",
  "report",
  "theory",
]
# Within a room, where that helps: a file imports only from those before it.
FILES = {
  "method": [
    "lazy",
    "fields",
    "returned",
    "acting",
    "reading",
    "game",
    "examples",
    "freezing",
    "showing",
    "play",
    "objectives",
    "updates",
    "rule",
    "alternating",
    "simultaneous",
    "drifting",
    "update_rules",
    "train_step",
  ],
  "training": [
    "aliases",
    "arguments",
    "distributed",
    "pictures",
    "parallel",
    "run_format",
    "run_folder",
    "records",
    "writer",
    "to_mlflow",
    "to_tensorboard",
    "to_wandb",
    "writers",
    "places",
    "interrupts",
    "option_field",
    "config",
    "earlier",
    "checkpoint",
    "feed",
    "presets",
    "options",
    "augmentations",
    "parts",
    "plugin_entries",
    "plugins",
    "build",
    "program",
    "passed",
    "validation",
    "contents",
    "sampling",
    "exported",
    "hub",
    "restore",
    "starting",
    "judging",
    "sample_set",
    "plain_program",
    "exporting",
    "model_card",
    "measuring",
    "heldout",
    "setting",
    "run",
    "loop",
    "fit",
    "animation",
  ],
  "sweeps": [
    "contestants",
    "search",
    "spaces",
    "rungs",
    "study",
    "tpe",
    "sequential",
    "plan",
    "growing",
    "confirming",
    "reevaluation",
    "real_data",
    "trainer",
    "launcher",
    "local",
    "run_archive",
    "ray_cluster",
    "ray_launcher",
    "halving",
  ],
}
# Within a method, where the rules that it needs are built on its file.
LATE = {("gan.method.game", "gan.method.train_step")}
LEVEL = {name: level for level, name in enumerate(ROOMS)}
HEAVY = ("tensorflow", "tensorflow_datasets", "sklearn", "torch", "ray", "optuna")
HEAVY += ("tensorboardX", "wandb", "mlflow")
# Imported by gan.datasets.tfds when a set is read; its docstring says so.
IMPORTS_TFDS = "gan.datasets.builders"


def sources(package):
  return sorted((ROOT / package).rglob("*.py"))


def module_of(path):
  parts = path.relative_to(ROOT).with_suffix("").parts
  return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def names_of(path):
  """Dotted names that a file imports, or reads off a module such as `flax.linen`."""
  names = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f"{path} has a relative import"
      names |= {f"{node.module}.{alias.name}" for alias in node.names}
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
      names.add(f"{node.value.id}.{node.attr}")
  return names


def uses(path, name):
  return any(used == name or used.startswith(f"{name}.") for used in names_of(path))


def unit_of(name):
  """`gan.losses.bce.X` belongs to "losses", `gan` itself and `python -m gan` to none."""
  parts = name.split(".")
  return parts[1] if parts[0] == "gan" and len(parts) > 1 and parts[1] != "__main__" else None


def gan_imports(path):
  """Names below `gan.` in the import statements of a file."""
  tree = ast.parse(path.read_text())
  found = [
    f"{node.module}.{alias.name}"
    for node in ast.walk(tree)
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
  ]
  found += [
    alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
  ]
  return [name for name in found if name.split(".")[0] == "gan"]


def test_every_module_has_a_room():
  units = {unit_of(module_of(path)) for path in sources("gan")} - {None}
  missing = sorted(units - set(LEVEL))
  assert not missing, f"add {missing} to ROOMS, before everything that imports them"


def test_the_house_stays_small():
  files = sources("gan") + sources("experiments")
  rooms = {path.parent if path.parent != ROOT / "gan" else path for path in sources("gan")}
  assert len(rooms - {ROOT / "gan" / name for name in ("__init__.py", "__main__.py")}) <= 20
  long = {module_of(path): len(path.read_text().splitlines()) for path in files}
  assert not {name: lines for name, lines in long.items() if lines > 350}


@pytest.mark.parametrize("path", sources("gan"), ids=module_of)
def test_rooms_import_only_from_those_before_them(path):
  if (own := unit_of(module_of(path))) is None:
    return  # the front door: imports only for type checkers
  for name in gan_imports(path):
    unit = unit_of(name)
    assert unit is not None, f"{path}: import a module of gan, not gan"
    if unit != own:
      assert LEVEL[unit] < LEVEL[own], f"{own} must not import {name}"


@pytest.mark.parametrize("room", FILES)
def test_files_of_a_room_import_only_from_those_before_them(room):
  order = {f"gan.{room}.{name}": place for place, name in enumerate(FILES[room])}
  for path in sources(f"gan/{room}"):
    own = module_of(path)
    if own == f"gan.{room}":
      continue
    assert own in order, f"add {path.stem} to FILES, before everything that imports it"
    for name in gan_imports(path):
      found = next((other for other in order if name == other or name.startswith(other + ".")), own)
      fits = order[found] <= order[own] or (own, found) in LATE
      assert fits, f"{own} must not import {name}"


@pytest.mark.parametrize("path", sources("gan"), ids=module_of)
def test_gan_knows_nothing_of_experiments_and_flags(path):
  assert not uses(path, "experiments")
  assert not uses(path, "absl.flags")
  assert not uses(path, "absl.app")


@pytest.mark.parametrize("path", sources("gan"), ids=module_of)
def test_flax_linen_stays_behind_the_seam(path):
  allowed = path.name == "networks.py" or "models" in path.parts
  assert allowed or not uses(path, "flax.linen")
  assert not uses(path, "flax.training")


def test_the_seam_is_seen_by_these_tests():
  # What the tests above look for is found where it is allowed.
  assert uses(ROOT / "gan" / "networks.py", "flax.linen")
  assert uses(ROOT / "experiments" / "cli" / "command.py", "absl.flags")
  assert any(
    unit_of(name) == "errors" for name in gan_imports(ROOT / "gan" / "training" / "parallel.py")
  )


def canonical(name):
  return re.sub(r"[-_.]+", "-", name).lower()


def names_in(requirements):
  return {canonical(re.match(r"[\w.-]+", text)[0]) for text in requirements}


def foreign_imports():
  """(file, distribution, whether at the top of the file) of each import from outside."""
  distributions = importlib.metadata.packages_distributions()
  for path in (*sources("gan"), *sources("experiments")):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
      names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
      names += [node.module] if isinstance(node, ast.ImportFrom) else []
      for name in {name.split(".")[0] for name in names} - {"gan", "experiments"}:
        if name not in sys.stdlib_module_names:
          (found,) = set(distributions.get(name, [name]))
          yield path.relative_to(ROOT).as_posix(), canonical(found), node in tree.body


def test_every_import_is_a_dependency_or_guarded_by_an_extra():
  project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
  needed = names_in(project["dependencies"])
  extras = set().union(*map(names_in, project["optional-dependencies"].values())) - needed
  found = list(foreign_imports())
  assert {"jax", "pillow", "scikit-learn", "absl-py"} <= {name for _, name, _ in found}
  other = [(path, name, at_top) for path, name, at_top in found if name not in needed]
  assert {name for _, name, _ in other} <= extras
  # Of extras only what runs in a process of its own imports at the top of its file.
  networks = ("peer", "game", "networks", "resnet", "biggan", "stylegan2", "r3gan")
  own_process = {f"experiments/benchmark/torch_{name}.py" for name in networks}
  assert {path for path, _, at_top in other if at_top} == own_process


def test_importing_everything_touches_no_device_and_no_heavy_library():
  modules = [module_of(path) for path in sources("gan")]
  modules.remove(IMPORTS_TFDS)
  code = f"""
import importlib, sys
for module in {modules!r}:
  importlib.import_module(module)
heavy = [name for name in {HEAVY!r} if name in sys.modules]
assert not heavy, heavy
import jax
from jax._src import xla_bridge
assert not xla_bridge._backends, list(xla_bridge._backends)
# Raises once a backend is there: the same, by a public way.
jax.config.update("jax_num_cpu_devices", 3)
assert jax.device_count() == 3
assert xla_bridge._backends
"""
  result = subprocess.run(
    [sys.executable, "-c", code],
    cwd=ROOT,
    env={"JAX_PLATFORMS": "cpu", "PATH": "/usr/bin:/bin"},
    capture_output=True,
    text=True,
  )
  assert result.returncode == 0, result.stderr


FLAG_ROOMS = {"training", "sweeps"}  # whose messages may speak of flags, and `python -m gan`'s


@pytest.mark.parametrize(
  "path",
  [
    path
    for path in sources("gan")
    if unit_of(module_of(path)) not in FLAG_ROOMS and path.name != "__main__.py"
  ],
  ids=module_of,
)
def test_no_message_below_training_speaks_of_flags(path):
  """It names the argument, `in backquotes`, and a command shows its own flags so."""
  texts = [
    node.value
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.Constant) and isinstance(node.value, str)
  ]
  assert not [text for text in texts if re.search(r"--[a-z]", text)]
