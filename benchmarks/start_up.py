"""How long the interpreter takes to answer, warm: `import fairdraw`, `fairdraw --help`, beside `import torch`.

python benchmarks/start_up.py [--rounds N]
"""

import subprocess
import sys

import tyro
from side_by_side import compare

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import fairdraw": ["-c", "import fairdraw"],
    "fairdraw --help": ["-m", "fairdraw", "--help"],
    "fairdraw train --help": ["-m", "fairdraw", "train", "--help"],
    "fairdraw data list": ["-m", "fairdraw", "data", "list"],
    "import torch": ["-c", "import torch"],
    "fairdraw train vae --help": ["-m", "fairdraw", "train", "vae", "--help"],
}


def main(rounds: int = 5) -> None:
    def start(arguments: list[str]) -> int:
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        return 1

    print("starts per second: 1.0 is one second each")
    compare({name: lambda a=a: start(a) for name, a in COMMANDS.items()}, rounds, digits=2)


if __name__ == "__main__":
    tyro.cli(main)
