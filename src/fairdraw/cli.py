"""The command line: one verb, one function. Results go to stdout, progress and errors to stderr.

Exit codes: 0 done, 2 bad input (one line says what, where and the remedy), 5 training diverged, 130 and 143 stopped by
Ctrl-C and SIGTERM with a checkpoint saved.
"""

import contextlib
import io
import json as jsonlib
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

import tyro

import fairdraw
from fairdraw.data import Options
from fairdraw.errors import DivergedError, InputError, nearest
from fairdraw.launcher import launcher_rank, share_the_machine

if TYPE_CHECKING:
    from fairdraw.config import Experiment, Runtime
    from fairdraw.data import Dataset
    from fairdraw.metrics.number import Number
    from fairdraw.model import Model
    from fairdraw.run import Run

DEFAULT_OPTIONS = Options()
Device = Literal["auto", "cpu", "cuda", "mps"]
Part = Literal["train", "validation", "test", "all"]

USAGE = """usage: fairdraw VERB ... [--json]

  demo                      train a small VAE on bundled digits and look at it: a minute on a laptop
  train MODEL               train a model on your images; the same command again resumes
  sample RUN                the first draws of a seed, none picked
  reconstruct RUN SOURCE    images beside what the model makes of them
  data check SOURCE         what is in a folder, zip, array file or built-in set, and what is wrong with it
  data list                 the built-in sets
  models                    the models and presets that can be trained

`fairdraw VERB --help` explains a verb, `fairdraw train MODEL --help` a model's options."""


@dataclass(frozen=True)
class Result:
    """What a verb found: `facts` for --json, `lines` for a person."""

    facts: dict[str, Any]
    lines: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit."""
    share_the_machine()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result, as_json = _run(words)
    except InputError as error:
        _stop(str(error), 2)
    except DivergedError as error:
        _stop(str(error), 5)
    except KeyboardInterrupt:
        _stop("interrupted", 130)
    if as_json:
        print(jsonlib.dumps(result.facts))
    else:
        print("\n".join(result.lines))
    sys.exit(0)


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
    from fairdraw import images, pictures
    from fairdraw.metrics.neighbours import nearest_images
    from fairdraw.model import Generates

    _check_count_and_out(count, out)
    model, facts = _load(run, device)
    if not isinstance(model, Generates):
        raise InputError(f"{run}: {facts['model']} generates no images from noise; use another verb")
    samples = pictures.sampled(model, count, seed)
    described = pictures.draw_facts(count, seed, facts)
    out = out or _picture_folder(run) / f"samples-seed{seed}-count{count}{'-neighbours' if neighbours else ''}.png"
    lines, nearest = [], None
    if neighbours:
        train = _training_data(run).train
        where, distance = nearest_images(samples, train)
        nearest = train.images(where)
        described |= {
            "shows": "each sample, then the nearest training image by pixel distance",
            "neighbours": [train.dataset.names[i] for i in train.indices[where]],
            "neighbour_rms_distance": [round(float(d), 5) for d in distance],
        }
        lines.append(f"nearest training image: RMS pixel distance {distance.min():.3f} to {distance.max():.3f}")
    if out.suffix.lower() == ".png":
        sheet = pictures.sample_sheet(samples) if nearest is None else pictures.pair_sheet(samples, nearest)
        images.save_png(out, sheet, described, machine_made=True)
    else:
        for number, tile in enumerate(samples):
            one = slice(number, number + 1)
            shown = images.picture(tile) if nearest is None else pictures.pair_sheet(samples[one], nearest[one])
            path = out / f"seed{seed}-{number:06d}.png"
            images.save_png(path, shown, described | {"number": number}, machine_made=True)
    return Result({**described, "out": str(out)}, [f"{out}: {described['draws']}", *lines])


def reconstruct(
    run: tyro.conf.Positional[Path],
    source: tyro.conf.Positional[str],
    count: int = 32,
    part: Part | None = None,
    out: Path | None = None,
    seed: int = 0,
    device: Device = "auto",
) -> Result:
    """Show the first COUNT images of a source, each beside what the model makes of it.

    Args:
        run: a run folder or a model.safetensors file.
        source: a built-in name, a folder, a zip, an .npy or .npz file, or hf:owner/name.
        count: how many images.
        part: part of the source (default: test for the data that the model was trained on, else all).
        out: a .png, or a folder for it (default: the run's pictures).
        seed: of the random numbers, for models whose reconstructions are drawn.
        device: where to compute.
    """
    import numpy as np

    from fairdraw import images, pictures
    from fairdraw.metrics.number import Number
    from fairdraw.model import Encodes, Generates

    _check_count_and_out(count, out)
    model, facts = _load(run, device)
    if not (isinstance(model, Encodes) and isinstance(model, Generates)):
        raise InputError(f"{run}: {facts['model']} has no encoder to reconstruct with; use `fairdraw sample`")
    dataset = _open_for(model, run, source, facts)
    part = part or ("test" if dataset.fingerprint == facts.get("data", {}).get("fingerprint") else "all")
    chosen = dataset.split(part)
    if not len(chosen):
        raise InputError(f"{source} has no {part} images (of {len(dataset.all)}): choose another --part")
    which = "images" if part == "all" else f"{part} images"
    originals = chosen.images(np.arange(min(count, len(chosen))))
    made = pictures.reconstructed(model, originals)
    error = ((made.astype(float) - originals) / 255) ** 2
    number = Number.mean(
        error.reshape(len(error), -1).sum(1),
        name="squared error",
        unit="per image, pixels on [0, 1]",
        on=f"{which} of {source}",
        baselines={
            "their mean image": float(((originals / 255 - (originals / 255).mean(0)) ** 2).sum((1, 2, 3)).mean())
        },
    )
    name = f"reconstructions-{Path(source).stem}-{part}.png"
    out = _picture_folder(run) / name if out is None else out if out.suffix.lower() == ".png" else out / name
    described = {
        "model": facts["model"],
        "model_sha256": facts["sha256"],
        "shows": f"the first {len(originals)} {which} of {source}, each beside its reconstruction",
        "seed": seed,
        "count": len(originals),
    }
    images.save_png(out, pictures.pair_sheet(originals, made), described, machine_made=True)
    return Result(
        {**described, "out": str(out), "numbers": [asdict(number)]}, [f"{out}: {described['shows']}", str(number)]
    )


def check(source: tyro.conf.Positional[str], options: tyro.conf.OmitArgPrefixes[Options] = DEFAULT_OPTIONS) -> Result:
    """Report counts, sizes, modes, unreadable files, duplicates and leaks of a source, before anybody trains on it.

    Args:
        source: a built-in name, a folder, a zip, an .npy or .npz file, or hf:owner/name.
        options: how pictures become arrays.
    """
    from fairdraw import data

    report = data.check(source, options)
    return Result(jsonlib.loads(report.to_json()), str(report).splitlines())


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

    parsed = _parse(
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


def _run(words: list[str]) -> tuple[Result, bool]:
    as_json = "--json" in words
    words = [word for word in words if word != "--json"]
    if not words or words[0] in ("-h", "--help"):
        return Result({"usage": USAGE}, USAGE.splitlines()), as_json
    if words[0] == "--version":
        return Result({"version": fairdraw.__version__}, [fairdraw.__version__]), as_json
    verb, rest = words[0], words[1:]
    if verb == "train":
        return _train_verb(rest), as_json
    if verb == "data":
        verb, rest = " ".join(words[:2]), words[2:]
    if verb not in VERBS:
        known = ["train", *VERBS]
        raise InputError(f"unknown verb {verb!r}{nearest(verb, known)}; the verbs are {', '.join(known)}")
    return _parse(VERBS[verb], rest, f"fairdraw {verb}"), as_json


def _train(experiment: "Experiment[Any]", out: Path, runtime: "Runtime") -> Result:
    import torch

    from fairdraw.loop import Interrupted, train

    try:
        run = train(experiment, out, runtime)
    except Interrupted as stop:
        _stop(str(stop), 128 + stop.number)
    except torch.OutOfMemoryError as error:
        raise InputError("out of memory: choose a smaller --batch, or divide it with --micro-batches") from error
    if launcher_rank() > 0:  # the first process speaks for all
        sys.exit(0)
    numbers = _held_out_numbers(run)
    described = {"run": str(run.folder), "model": str(run.model_file), "pictures": _newest_pictures(run)}
    lines = [f"run       {run.folder}", f"model     {run.model_file}"]
    lines += [f"picture   {path}" for path in described["pictures"]]
    lines += [f"held out  {number}" for number in numbers]
    return Result({**described, "numbers": [asdict(number) for number in numbers]}, lines)


def _held_out_numbers(run: "Run") -> "list[Number]":
    from fairdraw.files import write_json
    from fairdraw.metrics.likelihood import held_out_bound
    from fairdraw.model import Bounds
    from fairdraw.run import load

    model, dataset = load(run.folder), _training_data(run.folder)
    numbers = []
    if isinstance(model, Bounds) and len(dataset.test):
        numbers.append(held_out_bound(model, dataset.train, dataset.test))
    write_json(run.folder / "numbers.json", [asdict(number) for number in numbers])
    return numbers


def _newest_pictures(run: "Run") -> list[str]:
    newest = {path.stem.rpartition("-")[0]: str(path) for path in sorted(run.pictures.glob("*-*.png"))}
    return list(newest.values())


def _load(path: Path, device: Device) -> "tuple[Model, dict[str, Any]]":
    from fairdraw.parallel import find_device
    from fairdraw.run import load_with_facts

    model, facts = load_with_facts(path)
    return model.to(find_device(device)), facts


def _training_data(path: Path) -> "Dataset":
    from fairdraw import data
    from fairdraw.run import Run

    record = Run(path).record()
    experiment = Run(path).experiment()
    dataset = data.open(experiment.data, experiment.options)
    if dataset.fingerprint != record["data"].get("fingerprint"):
        raise InputError(f"{experiment.data} is no longer the data that {path} was trained on: restore it")
    return dataset


def _with_epochs(experiment: "Experiment[Any]", epochs: float) -> "Experiment[Any]":
    from fairdraw import data

    if epochs <= 0:
        raise InputError(f"--epochs {epochs:g}: give more than 0")
    count = len(data.open(experiment.data, experiment.options).train)
    return replace(experiment, training=replace(experiment.training, images=max(1, round(epochs * count))))


def _open_for(model: "Model", run: Path, source: str, facts: dict[str, Any]) -> "Dataset":
    """The source in the model's shape; where it is what the model was trained on, with the very same parts."""
    from fairdraw import data
    from fairdraw.run import Run

    options = Run(run).experiment().options if (run / "config.json").exists() else Options()
    if Path(source).resolve() == Path(facts.get("data", {}).get("name", "")).resolve():
        dataset = data.open(source, options)
        if dataset.shape == model.shape:
            return dataset
    channels, size, _ = model.shape
    return data.open(source, replace(options, size=size, channels=cast(Literal[1, 3, 4], channels)))


def _picture_folder(run: Path) -> Path:
    return run / "pictures" if run.is_dir() else Path()


def _check_count_and_out(count: int, out: Path | None) -> None:
    if count < 1:
        raise InputError(f"--count {count}: give at least 1")
    if out is not None and out.suffix.lower() in (".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"):
        raise InputError(f"--out {out}: pictures are written as PNG; give a .png file or a folder")


def _slug(source: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", Path(source).name.lower()).strip("-") or "data"


def _parse(what: Any, words: list[str], program: str, **settings: Any) -> Any:
    """`tyro.cli`, with what it complains of in one line."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(what, args=words, prog=program, config=(tyro.conf.FlagCreatePairsOff,), **settings)
    except SystemExit as stop:
        if not stop.code:
            raise
        text = complaint.getvalue()
    raise InputError(f"{_in_one_line(text)}; `{program} --help` lists the options")


def _in_one_line(complaint: str) -> str:
    """What tyro drew as a box: a title, what is wrong, options of a similar name, and where help is."""
    lines = [line.strip("│|╭╰╮╯+ ") for line in complaint.splitlines()[1:]]
    said, _, similar = "\n".join(line for line in lines if line.strip("─-")).partition("Perhaps you meant:")
    said = " ".join(re.split(r"Argument helptext|For full helptext|Got errors:", said)[0].split()).rstrip(".")
    said = re.sub(r"^Error parsing (experiment|runtime)[\w.]*: ", "", said)
    found = re.findall(r"^(--[\w-]+)", similar, re.MULTILINE)
    return f"{said} (did you mean {' or '.join(found)}?)" if found else said


def _stop(message: str, code: int) -> NoReturn:
    if launcher_rank() == 0:  # the first process speaks for all
        print(f"fairdraw: {' '.join(message.splitlines())}", file=sys.stderr)
    sys.exit(code)
