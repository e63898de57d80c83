"""Images/s of the importance-weighted bound and of sampling, beside Pythae 0.1.2 with the same networks and weights.

The networks are 784-512-16 rectifier VAEs with Bernoulli pixels, fp32. Pythae's `get_nll` takes an image at a time, and
as many of its draws together as `batch_size` says: all 1,000 here, and its default of 100. Both sides bound the same
binarised images; the bounds are printed, as they must agree. Its sampler's images are brought to uint8 as ours are.

Pythae is no dependency. It goes in a folder of its own, without what it would pull in, and is skipped where it is not:

    pip install --no-deps --target pythae pythae==0.1.2 cloudpickle imageio pydantic pydantic-core annotated-types \
        typing-inspection tqdm
    PYTHONPATH=pythae python benchmarks/likelihood.py
"""

from fairdraw.launcher import share_the_machine

share_the_machine()

import logging  # noqa: E402
import warnings  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import tyro  # noqa: E402
from side_by_side import compare  # noqa: E402

from fairdraw import data  # noqa: E402
from fairdraw.metrics.importance import evidence  # noqa: E402
from fairdraw.models.vae import VAE, VAEConfig  # noqa: E402
from fairdraw.pictures import sampled  # noqa: E402

HIDDEN, LATENT = 512, 16


def ours() -> VAE:
    torch.manual_seed(0)
    return VAE(VAEConfig(hidden=(HIDDEN,), latent=LATENT, activation="relu"), (1, 28, 28)).eval()


def theirs(model: VAE) -> Any:
    """Pythae's VAE with the weights of `model`; None where it is not installed."""
    try:
        with warnings.catch_warnings(action="ignore"):
            from pythae.models import VAE as PythaeVAE
            from pythae.models import VAEConfig as PythaeConfig
    except ImportError:
        return None
    logging.disable(logging.INFO)
    found = PythaeVAE(PythaeConfig(input_dim=model.shape, latent_dim=LATENT, reconstruction_loss="bce")).eval()
    mean, log_var = model.encoder[3], found.encoder.log_var
    with torch.no_grad():
        for layer, source in (
            (found.encoder.layers[0][0], model.encoder[1]),
            (found.decoder.layers[0][0], model.decoder[0]),
            (found.decoder.layers[1][0], model.decoder[2]),
        ):
            layer.load_state_dict(source.state_dict())
        for part, layer in enumerate((found.encoder.embedding, log_var)):
            layer.weight.copy_(mean.weight.chunk(2)[part])
            layer.bias.copy_(mean.bias.chunk(2)[part])
    return found


def bound_ways(model: VAE, pythae: Any, images: int, samples: int) -> dict[str, Callable[[], int]]:
    digits = data.open("digits").test
    binary = 255 * (digits.images(np.arange(images)) >= 128).astype(np.uint8)  # nothing is left to draw
    x = torch.from_numpy(binary / np.float32(255))

    def their_bound(batch: int) -> Callable[[], int]:
        def way() -> int:
            with torch.inference_mode():
                pythae.get_nll(x, n_samples=samples, batch_size=batch)
            return images

        return way

    def our_bound() -> int:
        evidence(model, binary, samples)
        return images

    if pythae is None:
        return {"fairdraw": our_bound}
    with torch.inference_mode():
        their_nll = -pythae.get_nll(x, n_samples=samples, batch_size=samples)
    print(f"-log p bound, nats: fairdraw {-evidence(model, binary, samples).bounds[samples].mean():.3f}, ", end="")
    print(f"Pythae {their_nll:.3f}")
    return {
        "Pythae, all draws together": their_bound(samples),
        "Pythae, its 100 together": their_bound(100),
        "fairdraw": our_bound,
    }


def sample_ways(model: VAE, pythae: Any, images: int) -> dict[str, Callable[[], int]]:
    def our_sample() -> int:
        return len(sampled(model, images, seed=0))

    if pythae is None:
        return {"fairdraw": our_sample}
    with warnings.catch_warnings(action="ignore"):
        from pythae.samplers import NormalSampler

    sampler = NormalSampler(pythae)

    def their_sample() -> int:
        with torch.inference_mode():
            made = sampler.sample(images)
            return len((made * 255).round().clamp(0, 255).to(torch.uint8).numpy())

    return {"Pythae": their_sample, "fairdraw": our_sample}


def main(
    bounded: int = 40, samples: int = 1000, drawn: int = 100_000, rounds: int = 5, threads: int | None = None
) -> None:
    """Compare both.

    Args:
        bounded: images whose bound is estimated in one round.
        samples: k of the bound.
        drawn: images drawn in one round.
        rounds: how often each side has its turn.
        threads: of torch.
    """
    if threads:
        torch.set_num_threads(threads)
    model = ours()
    pythae = theirs(model)
    if pythae is None:
        print("Pythae is not installed: its side is skipped")
    print(f"bound with k = {samples}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    compare(bound_ways(model, pythae, bounded, samples), rounds, digits=1)
    print(f"{drawn:,} images to uint8")
    compare(sample_ways(model, pythae, drawn), rounds)


if __name__ == "__main__":
    tyro.cli(main)
