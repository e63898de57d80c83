"""What a busy neighbour does to training speed, for each choice of threads and waiting policy.

    python benchmarks/neighbour.py [--workload vae|dcgan] [--rounds N]

Each choice runs in a process of its own (the policy is read when torch is loaded), alternately alone and beside
processes that keep a processor busy. The command line uses the choice marked *.
"""

import multiprocessing
import os
import statistics
import subprocess
import sys
from typing import Literal

import tyro

from fairdraw.launcher import SPINS

CHOICES: dict[str, dict[str, str]] = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "all threads, torch's default": {},
    "all threads, passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "all threads, 1,000 spins": {"GOMP_SPINCOUNT": "1000"},
    f"* all threads, {int(SPINS):,} spins": {"GOMP_SPINCOUNT": SPINS},
    "all threads, 100,000 spins": {"GOMP_SPINCOUNT": "100000"},
}

WORK = """
import sys, time, torch
from fairdraw import DCGAN, DCGANConfig, Runtime, Trainer, Training, VAE, VAEConfig
from fairdraw.parallel import launch
vae = sys.argv[1] == "vae"
model = VAE(VAEConfig(), (1, 28, 28)) if vae else DCGAN(DCGANConfig(width=64), (1, 32, 32))
trainer = Trainer(model, Training(images=10**9, batch=64, precision="fp32"), launch(Runtime(device="cpu"), "fp32"))
batch = {"image": torch.randint(0, 255, (64, *model.shape), dtype=torch.uint8)}
trainer.step(batch)
start, steps = time.perf_counter(), 0
while time.perf_counter() - start < 2.5:
    trainer.step(batch)
    steps += 1
print(64 * steps / (time.perf_counter() - start))
"""


def busy() -> None:
    while True:
        pass


def measure(environment: dict[str, str], workload: str) -> float:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, "-c", WORK, workload]
    done = subprocess.run(command, env=kept | environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main(workload: Literal["vae", "dcgan"] = "vae", rounds: int = 3) -> None:
    found: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):
        for neighbours in (0, 1, 2):
            processes = [multiprocessing.Process(target=busy, daemon=True) for _ in range(neighbours)]
            for process in processes:
                process.start()
            for name, environment in CHOICES.items():
                found.setdefault((name, neighbours), []).append(measure(environment, workload))
            for process in processes:
                process.kill()
                process.join()
    print(f"{workload}: images/s, median of {rounds}, on {os.cpu_count()} processors")
    print(f"{'busy neighbours':36} {0:>9} {1:>9} {2:>9}   kept beside one")
    for name in CHOICES:
        alone, one, two = (statistics.median(found[name, n]) for n in (0, 1, 2))
        print(f"{name:36} {alone:9,.0f} {one:9,.0f} {two:9,.0f}   {one / alone:.2f}")


if __name__ == "__main__":
    tyro.cli(main)
