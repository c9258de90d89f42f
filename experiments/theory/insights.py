"""What each case shows, in one sentence with which its part of the page of the docs begins."""

# As in the runs of that page: who runs a case anew looks whether its sentence still holds.
INSIGHTS = {
  "generator_costs": (
    "Where D is sure of a fake (D = 0.01) the minimax cost leaves G a slope of 0.005, and "
    "-log D one of 0.495."
  ),
  "vanishing_gradient": (
    "While a new D learns, the slope of the minimax cost falls to 0.0015 of itself or less, "
    "and that of -log D grows more than fourfold; that its noise grows, on the same examples, "
    "was not seen."
  ),
  "optimal_discriminator": (
    "A trained D comes within 0.03 of p/(p + q), and its value within 0.0002 of -log 4 + 2 JSD."
  ),
  "fgan_gaussian": (
    "Each divergence has a nearest Gaussian of its own, from sigma = 1.63 (reverse KL) to "
    "1.93 (Pearson), and the f-GAN of that divergence lands near it."
  ),
  "dirac": (
    "Two parameters are enough for a GAN that does not reach its equilibrium; R1, R2, "
    "instance noise and consensus take it there."
  ),
  "dirac_matrix": (
    "Of 152 pairs of loss and penalty 72 to 74 converge under the plain rules, and 96 to 105 "
    "under those made for games."
  ),
  "bilinear": (
    "Simultaneous play spirals out, to 2.7 times its start in 200 steps, alternating play "
    "circles, and the rules made for games go in."
  ),
  "parallel_lines": (
    "Where the lines do not meet, W1 pulls G with a slope of 1, and JSD with one below 0.005."
  ),
  "two_point": (
    "To leave its collapse the original GAN must climb by 0.131; the paired loss has nothing "
    "to climb."
  ),
  "two_cluster": (
    "The original GAN is held at its collapse in 11 of 30 seeds, the paired one in 4, where "
    "the paper has none."
  ),
  "unrolled": (
    "A G that foresees five updates of D ends with 7 or 8 of 8 modes in each of five seeds; "
    "one that does not, with 4 to 8, which change."
  ),
  "wgan_gp_critic": (
    "Clipping puts about nine of ten weights at the bound and leaves a slope near 0; the "
    "penalty keeps the slope near 1 and the weights apart."
  ),
  "r3gan_toy": (
    "On 25 Gaussians no run diverged and R1 alone kept as many modes as R1 + R2, unlike the "
    "paper's runs at scale; penalties at every eighth step lost modes."
  ),
  "logit_drift": (
    "Against our claim the constant of a relativistic D does not wander under Adam with b2 = "
    "0.999; with 0.9 it does, and centring by pairs holds it."
  ),
  "approximated_penalty": (
    "The squared difference of D along one random direction is R1 in the mean as its step "
    "falls, and the Dirac-GAN converges with it as with R1."
  ),
  "lazy_penalty": (
    "No verdict on lazy penalties: in this length the game loses modes, 22 of 25 are left, "
    "with R1 + R2 at every step too."
  ),
  "mixtures": (
    "A quick run shows nothing of packing yet: half a mode more, in two seeds of 300 steps."
  ),
  "parzen": (
    "1,000 centroids of training images score 258 nats, 1,000 of the images themselves 120: "
    "the score rewards blur."
  ),
  "augmentation_leak": (
    "Quarter turns of what D sees are in no sample at probability 0.5, and at 1 only 28 % of "
    "the samples are upright."
  ),
}
