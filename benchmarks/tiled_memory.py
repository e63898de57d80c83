"""Memory of enlarging a picture to 4K in tiles: SRResNet x4 with 16 blocks of 64 channels, fp32, random weights.

Each size of tile is tried in a process of its own, whose peak of resident memory is read beside what it held before the
picture: the interpreter, torch and the model. 0 stands for the whole picture at once.

python benchmarks/tiled_memory.py [--width 960] [--height 540] [--tiles 128 256 384] [--dtype uint16]
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import tyro


def peak_mib() -> float:
    """The most resident memory that this process has had."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def one(width: int, height: int, tile: int, dtype: str) -> None:
    """In a process of its own."""
    import numpy as np
    import torch

    from fairdraw import SRGANConfig
    from fairdraw.models.srgan import SRGAN
    from fairdraw.tiling import upscaling

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = SRGAN(SRGANConfig(mse_images=None), (3, 96, 96)).eval()
    levels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (3, height, width), dtype)
    before = peak_mib()
    started = time.process_time()
    tiled = upscaling(model, tile or max(width, height))
    made = tiled.of(levels)
    took = time.process_time() - started
    print(
        f"{f'tiles of {tile} px' if tile else 'at once':16} {before:8,.0f} MiB before, {peak_mib() - before:8,.0f} MiB "
        f"more, of which the result {made.nbytes / 2**20:6,.0f}; {took:6.1f} s of a core"
    )


def main(
    width: int = 960,
    height: int = 540,
    tiles: tuple[int, ...] = (128, 192, 256, 384),
    dtype: Literal["uint8", "uint16"] = "uint8",
    alone: bool = False,
) -> None:
    if alone:
        one(width, height, tiles[0], dtype)
        return
    print(f"{width}x{height} to {4 * width}x{4 * height} px, {dtype}", flush=True)
    for tile in tiles:
        words = ["--width", str(width), "--height", str(height), "--dtype", dtype, "--tiles", str(tile), "--alone"]
        subprocess.run([sys.executable, __file__, *words], check=True)


if __name__ == "__main__":
    tyro.cli(main)
