"""What several test files share: tiny data and tiny experiments."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairdraw import (
    AutoencoderConfig,
    CycleGANConfig,
    DCGANConfig,
    DenoisingConfig,
    Experiment,
    GANConfig,
    Generates,
    Model,
    Pix2PixConfig,
    ProgressiveConfig,
    Runtime,
    SRGANConfig,
    Trainer,
    Training,
    VAEConfig,
    WGANConfig,
)
from fairdraw.config import to_json
from fairdraw.data import Options
from fairdraw.models import model_name, model_of_config
from fairdraw.nets.augmentation import Augmentation
from fairdraw.optimizers import Adam, Momentum, SteppedAdam
from fairdraw.parallel import Processes, launch

SMALL_GAN = GANConfig(
    latent=6,
    hidden=(24, 24),
    discriminator_hidden=(12, 12),
    pieces=3,
    discriminator_range=0.1,
    optimizer=Momentum(0.1),
)

SMALL_PROGRESSIVE = ProgressiveConfig(
    latent=6, feature_base=32, feature_max=8, stable_images=48, fade_images=64, batches=(16, 8), group=4
)
"""It grows within a few steps."""

SMALL_SRGAN = SRGANConfig(
    width=6, blocks=1, crop=16, discriminator_width=4, mse_images=64, optimizer=SteppedAdam((1e-3, 1e-4), (80,))
)
"""It comes to the second part within a few steps."""

SMALL_CONFIGS: dict[str, Any] = {
    "autoencoder": AutoencoderConfig(hidden=(24,), latent=4),
    "denoising": DenoisingConfig(hidden=(24,)),
    "vae": VAEConfig(hidden=(24,), latent=4),
    "dcgan": DCGANConfig(latent=6, width=4),
    "gan": SMALL_GAN,
    "wgan": WGANConfig(latent=6, width=4, critic_steps=2),
    "progressive": SMALL_PROGRESSIVE,
    "pix2pix": Pix2PixConfig(width=4, discriminator_width=4, patch=16),
    "cyclegan": CycleGANConfig(width=4, blocks=1, discriminator_width=4, patch=16, pool=4),
    "srgan": SMALL_SRGAN,
}
"""A small instance of every model of the table: one line for each."""

VARIANTS: dict[str, Any] = {
    **SMALL_CONFIGS,
    "vae, convolutional": VAEConfig(architecture="conv", hidden=(24,), latent=4, width=4, activation="relu"),
    "vae, grey targets": VAEConfig(hidden=(24, 12), latent=4, targets="grey"),
    "vae, gaussian": VAEConfig(hidden=(24,), latent=4, decoder="gaussian"),
    "vae, gaussian with predicted scale": VAEConfig(hidden=(24,), latent=4, decoder="gaussian", scale="predicted"),
    "vae, logistic": VAEConfig(hidden=(24,), latent=4, decoder="logistic", scale="predicted"),
    "vae, logistic, convolutional": VAEConfig("conv", (24,), 4, width=4, decoder="logistic", scale="fixed"),
    "vae, beta and free bits": VAEConfig(hidden=(24,), latent=4, beta=4.0, free_bits=0.1, warmup=100, samples=3),
    "iwae": VAEConfig(hidden=(24,), latent=4, objective="iwae", samples=5, initialisation="scaled"),
    "iwae, two layers": VAEConfig(
        hidden=(24,), latent=6, upper_hidden=(12,), upper_latent=3, objective="iwae", samples=5
    ),
    "vae, two layers": VAEConfig(hidden=(24,), latent=6, upper_latent=3),
    "autoencoder, linear": AutoencoderConfig(hidden=(), latent=4, output="linear", loss="squared-error"),
    "autoencoder, convolutional": AutoencoderConfig(architecture="conv", hidden=(24,), latent=4, width=4),
    "denoising, tied": DenoisingConfig(hidden=(24, 12), tied=True, corruption="gaussian"),
    "denoising, emphasised": DenoisingConfig(hidden=(24,), corruption="salt-and-pepper", emphasis=(1.0, 0.0)),
    "denoising, convolutional": DenoisingConfig("conv", (24,), width=4, corruption="blocks"),
    "dcgan, gaussian prior": DCGANConfig(latent=6, width=4, prior="gaussian"),
    "dcgan, minimax": DCGANConfig(latent=6, width=4, loss="minimax"),
    "dcgan, least squares": DCGANConfig(latent=6, width=16, loss="least-squares", normalisation="none"),
    "dcgan, hinge and spectra": DCGANConfig(latent=6, width=4, loss="hinge", normalisation="spectral"),
    "dcgan, r1": DCGANConfig(latent=6, width=16, normalisation="none", r1=10.0, r1_every=2),
    "dcgan, augmented": DCGANConfig(latent=6, width=4, augmentation=Augmentation(("colour", "translation", "cutout"))),
    "gan, in turn": replace(SMALL_GAN, moves="alternating", discriminator_steps=2, prior="gaussian"),
    "gan, minimax": replace(SMALL_GAN, loss="minimax", output="linear"),
    "gan, convolutional": replace(
        SMALL_GAN, architecture="convolutional", hidden=(24,), activations=("relu",), discriminator_range=0.05
    ),
    "gan, adam": replace(SMALL_GAN, optimizer=Adam(2e-4)),
    "progressive, at once": replace(SMALL_PROGRESSIVE, moves="simultaneous", group=0, prior="uniform"),
    "progressive, not growing": replace(SMALL_PROGRESSIVE, growth="none"),
    "wgan, layer normalisation": WGANConfig(latent=6, width=4, critic_steps=1, normalisation="layer", prior="uniform"),
    "pix2pix, instance": Pix2PixConfig(4, normalisation="instance", discriminator_width=4, patch=1, dropout=0),
    "pix2pix, without skips": Pix2PixConfig(
        4, 2, False, discriminator="unconditional", discriminator_width=4, patch=16
    ),
    "pix2pix, L1 alone": Pix2PixConfig(4, discriminator="none", mirror=False, enlarge=1),
    "cyclegan, GAN alone": CycleGANConfig(4, 1, 4, 1, lambda_cycle=0, pool=0, enlarge=1, mirror=False),
    "cyclegan, cycle alone": CycleGANConfig(4, 1, 4, 16, adversarial=0, identity=0),
    "cyclegan, forward cycle": CycleGANConfig(4, 1, 4, 16, cycles="forward"),
    "srresnet": replace(SMALL_SRGAN, mse_images=None, normalisation="none", skip="bicubic", factor=2),
    "esrgan": replace(
        SMALL_SRGAN, network="rrdb", skip="bilinear", game="relativistic", pixel=0.01, pixel_error="absolute"
    ),
    "dcgan, classes": DCGANConfig(latent=6, width=4, classes=3),
}


def parameters(*modules: torch.nn.Module) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for module in modules for p in module.parameters())


def generating(configs: Mapping[str, Any]) -> list[str]:
    """Names of those whose model draws images."""
    return [name for name, config in configs.items() if issubclass(model_of_config(config), Generates)]


def stripes(count: int = 256, size: int = 16, seed: int = 0) -> np.ndarray:
    """uint8 `[count, 1, size, size]`: a bright bar at a random height on a dark ground, with a little noise."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 40, (count, 1, size, size))
    for image, top in zip(images, rng.integers(0, size - 4, count), strict=True):
        image[:, top : top + 4] += 200
    return images.astype(np.uint8)


def save_stripes(folder: Path, count: int = 256, size: int = 16) -> Path:
    """The stripes as an .npy file."""
    path = folder / f"stripes{size}.npy"
    np.save(path, stripes(count, size)[:, 0])
    return path


def build(config: Any, shape: tuple[int, int, int] = (1, 16, 16), seed: int = 0) -> Model:
    """An untrained model."""
    torch.manual_seed(seed)
    return model_of_config(config)(config, shape)


def one_process(precision: str = "fp32") -> Processes:
    return launch(Runtime(device="cpu"), precision)


def trainer(
    config: Any, precision: str = "fp32", shape: tuple[int, int, int] = (1, 16, 16), **training: Any
) -> Trainer:
    settings = {"images": 10_000, "batch": 16} | training
    micro_batches = settings.pop("micro_batches", 1)
    return Trainer(build(config), Training(**settings), one_process(precision), micro_batches)


def drive(trainer: Trainer, steps: int, images: np.ndarray) -> Trainer:
    """Some steps over `images`, in order."""
    for _ in range(steps):
        where = np.arange(trainer.images, trainer.images + trainer.batch) % len(images)
        label = torch.from_numpy(where % max(1, trainer.model.classes))
        image = torch.from_numpy(images[where])
        trainer.step({"image": image, "input": 255 - image, "label": label})
    return trainer


def experiment(config: Any, data: Path | str, **training: Any) -> Experiment[Any]:
    settings = {"images": 1024, "batch": 32, "log_every": 128, "checkpoint_every": 256, "picture_every": 512}
    options = Options() if model_of_config(config).takes == "images" else Options(inputs="mask")
    return Experiment(config, str(data), options, Training(**{**settings, "precision": "fp32", **training}))


def command_of(experiment: Experiment[Any], out: Path) -> list[str]:
    """The command line that trains `experiment`, for tests that start a process of its own."""
    name = model_name(model_of_config(experiment.model))
    words = ["train", name, "--data", experiment.data, "--out", str(out), "--device", "cpu"]
    words += ["--inputs", experiment.options.inputs] if experiment.options.inputs else []
    model, training = type(experiment.model)(), Training()
    return (
        words
        + _words(to_json(experiment.model), to_json(model))
        + _words(to_json(experiment.training), to_json(training))
    )


def _words(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """Options that are not what they would be anyhow; a switch is on or off by default."""
    words: list[str] = []
    for key, value in options.items():
        flag = key.replace("_", "-")
        if isinstance(value, dict):  # such as an optimizer, whose options have no prefix
            words += _words(value, defaults[key])
        elif isinstance(value, bool):
            words += [f"--{flag}" if value else f"--no-{flag}"] * (value != defaults[key])
        elif value is not None:
            words += [f"--{flag}", *map(str, value if isinstance(value, list) else [value])]
    return words


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of tensors are equal, bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def assert_same_gradients(loss: torch.Tensor, expected: torch.Tensor, network: torch.nn.Module) -> None:
    """Whether the parameters of a network learn the same from both."""
    parameters = list(network.parameters())
    found, wanted = (torch.autograd.grad(of, parameters, retain_graph=True) for of in (loss, expected))
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


def largest_difference(a: Model, b: Model) -> float:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return max(float((x.double() - y.double()).abs().max()) for x, y in pairs)
