"""The variational autoencoder as an estimator of a density, and the observation model of real values that it needs."""

import math
from typing import Any, Literal, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.quasirandom import SobolEngine

from fairdraw.errors import InputError
from fairdraw.losses import PIXELS, gaussian_log_density, importance_weighted_bound
from fairdraw.models import vae
from fairdraw.nets.observation import Observation
from fairdraw.nets.stacks import Activation
from fairdraw.noise import Noise
from fairdraw.sklearn.estimator import Estimator, number, one_of, whole

Likelihood = Literal["gaussian", "bernoulli"]

SMALLEST_LOG_DEVIATION = -10.0
"""Of values that vary by 1. Where all features are functions of the code, the density would go to infinity."""

WARMUP = 0.2
"""Share of the training over which the KL term's weight rises; without it deep nets may give up latents at once."""


@final
class RealValues(Observation):
    """Real values under a Gaussian whose mean is the output, with one learned standard deviation for all.

    Nothing is rounded to levels: its nats are those of a density. The deviation starts at 1, that of the features on
    average, which is best for a decoder that takes no notice of z.
    """

    words = "independent Gaussian values of one variance; nats of a density"
    observed = "values"

    def __init__(self) -> None:
        super().__init__()
        self.log_deviation = nn.Parameter(torch.zeros(()))

    @property
    def deviation(self) -> Tensor:
        """The standard deviation, a scalar."""
        return self.log_deviation.clamp_min(SMALLEST_LOG_DEVIATION).exp()

    def observe(self, x: Tensor, noise: Noise) -> Tensor:
        """The values as they are; nothing is drawn."""
        return (x + 1) / 2

    def log_likelihood(self, observed: Tensor, output: Tensor) -> Tensor:
        """The log of the density, `[B]` nats."""
        return gaussian_log_density(observed, output, 2 * self.deviation.log()).sum(PIXELS)

    def mean(self, output: Tensor) -> Tensor:
        """The output, on the scale of images."""
        return 2 * output - 1

    def output_of(self, mean: Tensor) -> Tensor:
        """The mean itself."""
        return mean

    def probabilities(self, output: Tensor) -> Tensor:
        """There are none: it is a density."""
        raise TypeError("a Gaussian gives values a density and no probability")


class _Even(Noise):
    """One row of noise, whose normal draws are spread evenly (a scrambled Sobol sequence).

    Rows that share their draws share the error of a random set too, which then does not average out over rows; that of
    an even set is several times smaller.
    """

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, `[1, draws, dimensions]`."""
        draws, dimensions = shape
        engine: Any = SobolEngine
        even = engine(dimensions, scramble=True, seed=self.seed).draw(draws, dtype=torch.float64)
        normal: Tensor = torch.special.ndtri(even.clamp(1e-9, 1 - 1e-9))
        return normal[None].to(self.device, self.dtype)


@final
class VAE(Estimator):
    """Variational autoencoder (Kingma & Welling 2014): a latent Gaussian, and a density of rows.

    Without hidden layers and with the gaussian likelihood it is probabilistic PCA. Once fitted, `model_` is the
    `fairdraw.VAE`, which sees (X - offset_) / scale_.

    Args:
        n_components: dimensions of z; the codes are the means of q(z|x).
        hidden_layer_sizes: units of the encoder's hidden layers; the decoder mirrors them.
        activation: non-linearity of the hidden layers: relu, tanh or logistic.
        likelihood: gaussian for real values, with one learned variance; bernoulli for X in [0, 1], where a value
            between is drawn 0 or 1 with the value as probability, anew at each visit.
        beta: weight of the KL term in training; `score_samples` takes it as 1 always.
        n_draws: draws of z for each row in `score_samples`: more give a tighter bound; powers of two spread best.
        learning_rate_init: Adam's step size at the start; it falls to 0 along a line.
        batch_size: rows in a step; all of them where there are fewer.
        max_iter: epochs; all are run.
        random_state: of the initial weights, the order of the rows and the draws.
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden_layer_sizes: Any = (100,),
        activation: Activation = "relu",
        likelihood: Likelihood = "gaussian",
        beta: float = 1.0,
        n_draws: int = 128,
        learning_rate_init: float = 3e-3,
        batch_size: int = 100,
        max_iter: int = 200,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.likelihood = likelihood
        self.beta = beta
        self.n_draws = n_draws
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        return tags

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """A lower bound on log p(x) of each row, `[n_samples]` nats, by `n_draws` importance weights (Burda 2016).

        Of a density in the units of X for the gaussian likelihood; of a probability for the bernoulli one, where
        values between 0 and 1 are compared with one threshold for each feature, drawn at random.
        """
        rows = self._checked(X)
        draws = whole("n_draws", self.n_draws)

        def bound(x: Tensor) -> Tensor:
            # One row of noise for all rows of x, so that a row's score does not depend on its place.
            noise = _Even(self._seed, 1, purpose="score", dtype=torch.float64)
            return importance_weighted_bound(self.model_.log_weights(self.model_.observe(x, noise), noise, draws))

        bounds = self._by_rows(bound, self._to_model(rows), draws)
        bounds -= rows.shape[1] * math.log(self.scale_)
        return bounds

    def _check_parameters(self) -> None:
        super()._check_parameters()
        one_of("likelihood", self.likelihood, Likelihood)
        number("beta", self.beta)
        whole("n_draws", self.n_draws)

    def _check_values(self, rows: NDArray[np.floating]) -> None:
        if self.likelihood == "bernoulli" and not (rows.min() >= 0 and rows.max() <= 1):
            raise InputError(
                f"X reaches from {rows.min():g} to {rows.max():g}: the bernoulli likelihood is for 0 to 1; "
                "scale X, or choose the gaussian one"
            )

    def _place(self, rows: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
        return (np.zeros(rows.shape[1]), 1.0) if self.likelihood == "bernoulli" else super()._place(rows)

    def _model(self, x: Tensor) -> vae.VAE:
        config = vae.VAEConfig(
            hidden=self._hidden(),
            latent=int(self.n_components),
            activation=self.activation,
            decoder=self.likelihood,
            beta=float(self.beta),
            warmup=round(WARMUP * self.max_iter * len(x)),
            optimizer=self._adam(),
        )
        model = vae.VAE(config, (1, 1, x.shape[-1]))
        if self.likelihood == "gaussian":
            model.pixels = RealValues()  # in place of the 256 levels of a picture
        return model

    def _draw(self, noise: Noise) -> Tensor:
        output = self.model_.decoder(self.model_.prior(noise))
        mean: Tensor = self.model_.pixels.mean(output)
        if self.likelihood == "bernoulli":
            bits = noise.uniform(*mean.shape[1:]) < (mean + 1) / 2
            return 2 * bits.to(mean.dtype) - 1
        values: Tensor = mean + 2 * self.model_.pixels.deviation * noise.normal(*mean.shape[1:])
        return values
