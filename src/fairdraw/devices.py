"""Where and how precisely to compute, where that is left open."""

import math
import time

import torch

from fairdraw.errors import InputError

WORTHWHILE = 1.25
"""Gain in speed from which on bf16 is chosen by itself."""


def find_device(name: str) -> str:
    """`auto` resolved to the first accelerator there is; any other name checked.

    Raises:
        InputError: for a device that is not there, with the ones that are.
    """
    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there.insert(0, "cuda")
    if name == "auto":
        return there[0]
    if name not in there:
        raise InputError(f"--device {name} is not there: this machine has {', '.join(there)}")
    return name


def find_precision(name: str, device: torch.device) -> str:
    """`auto` resolved to bf16 where the device has it in hardware and gains by it, else fp32."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type != "cpu" or not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return "fp32"
    return "bf16" if _speed_of_bf16() > WORTHWHILE else "fp32"


def _speed_of_bf16(size: int = 512, rounds: int = 7) -> float:
    """How many times faster this processor multiplies matrices in bf16 than in fp32.

    The instruction alone says little: processors that have it were seen to be twice as fast and half as fast with it.
    """
    seconds = {torch.float32: math.inf, torch.bfloat16: math.inf}
    matrices = {dtype: torch.ones(size, size, dtype=dtype) for dtype in seconds}
    for _ in range(rounds):
        for dtype, matrix in matrices.items():
            start = time.perf_counter()
            torch.mm(matrix, matrix)
            seconds[dtype] = min(seconds[dtype], time.perf_counter() - start)
    return seconds[torch.float32] / seconds[torch.bfloat16]
