"""Any loss with any penalty: a smoke matrix, as a user would run it."""

import pytest

from experiments import mnist
from gan.losses import of_logits
from gan.penalties import PENALTIES
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
