"""The table of models: one line for each, read without importing torch."""

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from fairdraw.errors import InputError, nearest

if TYPE_CHECKING:
    from fairdraw.model import Model


class Entry(NamedTuple):
    """Where a model lives and the paper it comes from."""

    module: str
    class_name: str
    paper: str


MODELS: dict[str, Entry] = {
    "autoencoder": Entry(
        "fairdraw.models.autoencoder", "Autoencoder", "Hinton & Salakhutdinov 2006, Reducing the dimensionality of data"
    ),
    "denoising": Entry(
        "fairdraw.models.denoising", "Denoising", "Vincent et al. 2008 and 2010, Denoising autoencoders"
    ),
    "vae": Entry("fairdraw.models.vae", "VAE", "Kingma & Welling 2014, Auto-encoding variational Bayes"),
    "gan": Entry("fairdraw.models.gan", "GAN", "Goodfellow et al. 2014, Generative adversarial nets"),
    "dcgan": Entry("fairdraw.models.dcgan", "DCGAN", "Radford, Metz & Chintala 2016, Deep convolutional GANs"),
    "wgan": Entry("fairdraw.models.wgan", "WGAN", "Gulrajani et al. 2017, Improved training of Wasserstein GANs"),
    "progressive": Entry(
        "fairdraw.models.progressive", "Progressive", "Karras et al. 2018, Progressive growing of GANs"
    ),
    "pix2pix": Entry(
        "fairdraw.models.pix2pix", "Pix2Pix", "Isola et al. 2017, Image-to-image translation with conditional GANs"
    ),
    "cyclegan": Entry("fairdraw.models.cyclegan", "CycleGAN", "Zhu et al. 2017, Unpaired image-to-image translation"),
    "srgan": Entry("fairdraw.models.srgan", "SRGAN", "Ledig et al. 2017, Photo-realistic super-resolution by a GAN"),
}


def model_class(name: str) -> "type[Model]":
    """The model's class.

    Raises:
        InputError: for a name that is not in the table.
    """
    if name not in MODELS:
        raise InputError(f"unknown model {name!r}{nearest(name, MODELS)}; `fairdraw models` lists them")
    entry = MODELS[name]
    found: type[Model] = getattr(import_module(entry.module), entry.class_name)
    return found


def model_name(model: "Model | type[Model]") -> str:
    """The name under which the table lists a model."""
    class_name = model.__name__ if isinstance(model, type) else type(model).__name__
    return next(name for name, entry in MODELS.items() if entry.class_name == class_name)


def model_of_config(config: object) -> "type[Model]":
    """The model whose options `config` holds.

    Raises:
        InputError: for an object that is no model's options.
    """
    for name in MODELS:
        kind = model_class(name)
        if isinstance(config, kind.Config):
            return kind
    raise InputError(f"{config!r} holds no model's options: give for example VAEConfig(latent=20)")
