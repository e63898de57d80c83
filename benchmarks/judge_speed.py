"""What the judge's algebra costs: a Frechet distance beside `scipy.linalg.sqrtm`, and nearest neighbours in memory.

    python benchmarks/judge_speed.py frechet [--features 2048] [--images 5000] [--rounds N]
    python benchmarks/judge_speed.py neighbours [--images 50000] [--features 2048] [--rows 50000]

`frechet` takes both distances in turn, with more images than features and with fewer. `neighbours`
finds the balls of precision and density around `rows` of the images and prints the process's largest memory.
"""

import resource
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
import tyro
from scipy import linalg
from side_by_side import compare

from fairdraw.metrics.distances import radii, squared_distances
from fairdraw.metrics.frechet import frechet_distance, gaussian_distance


def with_sqrtm(mean: np.ndarray, covariance: np.ndarray, mean2: np.ndarray, covariance2: np.ndarray) -> float:
    """The usual form: the trace of the matrix square root of the product of both covariances."""
    root = linalg.sqrtm(covariance @ covariance2)
    apart = mean - mean2
    return float(apart @ apart + np.trace(covariance) + np.trace(covariance2) - 2 * np.trace(root).real)


def moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values.mean(0), np.cov(values, rowvar=False)


def features(count: int, width: int, seed: int) -> np.ndarray:
    """Skewed and correlated, as a network's are."""
    generator = np.random.default_rng(seed)
    mixed = generator.normal(size=(count, width)) @ (generator.normal(size=(width, width)) / width**0.5)
    return np.maximum(mixed + 0.1 * seed, 0).astype(np.float32)


def frechet(width: int = 2048, images: int = 5000, rounds: int = 1, threads: int = 1) -> None:
    """A Frechet distance beside scipy's way."""
    torch.set_num_threads(threads)
    for count in (images, width // 2):
        real, fake = features(count, width, 0).astype(np.float64), features(count, width, 1).astype(np.float64)
        given = (*moments(real), *moments(fake))
        print(f"{count} images: {frechet_distance(real, fake):.6f}, by sqrtm {with_sqrtm(*given):.6f}")
        ways: dict[str, Callable[[], object]] = {
            "sqrtm, moments given": lambda given=given: with_sqrtm(*given),
            "fairdraw, moments given": lambda given=given: gaussian_distance(*given),
            "fairdraw, of the features": lambda real=real, fake=fake: frechet_distance(real, fake),
        }
        compare({name: lambda way=way: len([way()]) for name, way in ways.items()}, rounds, 3)


def neighbours(images: int = 50_000, width: int = 2048, rows: int = 50_000, threads: int = 1) -> None:
    """Balls around images, and which of others lie in them."""
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(images, width, generator=generator, dtype=torch.float64) for _ in range(2))
    start = time.perf_counter()
    inside, done = 0, 0
    wide = radii(x[:rows], (3, 5))[1]
    for part, squared in squared_distances(x[:rows], y):
        inside += int((squared <= wide[part, None]).sum())
        done = part.stop
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    seconds, gigabytes = time.perf_counter() - start, peak / 2**30
    print(f"{done:,} x {images:,} x {width}: {seconds:.0f} s, at most {gigabytes:.2f} GiB ({inside} within)")


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"frechet": frechet, "neighbours": neighbours})
