"""What is neither a loss nor a gradient penalty: further terms, what acts on a step, by name."""

from gan.regularizers.acgan import make_acgan
from gan.regularizers.ada import make_ada
from gan.regularizers.apa import make_apa
from gan.regularizers.base import Entry, Regularizer, View
from gan.regularizers.centering import make_centering, make_drift
from gan.regularizers.consistency import (
  flip_and_shift,
  inconsistency,
  make_bcr,
  make_cr,
  make_zcr,
)
from gan.regularizers.gradient_norm import make_gradient_norm
from gan.regularizers.lecam import lecam, lecam_averages, make_lecam
from gan.regularizers.multi_hinge import make_multi_hinge, margin_loss
from gan.regularizers.orthogonal import make_orthogonal, orthogonality
from gan.regularizers.path_length import make_path_length, path_lengths
from gan.regularizers.sign_rule import SignRule
from gan.regularizers.topk import make_topk, top_k_weights
from gan.regularizers.transport import make_transport, transport_costs

__all__ = [
  "REGULARIZERS",
  "Entry",
  "Regularizer",
  "SignRule",
  "View",
  "flip_and_shift",
  "inconsistency",
  "lecam",
  "lecam_averages",
  "make_acgan",
  "make_ada",
  "make_apa",
  "make_bcr",
  "make_centering",
  "make_drift",
  "make_cr",
  "make_gradient_norm",
  "make_lecam",
  "make_multi_hinge",
  "make_orthogonal",
  "make_path_length",
  "make_topk",
  "make_transport",
  "make_zcr",
  "margin_loss",
  "orthogonality",
  "path_lengths",
  "top_k_weights",
  "transport_costs",
]

REGULARIZERS: dict[str, Entry] = {
  "lecam": Entry(
    make_lecam,
    0.3,  # BigGAN on CIFAR-10
    "relu(D(x) - mean D(G(z)))^2 + relu(mean D(x) - D(G(z)))^2",
    "Tseng et al. 2021, arXiv:2104.03310",
    options=("lecam_decay", "lecam_start"),
    metrics={"lecam": "mean of the term before its weight; 0 before its start"},
  ),
  "acgan": Entry(
    make_acgan,
    1.0,
    "-log C(y | x) on data for D, and on G(z, y) for G, C the class head of D",
    "Odena et al. 2017, arXiv:1610.09585",
    options=("acgan_fakes", "acgan_generator_scale"),
    needs=("class_logits",),
    metrics={
      "acgan_discriminator": "mean cross-entropy of the class head on data, in nats",
      "acgan_accuracy": "share of the data whose class the head tells",
      "acgan_generator": "mean cross-entropy of the class head on samples, in nats",
    },
  ),
  "path_length": Entry(
    make_path_length,
    2.0,
    "(|J^T y| - mean |J^T y|)^2, J the Jacobian of G in its styles",
    "Karras et al. 2020, arXiv:1912.04958",
    options=("path_length_decay", "path_length_every"),
    metrics={"path_length": "mean of the term before its weight; 0 on steps that skip it"},
  ),
  "orthogonal": Entry(
    make_orthogonal,
    1e-4,
    "sum of squares of W^T W off its diagonal, W each matrix of weights of G",
    "Brock et al. 2019, arXiv:1809.11096",
    options=("orthogonal_discriminator",),
    metrics={
      "orthogonal": "the term of the generator's weights, before its own weight",
      "orthogonal_discriminator": "the same of the discriminator's",
    },
  ),
  "cr": Entry(
    make_cr,
    10.0,
    "(D(x) - D(T(x)))^2, T flips and shifts an image",
    "Zhang et al. 2020, arXiv:1910.12027",
    metrics={"cr": "mean of the term before its weight"},
    images=True,
  ),
  "bcr": Entry(
    make_bcr,
    10.0,
    "(D(x) - D(T(x)))^2 + (D(G(z)) - D(T(G(z))))^2, T flips and shifts an image",
    "Zhao et al. 2021, arXiv:2002.04724",
    options=("bcr_fakes_scale",),
    metrics={
      "bcr": "mean of the term on data before its weight",
      "bcr_fakes": "the same on samples",
    },
    images=True,
  ),
  "zcr": Entry(
    make_zcr,
    20.0,
    "(D(G(z)) - D(G(z + e)))^2 for D, -|G(z) - G(z + e)|^2 for G, e a small step",
    "Zhao et al. 2021, arXiv:2002.04724",
    options=("zcr_noise", "zcr_generator_scale"),
    metrics={
      "zcr": "mean of D's term before its weight",
      "zcr_generator": "mean squared change of a pixel from G(z) to G(z + e)",
    },
  ),
  "centering": Entry(
    make_centering,
    0.01,
    "(D(x) + D(G(z)))^2, of pairs in a batch",
    "Adversarial Flow Models 2025, arXiv:2511.22475",
    metrics={"centering": "mean of the term before its weight"},
  ),
  "drift": Entry(
    make_drift,
    0.001,
    "D(x)^2, on data",
    "Karras et al. 2018, arXiv:1710.10196",
    metrics={"drift": "mean of the term before its weight"},
  ),
  "multi_hinge": Entry(
    make_multi_hinge,
    1.0,
    "relu(1 + the best other score - that of the class), of K classes and of samples, -D(x)",
    "Kavalerov et al. 2019, arXiv:1912.04216",
    needs=("class_logits",),
    metrics={
      "multi_hinge_discriminator": "mean loss of D's scores on data and on samples, of both sides",
      "multi_hinge_accuracy": "share of the data whose class has the largest of K + 1 scores",
      "multi_hinge_generator": "mean loss of D's scores on samples, as of their labels",
    },
  ),
  "transport": Entry(
    make_transport,
    0.2,  # at the start
    "|G(z) - z|^2 / n of the generator, z of as many numbers, n, as an example",
    "Adversarial Flow Models 2025, arXiv:2511.22475",
    metrics={"transport": "mean squared change of a number from the latent to the sample"},
    same_size=True,
  ),
  "ada": Entry(
    make_ada,
    None,
    "sets augment_strength: up while the mean sign of D - threshold on data is above a target",
    "Karras et al. 2020, arXiv:2006.06676",
    options=("ada_target", "ada_every", "ada_speed"),
    metrics={
      "ada_strength": "strength of the augmentation, p",
      "ada_sign": "mean sign of D's logits on data, as D is shown them, less the loss's threshold",
    },
  ),
  "apa": Entry(
    make_apa,
    None,
    "D is shown a sample as data with probability p; p is set as by ada",
    "Jiang et al. 2021, arXiv:2111.06849",
    options=("ada_target", "ada_every", "ada_speed"),
    metrics={
      "apa_strength": "probability p that D is shown a sample in the place of an example",
      "apa_sign": "mean sign of D's logits on what it is shown as data, less the loss's threshold",
    },
  ),
  "topk": Entry(
    make_topk,
    None,
    "G's loss is of the k samples with the largest logits; k falls to a share of the batch",
    "Sinha et al. 2020, arXiv:2002.06224",
    options=("topk_gamma", "topk_nu", "topk_every"),
    metrics={"topk_share": "share k / n of the samples that G learns from"},
  ),
  "gradient_norm": Entry(
    make_gradient_norm,
    None,
    "the gradient that D hands to G, g of n numbers, is divided by sqrt(mean n |g|^2)",
    "Adversarial Flow Models 2025, arXiv:2511.22475",
    options=("gradient_norm_decay",),
    metrics={
      "gradient_norm_mean": "root of the mean of n |g|^2 before this update; 0 before the first"
    },
  ),
}
