"""Name -> Experiment. A model's own name is its paper's networks, trained as its docstring says; others are recipes."""

from dataclasses import replace
from typing import Any

from fairdraw.config import Experiment, Training
from fairdraw.data import Options
from fairdraw.errors import InputError, nearest
from fairdraw.models.autoencoder import AutoencoderConfig
from fairdraw.models.cyclegan import CycleGANConfig
from fairdraw.models.dcgan import DCGANConfig
from fairdraw.models.denoising import DenoisingConfig
from fairdraw.models.gan import GANConfig, released_momentum
from fairdraw.models.pix2pix import Pix2PixConfig
from fairdraw.models.progressive import ProgressiveConfig
from fairdraw.models.srgan import SRGANConfig, halved
from fairdraw.models.vae import VAEConfig
from fairdraw.models.wgan import WGANConfig
from fairdraw.optimizers import Adam, SteppedAdam

BURDA_EPOCHS = 3280  # the sum of 3^i for i = 0 ... 7
BURDA = VAEConfig(
    hidden=(200, 200), latent=50, initialisation="scaled", optimizer=Adam(1e-3, betas=(0.9, 0.999), epsilon=1e-4)
)
BURDA_TRAINING = Training(images=BURDA_EPOCHS * 59_600, batch=20, schedule="burda")
TILES = Options(size=96, fit="tiles")
SMALL_SRGAN = SRGANConfig(
    width=32,
    blocks=4,
    normalisation="none",
    skip="bicubic",
    crop=48,
    discriminator_width=32,
    mse_images=80_000,
    optimizer=SteppedAdam((1e-3, 3e-4, 1e-4), until=(40_000, 64_000)),
)
GAN_CIFAR = GANConfig(
    prior="gaussian",
    hidden=(8000, 8000),
    activations=("relu", "logistic"),
    output="linear",
    discriminator_hidden=(1600, 1600),
    optimizer=released_momentum(0.025, 100, 40_000),
)
KARRAS_HALF_LIFE = 11_085  # of averages that keep 0.999 of themselves at each minibatch of 16

PRESETS: dict[str, Experiment[Any]] = {
    "autoencoder": Experiment(AutoencoderConfig(), training=Training(images=1_200_000, batch=100, schedule="linear")),
    "autoencoder-2d": Experiment(
        AutoencoderConfig(latent=2), training=Training(images=1_200_000, batch=100, schedule="linear")
    ),
    "autoencoder-conv": Experiment(
        AutoencoderConfig(architecture="conv", hidden=(256,)),
        training=Training(images=400_000, batch=128, schedule="linear"),
    ),
    "autoencoder-linear": Experiment(
        AutoencoderConfig(hidden=(), output="linear", loss="squared-error"),
        training=Training(images=1_200_000, batch=100, schedule="linear"),
    ),
    "denoising": Experiment(DenoisingConfig(), training=Training(images=180_000, batch=100, schedule="linear")),
    "denoising-conv": Experiment(
        DenoisingConfig(architecture="conv", hidden=(512,)),
        training=Training(images=400_000, batch=128, schedule="linear"),
    ),
    "inpainting": Experiment(
        DenoisingConfig(hidden=(1000, 500), corruption="blocks"),
        training=Training(images=600_000, batch=100, schedule="linear"),
    ),
    "iwae": Experiment(replace(BURDA, objective="iwae", samples=50), data="mnist", training=BURDA_TRAINING),
    "iwae-vae": Experiment(BURDA, data="mnist", training=BURDA_TRAINING),
    "iwae-2-layers": Experiment(
        replace(BURDA, latent=100, upper_hidden=(100, 100), upper_latent=50, objective="iwae", samples=50),
        data="mnist",
        training=BURDA_TRAINING,
    ),
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
    "gan": Experiment(GANConfig(), data="mnist", training=Training(images=12_500_000, batch=100)),
    "gan-cifar": Experiment(GAN_CIFAR, data="cifar10", training=Training(images=10_000_000, batch=100)),
    "gan-cifar-conv": Experiment(
        replace(
            GAN_CIFAR,
            architecture="convolutional",
            hidden=(8000,),
            activations=("relu",),
            discriminator_hidden=(500,),
            generator_range=0.05,
            optimizer=released_momentum(0.004, 128, 40_000),
        ),
        data="cifar10",
        training=Training(images=10_000_000, batch=128),
    ),
    "dcgan": Experiment(DCGANConfig(), training=Training(images=600_000, batch=128)),
    "dcgan-mnist": Experiment(
        DCGANConfig(width=32, optimizer=Adam(5e-4, (0.5, 0.999))),
        data="mnist",
        training=Training(images=300_000, batch=64),
    ),
    "progressive": Experiment(
        ProgressiveConfig(),
        training=Training(images=19_000_000, batch=16, warmup_images=40_000, average_half_life=KARRAS_HALF_LIFE),
    ),
    "progressive-cifar": Experiment(
        ProgressiveConfig(
            latent=128,
            feature_max=128,
            stable_images=400_000,
            fade_images=400_000,
            target=750.0,
            moves="simultaneous",
        ),
        data="cifar10",
        training=Training(images=20_000_000, batch=16, average_half_life=KARRAS_HALF_LIFE),
    ),
    "progressive-small": Experiment(
        ProgressiveConfig(
            latent=64,
            feature_base=512,
            feature_max=64,
            stable_images=20_000,
            fade_images=20_000,
            batches=(32,),
            group=4,
        ),
        training=Training(images=200_000, batch=32),
    ),
    "pix2pix": Experiment(Pix2PixConfig(), training=Training(images=80_000, batch=1)),
    "pix2pix-decay": Experiment(Pix2PixConfig(), training=Training(images=80_000, batch=1, schedule="half-linear")),
    "pix2pix-small": Experiment(
        Pix2PixConfig(
            width=24,
            normalisation="instance",
            discriminator_width=24,
            patch=34,
            enlarge=1.0,
            optimizer=Adam(1e-3, (0.5, 0.999)),
        ),
        training=Training(images=50_000, batch=8, schedule="half-linear"),
    ),
    "cyclegan": Experiment(CycleGANConfig(), training=Training(images=240_000, batch=1, schedule="half-linear")),
    "cyclegan-small": Experiment(
        CycleGANConfig(16, 2, 16, patch=34, enlarge=1.0, optimizer=Adam(5e-4, (0.5, 0.999))),
        training=Training(images=12_000, batch=4, schedule="half-linear"),
    ),
    "srresnet": Experiment(
        SRGANConfig(mse_images=None, optimizer=SteppedAdam((1e-4,))),
        options=TILES,
        training=Training(images=16_000_000, batch=16),
    ),
    "srresnet-small": Experiment(
        replace(SMALL_SRGAN, mse_images=None), options=TILES, training=Training(images=80_000, batch=16)
    ),
    "srgan": Experiment(SRGANConfig(), options=TILES, training=Training(images=19_200_000, batch=16)),
    "srgan-small": Experiment(SMALL_SRGAN, options=TILES, training=Training(images=104_000, batch=16)),
    "esrgan": Experiment(
        SRGANConfig(
            network="rrdb",
            blocks=23,
            crop=128,
            pixel_error="absolute",
            feature_error="absolute",
            perceptual="vgg54",
            before_activation=True,
            adversarial=5e-3,
            pixel=1e-2,
            game="relativistic",
            optimizer=halved(2e-4, (200, 400, 600, 800), 1e-4, (1000, 1050, 1100, 1200, 1300)),
        ),
        options=Options(size=128, fit="tiles"),
        training=Training(images=22_400_000, batch=16),
    ),
    "wgan": Experiment(WGANConfig(), training=Training(images=1_500_000, batch=64)),
}


def preset(name: str) -> Experiment[Any]:
    """The experiment of that name.

    Raises:
        InputError: for a name that is not in the table.
    """
    if name not in PRESETS:
        raise InputError(f"unknown model {name!r}{nearest(name, PRESETS)}; `fairdraw models` lists them")
    return PRESETS[name]
