"""Estimators whose score is the error of a reconstruction: the autoencoder and the denoising autoencoder."""

import math
from typing import Any, Literal, TypeVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from fairdraw.models import autoencoder, denoising
from fairdraw.nets.stacks import Activation
from fairdraw.sklearn.estimator import Estimator, number, one_of

M = TypeVar("M", bound=nn.Module)
Corruption = Literal["masking", "independent-masking", "gaussian"]


class _Reconstructing(Estimator):
    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Minus the squared error of each row's reconstruction, `[n_samples]`: over all features, in the units of X.

        It is no likelihood: a row that is far from the training data may be reconstructed well.
        """
        rows = self._checked(X)
        made = self._by_rows(lambda x: self.model_.generate(self.model_.encode(x)), self._to_model(rows))
        errors: NDArray[np.float64] = np.square(self._from_model(made) - rows).sum(axis=1)
        return -errors


@final
class Autoencoder(_Reconstructing):
    """Deep autoencoder (Hinton & Salakhutdinov 2006): linear codes, linear outputs, squared error.

    Without hidden layers it learns the subspace of PCA. `sample` decodes draws from a Gaussian that is fitted to the
    codes of the training data. Once fitted, `model_` is the `fairdraw.Autoencoder`, which sees
    (X - offset_) / scale_.

    Args:
        n_components: numbers in a code.
        hidden_layer_sizes: units of the encoder's hidden layers; the decoder mirrors them.
        activation: non-linearity of the hidden layers: relu, tanh or logistic.
        learning_rate_init: Adam's step size at the start; it falls to 0 along a line.
        batch_size: rows in a step; all of them where there are fewer.
        max_iter: epochs; all are run.
        random_state: of the initial weights and the order of the rows.
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden_layer_sizes: Any = (100,),
        activation: Activation = "relu",
        learning_rate_init: float = 3e-3,
        batch_size: int = 100,
        max_iter: int = 200,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.random_state = random_state

    def _model(self, x: Tensor) -> autoencoder.Autoencoder:
        config = autoencoder.AutoencoderConfig(
            hidden=self._hidden(),
            latent=int(self.n_components),
            activation=self.activation,
            output="linear",
            loss="squared-error",
            optimizer=self._adam(),
        )
        return _small(autoencoder.Autoencoder(config, (1, 1, x.shape[-1])))


@final
class DenoisingAutoencoder(_Reconstructing):
    """Denoising autoencoder (Vincent 2008, 2010): restores rows that were corrupted anew at each visit.

    The codes are a hidden layer and as many as you like, for a classifier to take as features; nothing is corrupted
    in `transform`. `inverse_transform(transform(X))` removes the corruption from X. Once fitted, `model_` is the
    `fairdraw.Denoising`, which sees (X - offset_) / scale_.

    Args:
        n_components: units of the layer of the code, which has the non-linearity too.
        hidden_layer_sizes: units of the encoder's layers before it; the decoder mirrors them.
        activation: non-linearity: relu, tanh or logistic.
        corruption: masking (an exact share of a row's features is set to their means), independent-masking (each with
            that probability), or gaussian (normal noise is added to all).
        amount: the share, or the standard deviation in units of `scale_`, the features' own on average.
        learning_rate_init: Adam's step size at the start; it falls to 0 along a line.
        batch_size: rows in a step; all of them where there are fewer.
        max_iter: epochs; all are run.
        random_state: of the initial weights, the order of the rows and the corruption.
    """

    def __init__(
        self,
        n_components: int = 100,
        *,
        hidden_layer_sizes: Any = (),
        activation: Activation = "relu",
        corruption: Corruption = "masking",
        amount: float = 0.25,
        learning_rate_init: float = 3e-3,
        batch_size: int = 100,
        max_iter: int = 200,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.corruption = corruption
        self.amount = amount
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.random_state = random_state

    def _check_parameters(self) -> None:
        super()._check_parameters()
        one_of("corruption", self.corruption, Corruption)
        number("amount", self.amount, most=math.inf if self.corruption == "gaussian" else 1)

    def _model(self, x: Tensor) -> denoising.Denoising:
        config = denoising.DenoisingConfig(
            hidden=(*self._hidden(), int(self.n_components)),
            activation=self.activation,
            corruption=self.corruption,
            amount=float(self.amount),
            output="linear",
            loss="squared-error",
            optimizer=self._adam(),
        )
        return _small(denoising.Denoising(config, (1, 1, x.shape[-1])))


def _small(model: M) -> M:
    """The model with torch's initial weights: those of the papers' presets are for logistic outputs.

    Under a linear output they make the first reconstructions many times too large, and rectifiers die of the way back.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()
    return model
