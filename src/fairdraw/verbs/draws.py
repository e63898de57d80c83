"""Which latents a verb makes images of: the first draws of a seed, perhaps of a class, or those of a file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fairdraw.errors import InputError, nearest
from fairdraw.verbs.common import check_count_and_out, some_of, word_for_a_file

if TYPE_CHECKING:
    from torch import Tensor

    from fairdraw.trained import Trained


COUNT = 64
DIGITS = 10
"""A number of a label or draw has fewer."""


@dataclass(frozen=True)
class Draws:
    """Which images to make.

    Args:
        count: how many images (default: 64).
        seed: the same seed gives the same images; a larger count only adds to them (default: 0).
        label: draw images of this label only, for a model that was trained with labels.
        truncation: draw from this central share of the prior alone, up to 1: less varied, often smoother. It is written
            on the sheet.
        latents: in place of draws, the latents in this .npy file, [images, D].
    """

    count: int | None = None
    seed: int | None = None
    label: str | None = None
    truncation: float | None = None
    latents: Path | None = None

    def check(self) -> None:
        """Refuse options that do not go together, before anything is opened.

        Raises:
            InputError: with the options.
        """
        given = [name for name in ("count", "seed", "label", "truncation") if getattr(self, name) is not None]
        if self.latents is not None and given:
            raise InputError(f"--latents says which images to make: leave out --{', --'.join(given)}")
        if self.truncation is not None and not 0 < self.truncation <= 1:
            raise InputError(
                f"--truncation {self.truncation:g}: give the central share of the prior to draw from, above 0 and at "
                "most 1"
            )

    def named(self, trained: "Trained") -> "Draws":
        """With the label by its name, where it was given by its number.

        Raises:
            InputError: for a label that the model does not know.
        """
        return replace(self, label=class_name(trained, self.label))

    def of(self, trained: "Trained", out: Path | None) -> "Tensor":
        """The latents `[N, D]` of the images that go to `out`, where the model is.

        Raises:
            InputError: for a label that the model does not know, or a file without latents of its width.
        """
        if self.latents is not None:
            return _latents_in(trained, self.latents, out)
        return draws_of(trained, self.count or COUNT, self.seed or 0, self.truncation or 1.0, self.label)

    @property
    def words(self) -> str:
        """What the images are, for the picture's metadata."""
        if self.latents is not None:
            return f"the latents in {self.latents.name}, in their order"
        cut = "" if self.caption is None else f", {self.caption}"
        return f"the first {self.count or COUNT} of seed {self.seed or 0}{of_label(self.label)}, none picked{cut}"

    @property
    def caption(self) -> str | None:
        """What has to be written on the sheet."""
        if self.truncation is None or self.truncation == 1:
            return None
        return f"truncated: from the central {self.truncation:.3g} of the prior"

    @property
    def name(self) -> str:
        """For the file's name."""
        if self.latents is not None:
            return f"latents-{word_for_a_file(self.latents.stem)}"
        parts = [f"seed{self.seed or 0}{for_a_name(self.label)}"]
        parts += [] if self.caption is None else [f"truncation{self.truncation:g}"]
        return "-".join(parts)


FIRST_DRAWS = Draws()


def draws_of(trained: "Trained", count: int, seed: int, share: float = 1.0, label: str | None = None) -> "Tensor":
    """Latents of the first `count` draws of `seed`, `[count, D]`, from a central share of the prior, of one class.

    Raises:
        InputError: for a label that the model does not know.
    """
    import torch

    from fairdraw import latent
    from fairdraw.capabilities import Generates

    assert isinstance(trained.model, Generates)
    with torch.inference_mode():
        return of_class(trained, latent.drawn(trained.model, count, seed, share), label)


def of_class(trained: "Trained", z: "Tensor", label: str | None) -> "Tensor":
    """The latents `z` `[N, D]` with their class set to the one that is named or numbered; as they are without one.

    Raises:
        InputError: for a label that the model does not know.
    """
    import torch

    from fairdraw.capabilities import Conditions

    if label is None:
        return z
    number = class_number(trained, label)
    assert isinstance(trained.model, Conditions)
    return trained.model.with_class(z, torch.full((len(z),), number, device=z.device))


def class_number(trained: "Trained", label: str) -> int:
    """The number of the class that is named, or numbered where no class has such a name.

    Raises:
        InputError: where the model takes no classes, or has no such one.
    """
    names, classes = list(map(str, trained.facts.get("classes", ()))), trained.model.classes
    if not classes:
        raise InputError(
            f"--label {label}: {trained.path} was trained without labels; give `fairdraw train dcgan` their number "
            "with --classes"
        )
    number = place_of(label, names, classes)
    if number is not None:
        return number
    known = f"its labels are {some_of(names)}" if names else ""
    raise InputError(
        f"--label {label}: {trained.path} knows no such label{nearest(label, names)}; "
        f"{known or f'give 0 to {classes - 1}'}"
    )


def class_name(trained: "Trained", label: str | None) -> str | None:
    """The name of the class that is named or numbered; its number where classes have no names. None where none is.

    Raises:
        InputError: where the model takes no classes, or has no such one.
    """
    if label is None:
        return None
    number, names = class_number(trained, label), trained.facts.get("classes", ())
    return str(names[number]) if names else str(number)


def of_label(label: str | None) -> str:
    """To be said after what the label is of."""
    return "" if label is None else f" of label {label}"


def for_a_name(label: str | None) -> str:
    """For the file's name."""
    return "" if label is None else f"-label-{word_for_a_file(label)}"


def place_of(label: str, names: Sequence[str], count: int) -> int | None:
    """The place of a label among the `names` of `count` labels, or the number given where no name is a number.

    >>> place_of("cat", ["ant", "cat"], 2), place_of("1", ["ant", "cat"], 2), place_of("1", ["1", "2"], 2)
    (1, 1, 0)
    """
    if label in names:
        return names.index(label)
    numbered = label.isdecimal() and len(label) < DIGITS and not any(name.isdecimal() for name in names)
    return int(label) if numbered and int(label) < count else None


def _latents_in(trained: "Trained", path: Path, out: Path | None) -> "Tensor":
    """The latents in an .npy file, `[N, D]`, where the model is; as many as `out` has places for.

    Raises:
        InputError: for what is no such file, or holds latents of another width than the model's, or no finite numbers.
    """
    import numpy as np
    import torch

    from fairdraw import latent
    from fairdraw.capabilities import Generates

    assert isinstance(trained.model, Generates)
    try:
        # Mapped, so that a header which promises more than the file holds is seen before memory is taken for it.
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"--latents {path}: cannot be read as .npy ({error}); write it with numpy.save") from error
    with torch.inference_mode():
        width = latent.median(trained.model).numel()
    wanted = f"{trained.path} takes latents of {width} numbers, [images, {width}]"
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
        raise InputError(
            f"--latents {path} holds {getattr(found, 'dtype', 'several arrays')}: give one array of numbers"
        )
    if found.ndim != 2 or found.shape[1] != width or not len(found):
        raise InputError(f"--latents {path} has the shape {list(found.shape)}: {wanted}")
    check_count_and_out(len(found), out, option=f"--latents {path} has {len(found):,} rows")
    z = torch.from_numpy(found.astype(np.float64)).to(trained.model.dtype).to(trained.model.device)
    finite = z.isfinite().all(1)
    if not finite.all():
        bad = int((~finite).sum())
        kind = str(z.dtype).removeprefix("torch.")
        raise InputError(
            f"--latents {path}: {bad:,} of {len(found):,} rows are not finite as {kind}: look at what wrote them"
        )
    return z
