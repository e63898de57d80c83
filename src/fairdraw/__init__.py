"""fairdraw: train, sample, edit and honestly judge the generative models of the VAE and GAN era on your own images.

The public names load what they need when they are first used, so that `import fairdraw` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from fairdraw.capabilities import Blends as Blends
    from fairdraw.capabilities import Bounds as Bounds
    from fairdraw.capabilities import CodesLosslessly as CodesLosslessly
    from fairdraw.capabilities import Conditions as Conditions
    from fairdraw.capabilities import Denoises as Denoises
    from fairdraw.capabilities import Encodes as Encodes
    from fairdraw.capabilities import Generates as Generates
    from fairdraw.capabilities import Translates as Translates
    from fairdraw.capabilities import Upscales as Upscales
    from fairdraw.config import Experiment as Experiment
    from fairdraw.config import Runtime as Runtime
    from fairdraw.config import Training as Training
    from fairdraw.errors import DivergedError as DivergedError
    from fairdraw.errors import InputError as InputError
    from fairdraw.loop import train as train
    from fairdraw.model import Model as Model
    from fairdraw.models.autoencoder import Autoencoder as Autoencoder
    from fairdraw.models.autoencoder import AutoencoderConfig as AutoencoderConfig
    from fairdraw.models.cyclegan import CycleGAN as CycleGAN
    from fairdraw.models.cyclegan import CycleGANConfig as CycleGANConfig
    from fairdraw.models.dcgan import DCGAN as DCGAN
    from fairdraw.models.dcgan import DCGANConfig as DCGANConfig
    from fairdraw.models.denoising import Denoising as Denoising
    from fairdraw.models.denoising import DenoisingConfig as DenoisingConfig
    from fairdraw.models.gan import GAN as GAN
    from fairdraw.models.gan import GANConfig as GANConfig
    from fairdraw.models.pix2pix import Pix2Pix as Pix2Pix
    from fairdraw.models.pix2pix import Pix2PixConfig as Pix2PixConfig
    from fairdraw.models.progressive import Progressive as Progressive
    from fairdraw.models.progressive import ProgressiveConfig as ProgressiveConfig
    from fairdraw.models.srgan import SRGAN as SRGAN
    from fairdraw.models.srgan import SRGANConfig as SRGANConfig
    from fairdraw.models.vae import VAE as VAE
    from fairdraw.models.vae import VAEConfig as VAEConfig
    from fairdraw.models.wgan import WGAN as WGAN
    from fairdraw.models.wgan import WGANConfig as WGANConfig
    from fairdraw.noise import Noise as Noise
    from fairdraw.presets import preset as preset
    from fairdraw.run import Run as Run
    from fairdraw.run import load as load
    from fairdraw.trainer import Trainer as Trainer

_HOME = {
    "Autoencoder": "models.autoencoder",
    "AutoencoderConfig": "models.autoencoder",
    "CodesLosslessly": "capabilities",
    "Conditions": "capabilities",
    "Denoises": "capabilities",
    "Denoising": "models.denoising",
    "DenoisingConfig": "models.denoising",
    "Blends": "capabilities",
    "Bounds": "capabilities",
    "CycleGAN": "models.cyclegan",
    "CycleGANConfig": "models.cyclegan",
    "DCGAN": "models.dcgan",
    "DCGANConfig": "models.dcgan",
    "DivergedError": "errors",
    "Encodes": "capabilities",
    "Experiment": "config",
    "GAN": "models.gan",
    "GANConfig": "models.gan",
    "Generates": "capabilities",
    "InputError": "errors",
    "Model": "model",
    "Noise": "noise",
    "Pix2Pix": "models.pix2pix",
    "Pix2PixConfig": "models.pix2pix",
    "Progressive": "models.progressive",
    "ProgressiveConfig": "models.progressive",
    "Run": "run",
    "Runtime": "config",
    "SRGAN": "models.srgan",
    "SRGANConfig": "models.srgan",
    "Trainer": "trainer",
    "Training": "config",
    "Translates": "capabilities",
    "Upscales": "capabilities",
    "VAE": "models.vae",
    "VAEConfig": "models.vae",
    "WGAN": "models.wgan",
    "WGANConfig": "models.wgan",
    "load": "run",
    "preset": "presets",
    "train": "loop",
}

__all__ = [*sorted(_HOME), "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fairdraw' has no attribute {name!r}")
    return getattr(import_module(f"fairdraw.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
