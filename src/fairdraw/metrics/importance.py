"""The importance-weighted bound on log p(x), and the two terms of the evidence lower bound beside it.

Burda, Grosse & Salakhutdinov, "Importance weighted autoencoders", ICLR 2016 (arXiv:1509.00519), sections 2 and 5.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fairdraw.capabilities import Bounds, Encodes
from fairdraw.errors import InputError
from fairdraw.inference import in_chunks, to_numpy
from fairdraw.losses import importance_weighted_bound
from fairdraw.metrics.likelihood import likelihood_noise
from fairdraw.model import Model
from fairdraw.noise import Noise

MOST_DRAWS, MOST_DECODED = 100, 1_600_000
"""Draws of z made at a time for an image, and values that they are decoded to: see `draws_at_a_time`."""

ELBO_DRAWS = 20
"""Draws of z for the two terms of the evidence lower bound, whose KL needs none where it has a closed form."""

CURVE = (1, 10, 100, 1000, 5000)
"""The k at which the bound is given, to show how it converges."""

ACTIVE = 0.01
"""Variance over images of a latent's posterior mean above which the unit is active (section 5.1)."""

PIXELS_AT_A_TIME = {"cpu": 1_600_000, "cuda": 20_000_000}
"""Decoded values held at a time: on a CPU about what its caches hold, as every value is passed over several times."""

WEIGHTS_AT_A_TIME = 2**24


@dataclass(frozen=True)
class Evidence:
    """What a model says of N images, one row for each, in nats.

    Args:
        bounds: by k, an estimate of E log mean_k w: the mean over the disjoint groups of k among the draws, `[N]`.
        log_likelihood: E_q[log p(x|z)], `[N]`.
        kl_units: KL(q(z|x) || p(z)) of each latent, `[N, L]`.
        codes: the mean of q(z|x), `[N, D]`, for a model that encodes.
    """

    bounds: dict[int, np.ndarray]
    log_likelihood: np.ndarray
    kl_units: np.ndarray
    codes: np.ndarray | None

    @property
    def kl(self) -> np.ndarray:
        """KL(q(z|x) || p(z)), `[N]`."""
        found: np.ndarray = self.kl_units.sum(axis=1)
        return found

    @property
    def elbo(self) -> np.ndarray:
        """E_q[log p(x|z)] - KL(q(z|x) || p(z)), `[N]`."""
        found: np.ndarray = self.log_likelihood - self.kl
        return found

    @property
    def active(self) -> np.ndarray | None:
        """Which latents are active, A_u = Var_x(E_q[u|x]) > 0.01, `[D]`; None where it cannot be said."""
        if self.codes is None or len(self.codes) < 2:
            return None
        found: np.ndarray = self.codes.var(axis=0) > ACTIVE
        return found


def evidence(
    model: Model, images: np.ndarray, samples: int, seed: int = 0, progress: Callable[[int], None] = lambda done: None
) -> Evidence:
    """What `model` says of the uint8 `images` `[N, C, H, W]`, with `samples` draws of z for each.

    An image is observed (binarised, dequantised) once. Its noise is a function of the seed and its place among the
    images, so that nothing depends on how many are computed at a time. `progress` is told how many images are done.

    Raises:
        InputError: for no samples.
        ValueError: when the model has no bound.
    """
    if samples < 1:
        raise InputError(f"--samples {samples}: give at least 1")
    if not isinstance(model, Bounds):
        raise ValueError(f"{type(model).__name__} bounds no likelihood")

    def of(start: int, x: Tensor) -> Evidence:
        found = _evidence(model, x, likelihood_noise(model, len(x), seed, start), samples)
        progress(start + len(x))
        return found

    parts = in_chunks(of, model, images, images_at_a_time(model, samples))
    codes = [part.codes for part in parts if part.codes is not None]
    return Evidence(
        {k: np.concatenate([part.bounds[k] for part in parts]) for k in parts[0].bounds},
        np.concatenate([part.log_likelihood for part in parts]),
        np.concatenate([part.kl_units for part in parts]),
        np.concatenate(codes) if codes else None,
    )


def draws_at_a_time(shape: tuple[int, int, int]) -> int:
    """Draws of z made at a time for each image of `shape`: of large images fewer, as all are decoded together.

    A function of the shape alone, so that the k-th draw of a seed is the same on every device and in every batch.
    """
    return max(1, min(MOST_DRAWS, MOST_DECODED // math.prod(shape)))


def images_at_a_time(model: Model, samples: int) -> int:
    """How many images to work on together: their decoded draws, and all weights of them, take bounded memory."""
    pixels = PIXELS_AT_A_TIME.get(model.device.type, PIXELS_AT_A_TIME["cuda"])
    decoded = draws_at_a_time(model.shape) * math.prod(model.shape)
    return max(1, min(pixels // decoded, WEIGHTS_AT_A_TIME // samples))


def curve(log_weights: Tensor) -> dict[int, Tensor]:
    """By k, the bound `[B]` from `log_weights` `[B, samples]`: the mean over its disjoint groups of k draws.

    As many groups as there are make the estimate for a small k a quiet one; the last k is `samples`, in one group.
    """
    samples = log_weights.shape[1]
    found = {}
    for k in (*(k for k in CURVE if k < samples), samples):
        groups = log_weights[:, : samples // k * k].reshape(-1, k)
        found[k] = importance_weighted_bound(groups).reshape(len(log_weights), -1).mean(1)
    return found


def _evidence(model: Bounds, x: Tensor, noise: Noise, samples: int) -> Evidence:
    assert isinstance(model, Model)
    draws = draws_at_a_time(model.shape)
    observed = model.observe(x, noise)
    elbo = model.elbo(observed, noise, ELBO_DRAWS)
    drawn = [model.log_weights(observed, noise, draws).cpu().double() for _ in range(-(-samples // draws))]
    # The posterior of what was observed, which is an image again
    codes = to_numpy(model.encode(2 * observed - 1)) if isinstance(model, Encodes) else None
    bounds = {k: bound.numpy() for k, bound in curve(torch.cat(drawn, dim=1)[:, :samples]).items()}
    return Evidence(bounds, to_numpy(elbo.log_likelihood), to_numpy(elbo.kl_units), codes)
