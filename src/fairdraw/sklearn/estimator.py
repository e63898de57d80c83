"""What the estimators share: the way into a model of images and back, training in memory, and checks of parameters."""

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Self, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from fairdraw.config import Training
from fairdraw.errors import DivergedError, InputError, nearest
from fairdraw.nets.stacks import Activation
from fairdraw.noise import Noise
from fairdraw.optimizers import Adam
from fairdraw.order import positions
from fairdraw.parallel import alone, threads
from fairdraw.trainer import Trainer

FLOATS = (np.float64, np.float32)

ROWS_AT_A_TIME = 10_000
"""Rows that go through a network at once, so that a large table needs no more memory than a small one."""

DIVERGED = 1e6
"""Squared error of training rows, in units of that of their mean, beyond which nothing was learnt."""

# A fit uses torch's generator and number of threads, of which a process has one: fits in several threads take turns.
_TURN = threading.Lock()


class Estimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """A model of images, trained on rows in memory."""

    n_components: int
    hidden_layer_sizes: Any
    activation: Activation
    learning_rate_init: float
    batch_size: int
    max_iter: int
    random_state: Any

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Train on the rows of X for `max_iter` epochs.

        Args:
            X: `[n_samples, n_features]`, real and finite.
            y: ignored.

        Raises:
            ValueError: for a parameter or an X that cannot be used.
            DivergedError: when a loss or a weight became NaN or infinite, or no row is reconstructed at all.
        """
        self._check_parameters()
        rows = validate_data(self, X, dtype=FLOATS, ensure_min_samples=2)
        self._check_values(rows)
        self.offset_, self.scale_ = self._place(rows)
        self._seed = _drawn_seed(self.random_state)
        self.model_ = self._trained(self._to_model(rows).float())
        self.n_iter_ = int(self.max_iter)
        self._n_features_out = int(self.n_components)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """Codes of the rows of X, `[n_samples, n_components]`; float32 for a float32 X, else float64."""
        rows = self._checked(X)
        codes = self._by_rows(self.model_.encode, self._to_model(rows))
        return codes.astype(rows.dtype)

    def inverse_transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """Rows in the units of the training data that the codes X `[n_samples, n_components]` stand for."""
        check_is_fitted(self)
        codes = check_array(X, dtype=FLOATS)
        if codes.shape[1] != self._n_features_out:
            raise InputError(f"X has {codes.shape[1]} columns: a code of this model has {self._n_features_out}")
        made = self._by_rows(self.model_.generate, torch.from_numpy(codes.astype(np.float64)))
        return self._from_model(made).astype(codes.dtype)

    @abstractmethod
    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """How well the model takes each row of X, `[n_samples]`; more is better."""

    def score(self, X: ArrayLike, y: object = None) -> float:
        """The mean of `score_samples` over the rows of X; y is ignored."""
        return float(np.mean(self.score_samples(X)))

    def sample(self, n_samples: int = 1, random_state: Any = None) -> NDArray[np.float64]:
        """Random rows, `[n_samples, n_features]`, in the units of the training data: none picked, none dropped.

        Args:
            n_samples: how many.
            random_state: a seed for the same rows at each call; None takes numpy's global generator.
        """
        check_is_fitted(self)
        count, seed = whole("n_samples", n_samples), _drawn_seed(random_state)
        parts = []
        with torch.inference_mode():
            for first in range(0, count, ROWS_AT_A_TIME):
                rows = min(ROWS_AT_A_TIME, count - first)
                parts.append(self._draw(Noise(seed, rows, first, "sample", dtype=torch.float64)))
        return self._from_model(torch.cat(parts).numpy())

    @abstractmethod
    def _model(self, x: Tensor) -> Any:
        """The model, untrained, for training data `x` `[n_samples, 1, 1, n_features]`."""

    def _place(self, rows: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
        """What is subtracted from each feature, its mean, and what all are divided by: networks learn fast near 0."""
        with np.errstate(over="ignore", invalid="ignore"):
            mean = rows.mean(axis=0, dtype=np.float64)
            scale = float(np.sqrt(rows.var(axis=0, dtype=np.float64).mean()))
        if not math.isfinite(scale):
            raise InputError("the variance of X is beyond the largest float: divide X by a large number")
        return mean, scale or 1.0

    def _draw(self, noise: Noise) -> Tensor:
        """Random rows as the model has them, `[B, 1, 1, n_features]`."""
        made: Tensor = self.model_.generate(self.model_.prior(noise))
        return made

    def _check_parameters(self) -> None:
        for name in ("n_components", "batch_size", "max_iter"):
            whole(name, getattr(self, name))
        self._hidden()
        one_of("activation", self.activation, Activation)
        number("learning_rate_init", self.learning_rate_init, positive=True)

    def _check_values(self, rows: NDArray[np.floating]) -> None:
        """Refuse an X that the likelihood is not for."""

    def _hidden(self) -> tuple[int, ...]:
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object))
        return tuple(whole("hidden_layer_sizes", size) for size in sizes)

    def _adam(self) -> Adam:
        return Adam(float(self.learning_rate_init))

    def _trained(self, x: Tensor) -> Any:
        batch = min(int(self.batch_size), len(x))
        images = -(-int(self.max_iter) * len(x) // batch) * batch  # whole batches
        training = Training(images, batch, self._seed, "linear", precision="fp32")
        processes = alone(training.precision)
        with _TURN, torch.random.fork_rng(devices=[]):
            processes.seed(self._seed)
            model = self._model(x)
            model.prepare(x)
            with threads(model, 1):
                trainer = Trainer(model, training, processes)
                while trainer.images < images:
                    trainer.step({"image": x[positions(self._seed, trainer.images, batch, len(x))]})
                if not trainer.healthy():
                    raise self._diverged()
                trained: Any = trainer.average.double()
                trained.finish(x.double())
        made = self._by_rows(lambda rows: trained.generate(trained.encode(rows)), x.double())
        # one standard deviation is 2 in the units of the model
        if not np.square((made - x.numpy()) / 2).mean() <= DIVERGED:
            raise self._diverged()
        return trained

    def _diverged(self) -> DivergedError:
        return DivergedError(f"training diverged at learning_rate_init {self.learning_rate_init}: give less")

    def _checked(self, X: ArrayLike) -> NDArray[np.floating]:
        check_is_fitted(self)
        rows: NDArray[np.floating] = validate_data(self, X, dtype=FLOATS, reset=False)
        self._check_values(rows)
        return rows

    def _to_model(self, rows: NDArray[np.floating]) -> Tensor:
        """Rows as images of one line, float64 `[n_samples, 1, 1, n_features]`.

        The models' networks see (x + 1) / 2: for them the rows are centred. As nothing is clipped, they may go beyond
        the range of an image's pixels.
        """
        scaled = (rows.astype(np.float64) - self.offset_) / self.scale_
        return torch.from_numpy(2 * scaled - 1)[:, None, None]

    def _from_model(self, made: NDArray[np.float64]) -> NDArray[np.float64]:
        rows: NDArray[np.float64] = (made.reshape(len(made), -1) + 1) / 2 * self.scale_ + self.offset_
        return rows

    def _by_rows(self, function: Callable[[Tensor], Tensor], x: Tensor, passes: int = 1) -> NDArray[np.float64]:
        """`function` of `x`, part by part; each row makes that many passes through a network."""
        with torch.inference_mode():
            found = [function(part) for part in torch.split(x, max(1, ROWS_AT_A_TIME // passes))]
            values: NDArray[np.float64] = torch.cat(found).numpy()
        return values


def whole(name: str, value: object, least: int = 1) -> int:
    """`value` as an int.

    Raises:
        InputError: when it is none, or below `least`.
    """
    if not isinstance(value, Integral) or value < least:
        raise InputError(f"{name} is {value!r}: give a whole number of at least {least}")
    return int(value)


def number(name: str, value: object, most: float = math.inf, positive: bool = False) -> float:
    """`value` as a float.

    Raises:
        InputError: when it is none, below 0, above `most` or not finite, or 0 where it has to be positive.
    """
    found = float(value) if isinstance(value, Real) else math.nan
    if not 0 <= found <= most or found == math.inf or (positive and found == 0):
        span = f"from 0 to {most:g}" if most < math.inf else "above 0" if positive else "of at least 0"
        raise InputError(f"{name} is {value!r}: give a number {span}")
    return found


def one_of(name: str, value: object, known: Any) -> None:
    """Refuse a word that is none of the Literal `known`."""
    words = get_args(known)
    if value not in words:
        hint = nearest(value, words) if isinstance(value, str) else ""
        raise InputError(f"{name} is {value!r}{hint}: give one of {', '.join(words)}")


def _drawn_seed(random_state: Any) -> int:
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
