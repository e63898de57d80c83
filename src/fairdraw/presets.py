"""Name -> Experiment. Each model's own name is its paper's setting; the other names are recipes."""

from typing import Any

from fairdraw.config import Experiment, Training
from fairdraw.errors import InputError, nearest
from fairdraw.model import Adam
from fairdraw.models.dcgan import DCGANConfig
from fairdraw.models.vae import VAEConfig

PRESETS: dict[str, Experiment[Any]] = {
    "vae": Experiment(VAEConfig(), training=Training(images=400_000, batch=100, schedule="linear")),
    "vae-conv": Experiment(
        VAEConfig(architecture="conv", hidden=(256,), activation="relu"),
        training=Training(images=400_000, batch=128, schedule="linear"),
    ),
    "vae-mnist": Experiment(
        VAEConfig(hidden=(400,), activation="relu", optimizer=Adam(2e-3)),
        data="mnist",
        training=Training(images=285_000, batch=64, schedule="linear"),
    ),
    "demo": Experiment(
        VAEConfig(architecture="conv", hidden=(256,), latent=10, activation="relu"),
        training=Training(images=160_000, batch=128, schedule="linear"),
    ),
    "dcgan": Experiment(DCGANConfig(), training=Training(images=600_000, batch=128)),
}


def preset(name: str) -> Experiment[Any]:
    """The experiment of that name.

    Raises:
        InputError: for a name that is not in the table.
    """
    if name not in PRESETS:
        raise InputError(f"unknown model {name!r}{nearest(name, PRESETS)}; `fairdraw models` lists them")
    return PRESETS[name]
