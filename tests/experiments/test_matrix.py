"""Any loss with any penalty, any other part with any network: as a user would run them."""

import pytest

from experiments import mnist
from gan.augment import AUGMENTATIONS
from gan.losses import LOSSES, of_logits
from gan.method.update_rules import UPDATE_RULES
from gan.penalties import PENALTIES
from gan.regularizers import REGULARIZERS
from gan.training.run_folder import read_metrics, read_summary

FLAGS = ("--dataset=digits", "--split=train[:40]", "--steps=3", "--batch_size=4", "--log_every=1")
FLAGS += ("--eval_every=0",)


@pytest.mark.slow
@pytest.mark.parametrize("model", [("mlp",), ("dcgan", "--width=4")], ids=lambda model: model[0])
@pytest.mark.parametrize("penalty", sorted(PENALTIES))
@pytest.mark.parametrize("loss", sorted(of_logits()))
def test_every_loss_trains_with_every_penalty(tmp_path, loss, penalty, model):
  name, *sizes = model
  flags = [f"--model={name}", *sizes, f"--loss={loss}", f"--penalty={penalty}", *FLAGS]
  assert mnist.main(["mnist", f"--workdir={tmp_path}", *flags, "--parallel=none"]) == 0
  assert read_summary(tmp_path)["status"] == "finished"
  assert len(read_metrics(tmp_path)) == 3
  assert ("penalty" in read_metrics(tmp_path)[-1]) == (penalty != "none")


NETWORKS = {"mlp": (), "dcgan": ("--width=4",), "resnet": ("--width=4",)}
# Flags that a part is used with, in the place of its name alone.
USED_WITH = {
  "acgan": ("--regularizers=acgan", "--conditioning=acgan"),
  "multi_hinge": ("--regularizers=multi_hinge", "--conditioning=acgan"),
  "transport": ("--regularizers=transport", "--latent_dim=784"),
  "ada": ("--augment=ada:bgcfnc", "--augment_control=ada"),
  "instance_noise": ("--instance_noise=0.1",),
}
# What a network that does not fit is told.
REFUSED = {
  ("acgan", "mlp"): "conditioning=acgan is not one of --model=mlp",
  ("acgan", "dcgan"): "conditioning=acgan is not one of --model=dcgan",
  ("multi_hinge", "mlp"): "conditioning=acgan is not one of --model=mlp",
  ("multi_hinge", "dcgan"): "conditioning=acgan is not one of --model=dcgan",
  **{("path_length", name): "generator with a mapping network" for name in NETWORKS},
  **{(loss, name): "needs residual" for loss in ("began", "ebgan") for name in NETWORKS},
}
PARTS = {
  **{name: (f"--loss={name}",) for name in sorted(LOSSES)},
  **{name: (f"--penalty={name}",) for name in sorted(PENALTIES)},
  **{name: (f"--regularizers={name}",) for name in sorted(REGULARIZERS)},
  **{name: (f"--augment={name}",) for name in sorted(AUGMENTATIONS)},
  **{name: (f"--update_rule={name}",) for name in sorted(UPDATE_RULES)},
  **USED_WITH,
}


@pytest.mark.slow
@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("part", PARTS)
def test_every_part_trains_with_every_network_or_is_refused_in_a_line(
  tmp_path, part, model, capsys
):
  flags = [f"--model={model}", *NETWORKS[model], *PARTS[part], *FLAGS, "--parallel=none"]
  code = mnist.main(["mnist", f"--workdir={tmp_path}", *flags])
  if (part, model) in REFUSED:
    *notes, line = capsys.readouterr().err.splitlines()
    assert code == 2 and line.startswith("error: ") and REFUSED[part, model] in line
    assert not any(note.startswith(("error", "Traceback")) for note in notes)
  else:
    assert code == 0 and len(read_metrics(tmp_path)) == 3
