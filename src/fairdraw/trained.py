"""A trained model with what is known of it: where it lies, what it was trained on, how its images were prepared."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from fairdraw import data
from fairdraw.config import from_json, to_json
from fairdraw.data import Dataset, Options
from fairdraw.data.single import open_fitted
from fairdraw.devices import find_device
from fairdraw.errors import InputError
from fairdraw.model import Model
from fairdraw.run import load_with_facts


@dataclass(frozen=True)
class Trained:
    """A model in eval mode, the path that it was opened from, and what its file says of it."""

    model: Model
    path: Path
    facts: dict[str, Any]

    @classmethod
    def open(cls, path: Path, device: str = "auto") -> "Trained":
        """Open a run folder or a model file.

        Raises:
            InputError: where there is no whole model file, or the device is not there.
        """
        model, facts = load_with_facts(path)
        return cls(model.to(find_device(device)), path, facts)

    @property
    def pictures(self) -> Path:
        """Where its pictures go by default: the run's, or the current folder for a lone file."""
        return self.path / "pictures" if self.path.is_dir() else Path()

    def training_data(self) -> Dataset:
        """The data that it was trained on, with the very same parts.

        Raises:
            InputError: where they are gone or changed.
        """
        known = self.facts.get("data", {})
        if "name" not in known:
            raise InputError(f"{self.path} does not say what it was trained on: name the data")
        try:
            dataset = data.open(known["name"], self._options())
        except InputError as error:
            gone = f"{self.path} was trained on {known['name']}, which cannot be opened from here"
            raise InputError(f"{gone}: {error}") from error
        if dataset.fingerprint != known.get("fingerprint"):
            raise InputError(f"{known['name']} is no longer the data that {self.path} was trained on: restore it")
        return dataset

    def open_data(self, source: str, inputs: str | None = None) -> tuple[Dataset, bool]:
        """The images of `source` in the model's shape, and whether they are what the model was trained on.

        `inputs` are what is translated into them, where that is not made as in training.

        Picture files differ in size by nature and are fitted as in training; arrays are taken as they are.

        Raises:
            InputError: for a source that cannot be opened, or images that have another shape.
        """
        known = self.facts.get("data", {})
        if inputs is None and known.get("name") and Path(source).resolve() == Path(known["name"]).resolve():
            dataset = data.open(source, self._options())
            if dataset.fingerprint == known.get("fingerprint"):
                return dataset, True
        self._check_arrays(source)
        channels, height, width = self.model.shape
        square = height if height == width else None
        kept = self._options().elsewhere() if inputs is None else replace(self._options(), inputs=inputs)
        options = replace(kept, size=square, channels=cast(Literal[1, 3, 4], channels), leave_out=())
        dataset = data.open(source, options)
        if dataset.shape != self.model.shape:
            raise self._another_shape(source, dataset.shape)
        return dataset, False

    def picture(self, path: str | Path) -> tuple[np.ndarray, str]:
        """A picture file as the model's own images are, uint8 `[C, H, W]`, and in words how it was fitted, if it was.

        Raises:
            InputError: where it cannot be read, or be brought to the model's shape.
        """
        return open_fitted(path, self.model.shape, self._options())

    def _check_arrays(self, source: str) -> None:
        """Refuse arrays that would have to be fitted, where those that the model was trained on were not."""
        options = self._options()
        stored = data.stored_shape(source, options)
        if stored is None:
            return
        either = options.channels != "auto" or options.inputs is not None  # of two domains the one has more
        fitted = (either, options.size is not None, options.size is not None)
        if any(a != b and not fit for a, b, fit in zip(stored, self.model.shape, fitted, strict=True)):
            raise self._another_shape(source, stored)

    def _another_shape(self, source: str, shape: tuple[int, int, int]) -> InputError:
        return InputError(
            f"{source} holds images of {_words(shape)}, {self.path} is a model of {_words(self.model.shape)}: "
            "give images of the model's size and channels"
        )

    def _options(self) -> Options:
        # a file from before an option was there was made without it, which every default stands for
        return from_json(Options, to_json(Options()) | self.facts.get("options", {}), "options")


def _words(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"{width}x{height} px and {channels} channel{'' if channels == 1 else 's'}"
