"""The command line: one verb, one function. Results go to stdout, progress and errors to stderr.

Exit codes: 0 done, 2 bad input (one line says what, where and the remedy), 5 training diverged, 130 and 143 stopped by
Ctrl-C and SIGTERM with a checkpoint saved.
"""

import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import tyro

import fairdraw
from fairdraw.command import Result, call, parse, readers_may_leave, stop
from fairdraw.data import Options
from fairdraw.errors import DivergedError, InputError, nearest
from fairdraw.launcher import launcher_rank, share_the_machine

if TYPE_CHECKING:
    from fairdraw.config import Experiment, Runtime

DEFAULT_OPTIONS = Options()
MOST_ON_A_SHEET = 10_000
MOST_FILES = 1_000_000
OTHER_FILES = (".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".txt", ".json", ".npy", ".npz", ".pdf")
Device = Literal["auto", "cpu", "cuda", "mps"]
Part = Literal["train", "validation", "test", "all"]

USAGE = """usage: fairdraw VERB ... [--json]

  demo                      train a small VAE on bundled digits and look at it: a minute or two on a laptop
  train MODEL               train a model on your images; the same command again resumes
  sample RUN                the first draws of a seed, none picked
  reconstruct RUN SOURCE    images beside what the model makes of them
  data check SOURCE         what is in a folder, zip, array file or built-in set, and what is wrong with it
  data list                 the built-in sets
  models                    the models and presets that can be trained

`fairdraw VERB --help` explains a verb, `fairdraw train MODEL --help` a model's options."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit."""
    share_the_machine()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with readers_may_leave():
            result = _run([word for word in words if word != "--json"])
            result.show("--json" in words)
    except InputError as error:
        stop(str(error), 2)
    except DivergedError as error:
        stop(str(error), 5)
    except KeyboardInterrupt:
        stop("interrupted", 130)
    sys.exit(result.code)


def demo(out: Path = Path("runs/demo"), seed: int = 0, device: Device = "auto") -> Result:
    """Train a small VAE on 5,000 bundled digits, draw from it, and measure it on held-out digits.

    Args:
        out: the run folder.
        seed: of the weights, the order of the data and the noise.
        device: where to compute.
    """
    from fairdraw.config import Runtime
    from fairdraw.presets import preset

    experiment = preset("demo")
    experiment = replace(experiment, training=replace(experiment.training, seed=seed))
    return _train(experiment, out, Runtime(device=device))


def sample(
    run: tyro.conf.Positional[Path],
    count: int = 64,
    seed: int = 0,
    out: Path | None = None,
    neighbours: bool = False,
    device: Device = "auto",
) -> Result:
    """Draw the first COUNT images of a seed, none picked and none dropped.

    Args:
        run: a run folder or a model.safetensors file.
        count: how many images.
        seed: the same seed gives the same images; a larger count only adds to them.
        out: a .png for one sheet, or a folder for one file an image (default: a sheet in the run's pictures).
        neighbours: put the nearest training image beside each sample.
        device: where to compute.
    """
    from fairdraw import pictures
    from fairdraw.metrics.neighbours import nearest_images
    from fairdraw.model import Generates
    from fairdraw.trained import Trained

    _check_count_and_out(count, out)
    if out is not None and out.suffix.lower() != ".png":
        _check_folder_is_ours(out)
    trained = Trained.open(run, device)
    if not isinstance(trained.model, Generates):
        raise InputError(f"{run}: {trained.facts['model']} generates no images from noise; use another verb")
    samples = pictures.sampled(trained.model, count, seed)
    facts = pictures.draw_facts(count, seed, trained.facts)
    out = out or trained.pictures / f"samples-seed{seed}-count{count}{'-neighbours' if neighbours else ''}.png"
    lines = [f"{out}: {facts['draws']}" + ("" if out.suffix.lower() == ".png" else f", in {count} files")]
    beside = None
    if neighbours:
        train = trained.training_data().train
        where, distance = nearest_images(samples, train)
        beside = train.images(where)
        facts |= {
            "shows": "each sample, then the nearest training image by pixel distance",
            "neighbours": [train.dataset.names[i] for i in train.indices[where]],
            "neighbour_rms_distance": [round(float(d), 5) for d in distance],
        }
        lines.append(f"nearest training image: RMS pixel distance {distance.min():.3f} to {distance.max():.3f}")
    pictures.save_samples(out, samples, beside, facts)
    return Result({**facts, "out": str(out)}, lines)


def reconstruct(
    run: tyro.conf.Positional[Path],
    source: tyro.conf.Positional[str],
    count: int = 32,
    part: Part | None = None,
    out: Path | None = None,
    seed: int = 0,
    device: Device = "auto",
) -> Result:
    """Show COUNT images spread evenly over a source, each beside what the model makes of it.

    Args:
        run: a run folder or a model.safetensors file.
        source: a built-in name, a folder, a zip, an .npy or .npz file, or hf:owner/name.
        count: how many images.
        part: part of the source (default: test for the data that the model was trained on, else all).
        out: a .png, or a folder for it (default: the run's pictures).
        seed: of the random numbers, for models whose reconstructions are drawn.
        device: where to compute.
    """
    from fairdraw import pictures
    from fairdraw.images import save_png
    from fairdraw.metrics.held_out import squared_error
    from fairdraw.model import Encodes, Generates
    from fairdraw.order import spread
    from fairdraw.trained import Trained

    _check_count_and_out(count, out)
    trained = Trained.open(run, device)
    if not (isinstance(trained.model, Encodes) and isinstance(trained.model, Generates)):
        raise InputError(f"{run}: {trained.facts['model']} has no encoder to reconstruct with; use `fairdraw sample`")
    dataset, own = trained.open_data(source)
    part = part or ("test" if own else "all")
    chosen = dataset.split(part)
    if not len(chosen):
        raise InputError(f"{source} has no {part} images (of {len(dataset.all)}): choose another --part")
    originals = chosen.images(spread(len(chosen), count))
    made = pictures.reconstructed(trained.model, originals)
    which = f"{'' if part == 'all' else part + ' '}images of {source}"
    number = squared_error(originals, made, on=which)
    name = f"reconstructions-{Path(source).stem}-{part}.png"
    out = trained.pictures / name if out is None else out if out.suffix.lower() == ".png" else out / name
    facts = {
        "model": trained.facts["model"],
        "model_sha256": trained.facts["sha256"],
        "shows": f"{len(originals)} {which}, spread evenly over them, each beside its reconstruction",
        "seed": seed,
        "count": len(originals),
    }
    save_png(out, pictures.pair_sheet(originals, made), facts, machine_made=True)
    return Result({**facts, "out": str(out), "numbers": [asdict(number)]}, [f"{out}: {facts['shows']}", str(number)])


def check(source: tyro.conf.Positional[str], options: tyro.conf.OmitArgPrefixes[Options] = DEFAULT_OPTIONS) -> Result:
    """Report counts, sizes, modes, unreadable files, duplicates and leaks of a source, before anybody trains on it.

    Args:
        source: a built-in name, a folder, a zip, an .npy or .npz file, or hf:owner/name.
        options: how pictures become arrays.
    """
    from fairdraw import data

    report = data.check(source, options)
    return Result(json.loads(report.to_json()), str(report).splitlines(), code=0 if report.ok else 2)


def list_data() -> Result:
    """List the built-in sets of images."""
    from fairdraw import data

    sets = data.builtin()
    lines = []
    for name, entry in sets.items():
        channels, height, width = entry.shape
        what = f"{entry.count:>7,} of {height}x{width}x{channels}  {entry.description}; {entry.licence}; {entry.how}"
        lines.append(f"{name:14} {what}")
    return Result({"sets": {name: asdict(entry) for name, entry in sets.items()}}, lines)


def models() -> Result:
    """List the models and presets that `fairdraw train` knows, and what each can do once it is trained."""
    from fairdraw.model import Bounds, Encodes, Generates
    from fairdraw.models import MODELS, model_class, model_name, model_of_config
    from fairdraw.presets import PRESETS

    abilities = {"generates": Generates, "encodes": Encodes, "bounds the likelihood": Bounds}
    found: dict[str, Any] = {}
    for name, entry in MODELS.items():
        kind = model_class(name)
        can = [words for words, capability in abilities.items() if issubclass(kind, capability)]
        presets = [p for p, e in PRESETS.items() if model_name(model_of_config(e.model)) == name]
        found[name] = {"paper": entry.paper, "capabilities": can, "presets": presets}
    lines = [
        f"{n:8} {m['paper']}\n         {', '.join(m['capabilities'])}; presets: {', '.join(m['presets'])}"
        for n, m in found.items()
    ]
    return Result({"models": found}, lines)


def _train_verb(words: list[str]) -> Result:
    """`fairdraw train NAME ...`: the options are those of the model that NAME trains."""
    from fairdraw.config import Experiment, Runtime
    from fairdraw.models import MODELS

    if not words or words[0].startswith("-"):
        names = "\n".join(f"  {name:8} {entry.paper}" for name, entry in MODELS.items())
        if words[:1] in (["-h"], ["--help"]):
            print(
                f"usage: fairdraw train MODEL [OPTIONS]\n\n{names}\n\n`fairdraw train MODEL --help` shows its options."
            )
            sys.exit(0)
        raise InputError(f"train what? Name one of {', '.join(MODELS)} (or a preset of `fairdraw models`)")

    from fairdraw.presets import preset

    name, experiment = words[0], preset(words[0])
    kind = type(experiment.model)

    @dataclass(frozen=True)
    class Arguments:
        """Train a model, or resume: the same command again goes on where it stopped.

        Args:
            experiment: what a result depends on.
            runtime: where it is computed.
            out: the run folder (default: runs/MODEL-DATA).
            epochs: passes over the training images, in place of --images.
        """

        experiment: Experiment[kind]  # type: ignore[valid-type]
        runtime: Runtime = field(default_factory=Runtime)
        out: Path | None = None
        epochs: float | None = None

    parsed = parse(
        tyro.conf.OmitArgPrefixes[Arguments], words[1:], f"fairdraw train {name}", default=Arguments(experiment)
    )
    experiment = parsed.experiment
    if parsed.epochs is not None:
        experiment = _with_epochs(experiment, parsed.epochs)
    return _train(experiment, parsed.out or Path("runs") / f"{name}-{_slug(experiment.data)}", parsed.runtime)


VERBS: dict[str, Callable[..., Result]] = {
    "demo": demo,
    "sample": sample,
    "reconstruct": reconstruct,
    "data check": check,
    "data list": list_data,
    "models": models,
}


def _run(words: list[str]) -> Result:
    if not words or words[0] in ("-h", "--help"):
        return Result({"usage": USAGE}, USAGE.splitlines())
    if words[0] == "--version":
        return Result({"version": fairdraw.__version__}, [fairdraw.__version__])
    verb, rest = words[0], words[1:]
    if verb == "train":
        return _train_verb(rest)
    if verb == "data":
        verb, rest = " ".join(words[:2]), words[2:]
    if verb not in VERBS:
        known = ["train", *VERBS]
        raise InputError(f"unknown verb {verb!r}{nearest(verb, known)}; the verbs are {', '.join(known)}")
    return call(VERBS[verb], rest, f"fairdraw {verb}")


def _train(experiment: "Experiment[Any]", out: Path, runtime: "Runtime") -> Result:
    import torch

    from fairdraw.files import write_json
    from fairdraw.loop import Interrupted, train
    from fairdraw.metrics.held_out import held_out_numbers
    from fairdraw.trained import Trained

    try:
        run = train(experiment, out, runtime)
    except Interrupted as interrupted:
        stop(str(interrupted), 128 + interrupted.number)
    except torch.OutOfMemoryError as error:
        raise InputError("out of memory: choose a smaller --batch, or divide it with --micro-batches") from error
    if launcher_rank() > 0:  # the first process speaks for all
        sys.exit(0)
    trained = Trained.open(run.folder, runtime.device)
    numbers = held_out_numbers(trained.model, trained.training_data())
    write_json(run.folder / "numbers.json", [asdict(number) for number in numbers])
    newest = {path.stem.rpartition("-")[0]: str(path) for path in sorted(run.pictures.glob("*-*.png"))}
    facts = {"run": str(run.folder), "model": str(run.model_file), "pictures": list(newest.values())}
    lines = [f"run       {run.folder}", f"model     {run.model_file}"]
    lines += [f"picture   {path}" for path in newest.values()] + [f"held out  {number}" for number in numbers]
    return Result({**facts, "numbers": [asdict(number) for number in numbers]}, lines)


def _with_epochs(experiment: "Experiment[Any]", epochs: float) -> "Experiment[Any]":
    from fairdraw import data

    if not 0 < epochs < math.inf:
        raise InputError(f"--epochs {epochs:g}: give more than 0")
    count = len(data.open(experiment.data, experiment.options).train)
    return replace(experiment, training=replace(experiment.training, images=max(1, round(epochs * count))))


def _check_count_and_out(count: int, out: Path | None) -> None:
    if count < 1:
        raise InputError(f"--count {count}: give at least 1")
    most = MOST_ON_A_SHEET if out is None or out.suffix.lower() == ".png" else MOST_FILES
    if count > most:
        raise InputError(
            f"--count {count}: at most {MOST_ON_A_SHEET:,} on a sheet and {MOST_FILES:,} in a folder (--out)"
        )
    if out is not None and out.suffix.lower() in OTHER_FILES:
        raise InputError(f"--out {out}: pictures are written as PNG; give a .png file or a folder")


def _check_folder_is_ours(out: Path) -> None:
    """Files of a sheet must not lose themselves among a person's own pictures."""
    if out.is_dir() and any(not path.name.startswith("seed") for path in out.iterdir()):
        raise InputError(
            f"--out {out} is a folder with other files in it: give a new folder, or a .png file for a sheet"
        )


def _slug(source: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", Path(source).name.lower()).strip("-") or "data"
