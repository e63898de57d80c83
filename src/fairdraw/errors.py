"""The two ways in which fairdraw gives up: bad input, and a training that diverged."""


class InputError(ValueError):
    """Bad input: the message is one line that says what is wrong, where, and the remedy.

    The command line prints the line and exits with code 2; in Python it is an ordinary `ValueError`.
    """


class DivergedError(RuntimeError):
    """Training produced NaN or infinity again after one roll-back at a lower learning rate (exit code 5)."""
