"""The command `fairdraw`, also as `python -m fairdraw`."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the words of the command line and exit, also where it is interrupted before it can read them."""
    try:
        from fairdraw.cli import main as run
    except KeyboardInterrupt:
        print("fairdraw: interrupted", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
