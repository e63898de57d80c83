"""Variational autoencoder, with the importance-weighted bound.

Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014 (arXiv:1312.6114), and
Burda, Grosse & Salakhutdinov, "Importance weighted autoencoders", ICLR 2016 (arXiv:1509.00519).

    vae   max  E_q(z|x)[log p(x|z)] - beta KL(q(z|x) || p(z)),    q(z|x) = N(mean(x), diag(exp(log_var(x))))
    iwae  max  E log 1/k sum_i w_i,    w_i = p(x, z_i) / q(z_i|x),    z_1 ... z_k ~ q(z|x)

With two stochastic layers q(z, u|x) = q(z|x) q(u|z) and p(x, z, u) = p(u) p(z|u) p(x|z); then `z` is the layer next to
the image. beta, free bits and warm-up are later practice (Higgins 2017; Kingma 2016); a loss with them is no bound or a
looser one, so the log has the two terms of the bound beside it, and evaluation never uses them.

What differs from the papers, and why:

* Adam at 1e-3 in place of Kingma & Welling's Adagrad, which is not offered: it is what everybody compares with today.
  The minibatch of 100, the one sample of z per image, the 500 tanh units and the closed-form KL are theirs.
* torch's default initialisation in place of N(0, 0.01), or Burda's (Glorot's) on request, and no weight decay. The
  output bias starts at the data's mean, as in Burda et al.; from zero, the latents of a small set drift off the origin
  to stand in for the bias, and draws from the prior then show inverted backgrounds.
* Burda's Adam starts its second moment at 1 instead of 0, and its code says beta1 = 0.99 where the paper says 0.9. The
  presets use torch's Adam with the paper's 0.9 and the epsilon of 1e-4 that both have. Their VAE averages k samples of
  log w; ours averages the likelihood and keeps the closed-form KL, the same bound with less noise. Epochs are shuffled.
* Binary images are drawn anew at each visit (x = 1 with the grey level as its probability), in training and test;
  `targets="grey"` trains on grey levels as many public examples do; evaluation still binarises. Binarising once is a
  matter of the data: `--binarise`.
* Gaussian and discretised-logistic likelihoods are brought to nats of the 8-bit image, so that they can be compared.
* The convolutional networks are later practice. The full variational Bayes of Kingma & Welling's appendix F (a
  posterior over the weights too) is not here: nobody has used it since, and its bound cannot be compared with others.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, final

import torch
from torch import Tensor, nn

from fairdraw.capabilities import BeginsLinearly, CodesLosslessly, Elbo, Encodes, Generates
from fairdraw.errors import InputError, check_at_least
from fairdraw.losses import (
    gaussian_kl,
    gaussian_log_density,
    importance_weighted_bound,
)
from fairdraw.model import Batch, Clock, Model, Player, Update
from fairdraw.nets.observation import Bernoulli, DiscretisedLogistic, Gaussian, Observation, Scale
from fairdraw.nets.output import start_at_the_mean
from fairdraw.nets.stacks import Activation, Stack, dense, initialise, weights_of
from fairdraw.noise import Noise
from fairdraw.optimizers import Adam


@dataclass(frozen=True)
class VAEConfig:
    """Options of the VAE.

    Args:
        architecture: fully connected as in the papers, or strided convolutions.
        hidden: units of the hidden layers, from the image inwards; the decoder mirrors them.
        latent: dimensions of z.
        upper_hidden: units of the hidden layers between z and u, where there are two stochastic layers.
        upper_latent: dimensions of a second stochastic layer u above z; 0 for none.
        activation: non-linearity of the hidden layers.
        width: channels of the outermost convolution, doubled at each halving of the map (convolutional only).
        initialisation: torch's default, best for one hidden layer, or scaled to the widths (Glorot's for tanh, He's for
            relu) with zero biases, best for more.
        decoder: p(x|z): bernoulli pixels, or a gaussian or a discretised logistic on 256 levels.
        scale: of a gaussian or logistic pixel: fixed, one learned number, or predicted for each pixel from z.
        scale_start: its fixed value, or where it starts, on [0, 1].
        targets: binarise the images anew at each visit, or train on their grey levels (bernoulli only).
        objective: the evidence lower bound, or the importance-weighted one.
        samples: k, the draws of z for each image.
        beta: weight of the KL term (vae only); a bound for beta >= 1 alone.
        free_bits: nats for each latent below which its KL, averaged over the batch, costs nothing more (vae only).
        warmup: images over which the weight of the KL term rises from 0 (vae only).
        optimizer: the one player's optimizer.
    """

    architecture: Literal["mlp", "conv"] = "mlp"
    hidden: tuple[int, ...] = (500,)
    latent: int = 20
    upper_hidden: tuple[int, ...] = ()
    upper_latent: int = 0
    activation: Activation = "tanh"
    width: int = 32
    initialisation: Literal["torch", "scaled"] = "torch"
    decoder: Literal["bernoulli", "gaussian", "logistic"] = "bernoulli"
    scale: Scale = "learned"
    scale_start: float = 0.1
    targets: Literal["binarised", "grey"] = "binarised"
    objective: Literal["vae", "iwae"] = "vae"
    samples: int = 1
    beta: float = 1.0
    free_bits: float = 0.0
    warmup: int = 0
    optimizer: Adam = field(default_factory=Adam)

    def __post_init__(self) -> None:
        check_at_least(1, self, "hidden", "latent", "width", "upper_hidden", "samples")
        check_at_least(0, self, "upper_latent", "beta", "free_bits", "warmup")
        if not 1e-3 <= self.scale_start <= 1e3:
            raise InputError(f"scale_start is {self.scale_start}: give a number from 0.001 to 1000 with --scale-start")
        if self.upper_hidden and not self.upper_latent:
            raise InputError("upper_hidden needs a second stochastic layer: give its size with --upper-latent")
        if self.targets == "grey" and self.decoder != "bernoulli":
            raise InputError(f"targets is grey and decoder {self.decoder}: grey targets are for --decoder bernoulli")
        if self.objective == "iwae" and (
            self.targets == "grey" or (self.beta, self.free_bits, self.warmup) != (1, 0, 0)
        ):
            raise InputError(
                "the importance-weighted bound has no beta, free bits, warm-up or grey targets: "
                "leave them out, or choose --objective vae"
            )


class _Draw(NamedTuple):
    """`samples` draws of the latents of each image: z `[B, samples, D]`, u `[B, samples, U]` where there is one."""

    z: Tensor
    log_q: Tensor
    """log q(z|x) of each unit, `[B, samples, D]`."""
    log_p: Tensor
    """log p(z) or log p(z|u) of each unit, `[B, samples, D]`."""
    upper_log_q: Tensor
    """log q(u|z) of each unit, `[B, samples, U]` with U = 0 for one stochastic layer, as the two below."""
    upper_log_p: Tensor
    upper_kl: Tensor


@final
class VAE(Model, Generates, Encodes, CodesLosslessly, BeginsLinearly):
    """The variational autoencoder (Kingma & Welling 2014), its importance-weighted bound (Burda 2016)."""

    Config = VAEConfig
    config: VAEConfig

    def __init__(self, config: VAEConfig, shape: tuple[int, int, int]) -> None:
        super().__init__(config, shape)
        self.pixels = observation_of(config)
        stack = Stack(config.architecture, config.hidden, config.activation, config.width, "vae")
        self.encoder = stack.encoder(shape, 2 * config.latent)
        self.decoder = stack.decoder(config.latent, (self.pixels.outputs * shape[0], *shape[1:]))
        if config.upper_latent:
            widths = [config.latent, *config.upper_hidden, config.upper_latent]
            self.upper_encoder = _gaussian_layers(widths, config.activation)
            self.upper_decoder = _gaussian_layers(widths[::-1], config.activation)
        if config.initialisation == "scaled":
            initialise(self, config.activation)

    def players(self) -> dict[str, Player]:
        """One player: encoder and decoder together."""
        return {"vae": Player.of(self, self.config.optimizer)}

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        """Ascend the bound (algorithm 1 of Kingma & Welling with L = samples; section 3 of Burda et al.)."""
        grey = self.config.targets == "grey"
        observed = (batch["image"] + 1) / 2 if grey else self.observe(batch["image"], clock.noise)
        if self.config.objective == "iwae":
            bound = importance_weighted_bound(self.log_weights(observed, clock.noise, self.config.samples)).mean()
            yield Update("vae", -bound, {"bound": bound.detach()})
            return
        elbo = self.elbo(observed, clock.noise, self.config.samples)
        nll, kl = -elbo.log_likelihood.mean(), elbo.kl_units.mean(0)
        weight = self.config.beta * min(1.0, clock.images / self.config.warmup if self.config.warmup else 1.0)
        cost = kl.clamp_min(self.config.free_bits) if self.config.free_bits else kl
        yield Update("vae", nll + weight * cost.sum(), {"nll": nll.detach(), "kl": kl.sum().detach()})

    def over_the_batch(self) -> tuple[str, ...]:
        """Free bits are compared with the mean KL over the batch."""
        return ("free bits",) if self.config.free_bits else ()

    def prepare(self, images: Tensor) -> None:
        """The output bias starts at the mean image (at each channel's mean for convolutions)."""
        start_at_the_mean(self.decoder, images, self.pixels.output_of)

    def prior(self, noise: Noise) -> Tensor:
        """z ~ p(z), `[B, D]`: N(0, I), or through u ~ N(0, I)."""
        if not self.config.upper_latent:
            return noise.normal(self.config.latent)
        mean, log_var = self.upper_decoder(noise.normal(self.config.upper_latent)).chunk(2, dim=-1)
        z: Tensor = mean + (0.5 * log_var).exp() * noise.normal(self.config.latent)
        return z

    def generate(self, z: Tensor) -> Tensor:
        """The decoder's mean image."""
        return self.pixels.mean(self.decoder(z))

    def first_weights(self) -> Tensor:
        """Of the decoder's first layer."""
        return weights_of(self.decoder[0])

    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z|x), `[B, D]`."""
        mean, _ = self._q((x + 1) / 2)
        return mean

    @property
    def observation(self) -> str:
        """The observation model in words."""
        return self.pixels.words

    @property
    def observed(self) -> Literal["bits", "levels", "values"]:
        """Bits for a Bernoulli decoder, else the 256 levels."""
        return self.pixels.observed

    def observe(self, x: Tensor, noise: Noise) -> Tensor:
        """The images as the likelihood sees them, on [0, 1]."""
        return self.pixels.observe(x, noise)

    def elbo(self, observed: Tensor, noise: Noise, samples: int = 1) -> Elbo:
        """The bound with beta = 1, nats; the KL of z in closed form, or by its draws under a second layer."""
        mean, log_var = self._q(observed)
        draw = self._draw(mean, log_var, noise, samples)
        kl = (draw.log_q - draw.log_p).mean(1) if self.config.upper_latent else gaussian_kl(mean, log_var)
        return Elbo(self._log_likelihood(observed, draw.z).mean(1), torch.cat([kl, draw.upper_kl.mean(1)], dim=1))

    def log_weights(self, observed: Tensor, noise: Noise, samples: int) -> Tensor:
        """log p(x, z) - log q(z|x) of `samples` draws, `[B, samples]` nats."""
        draw = self._draw(*self._q(observed), noise, samples)
        ratio = (draw.log_p - draw.log_q).sum(2) + (draw.upper_log_p - draw.upper_log_q).sum(2)
        log_weights: Tensor = self._log_likelihood(observed, draw.z) + ratio
        return log_weights

    @property
    def why_not_lossless(self) -> str:
        """Two layers and a density over pixels stand in the way."""
        if self.config.decoder == "gaussian":
            return "its Gaussian decoder gives pixels a density and no probability: train with --decoder logistic"
        return "it has two stochastic layers: train with one" if self.config.upper_latent else ""

    def posterior(self, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of q(z|x), `[B, D]` each."""
        mean, log_var = self._q(observed)
        return mean, (0.5 * log_var).exp()

    def pixel_probabilities(self, z: Tensor) -> Tensor:
        """P(value | z) of every pixel, `[B, C * H * W, V]`."""
        return self.pixels.probabilities(self.decoder(z))

    def _q(self, observed: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_var = self.encoder(observed).chunk(2, dim=1)
        return mean, log_var

    def _draw(self, mean: Tensor, log_var: Tensor, noise: Noise, samples: int) -> _Draw:
        mean, log_var = mean[:, None], log_var[:, None]
        # the reparameterisation, section 2.4 of Kingma & Welling
        z = mean + (0.5 * log_var).exp() * noise.normal(samples, self.config.latent)
        log_q = gaussian_log_density(z, mean, log_var)
        if not self.config.upper_latent:
            nothing = log_q[..., :0]
            return _Draw(z, log_q, gaussian_log_density(z, torch.zeros_like(z), torch.zeros_like(z)), *3 * [nothing])
        upper_mean, upper_log_var = self.upper_encoder(z).chunk(2, dim=-1)
        u = upper_mean + (0.5 * upper_log_var).exp() * noise.normal(samples, self.config.upper_latent)
        log_p = gaussian_log_density(z, *self.upper_decoder(u).chunk(2, dim=-1))
        upper_log_q = gaussian_log_density(u, upper_mean, upper_log_var)
        upper_log_p = gaussian_log_density(u, torch.zeros_like(u), torch.zeros_like(u))
        return _Draw(z, log_q, log_p, upper_log_q, upper_log_p, gaussian_kl(upper_mean, upper_log_var))

    def _log_likelihood(self, observed: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) for `z` `[B, samples, D]`, `[B, samples]` nats."""
        output = self.decoder(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        return self.pixels.log_likelihood(observed[:, None], output)


def observation_of(config: VAEConfig) -> Observation:
    """The observation model that the options name."""
    if config.decoder == "bernoulli":
        return Bernoulli()
    kind = Gaussian if config.decoder == "gaussian" else DiscretisedLogistic
    return kind(config.scale, config.scale_start)


def _gaussian_layers(widths: list[int], activation: Activation) -> nn.Sequential:
    return nn.Sequential(*dense([*widths[:-1], 2 * widths[-1]], activation))
