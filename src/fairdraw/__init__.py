"""fairdraw: generative models of the VAE and GAN era on your own images."""

__version__ = "0.1.0"
