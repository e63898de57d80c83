"""The command line: which words name which verb. Results go to stdout, progress and errors to stderr.

Exit codes: 0 done, 2 bad input (one line says what, where and the remedy), 5 training diverged, 130 and 143 stopped by
Ctrl-C and SIGTERM with a checkpoint saved.
"""

import errno
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import fairdraw
from fairdraw.command import Result, call, readers_may_leave, stop
from fairdraw.errors import DivergedError, InputError, nearest
from fairdraw.launcher import share_the_machine
from fairdraw.verbs.any_size import translate, upscale
from fairdraw.verbs.arithmetic import arithmetic
from fairdraw.verbs.compare import compare
from fairdraw.verbs.compress import compress
from fairdraw.verbs.data import check, list_data
from fairdraw.verbs.decompress import decompress
from fairdraw.verbs.doctor import doctor
from fairdraw.verbs.evaluate import evaluate
from fairdraw.verbs.explore import manifold, traverse
from fairdraw.verbs.explore_map import show_map
from fairdraw.verbs.interpolate import interpolate
from fairdraw.verbs.likelihood import likelihood
from fairdraw.verbs.listing import models
from fairdraw.verbs.outliers import outliers
from fairdraw.verbs.restore import denoise, inpaint
from fairdraw.verbs.sampling import reconstruct, sample
from fairdraw.verbs.training import demo, train
from fairdraw.verbs.walk import directions, walk

USAGE = """usage: fairdraw VERB ... [--json]

  demo                      train a small VAE on bundled digits and look at it: a minute or two on a laptop
  train MODEL               train a model on your images; the same command again resumes
  doctor RUN                what is wrong with a training, the likely cause, and what to turn
  sample RUN                the first draws of a seed, none picked
  reconstruct RUN SOURCE    images beside what the model makes of them
  explore RUN manifold      images of an even grid over two latents
  explore RUN interpolate   the way between two images or two draws: a strip, a GIF, a film
  explore RUN traverse      what each latent changes, the most used first
  explore RUN map           held-out images laid out by their codes, beside PCA and t-SNE; a page to hover over
  explore RUN arithmetic    sums of latents, of draws or of labels: "0,5,9 - 3,8,12 + 1,4,7"
  explore RUN directions    a draw moved along what the generator's first layer answers to most
  explore RUN walk          a film without end through the first draws of a seed
  denoise RUN IMAGES        images with their corruption removed
  inpaint RUN IMAGES        the white pixels of --mask MASK.png filled in
  translate RUN PICTURES    a picture, a folder of pictures or a video of any size, translated
  upscale RUN PICTURES      and made larger
  evaluate RUN              numbers that say what they are worth, beside real images and trivial generators; a report
  compare RUN RUN ...       models side by side: what differs by more than images and training seeds
  likelihood RUN SOURCE     bounds on -log p in nats and bits/dim, beside what they must beat
  outliers RUN SOURCE       the images that a model finds most and least typical
  compress RUN SOURCE       images to one small file, losslessly where the model can
  decompress RUN FILE       and back to PNG files
  data check SOURCE         what is in a folder, zip, array file or built-in set, and what is wrong with it
  data list                 the built-in sets
  models                    the models and presets that can be trained

`fairdraw VERB --help` explains a verb, `fairdraw train MODEL --help` a model's options."""

VERBS: dict[str, Callable[..., Result]] = {
    "demo": demo,
    "doctor": doctor,
    "sample": sample,
    "evaluate": evaluate,
    "compare": compare,
    "reconstruct": reconstruct,
    "explore manifold": manifold,
    "explore interpolate": interpolate,
    "explore traverse": traverse,
    "explore map": show_map,
    "explore arithmetic": arithmetic,
    "explore directions": directions,
    "explore walk": walk,
    "outliers": outliers,
    "denoise": denoise,
    "inpaint": inpaint,
    "translate": translate,
    "upscale": upscale,
    "likelihood": likelihood,
    "compress": compress,
    "decompress": decompress,
    "data check": check,
    "data list": list_data,
    "models": models,
}
"""Every verb but `train`, whose options depend on the model. A verb of two words is one of those under the first."""

OF_A_RUN = ("explore",)
"""First words whose second comes after the run, as in `explore RUN map`; the verb's first argument is the run."""

HELP = ("-h", "--help")


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
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            stop(f"no file has a name as long as {error.filename}: give a shorter one", 2)
        if not isinstance(error, PermissionError) or error.filename is None:
            raise
        stop(f"cannot get at {error.filename}: permission denied; check the path and its permissions", 2)
    except KeyboardInterrupt:
        stop("interrupted", 130)
    sys.exit(result.code)


def spelled(verb: str) -> str:
    """A verb as it is written on the command line.

    >>> spelled("explore map"), spelled("data list")
    ('explore RUN map', 'data list')
    """
    first, _, second = verb.partition(" ")
    return f"{first} RUN {second}" if first in OF_A_RUN else verb


def _run(words: list[str]) -> Result:
    if not words or words[0] in HELP:
        return Result({"usage": USAGE}, USAGE.splitlines())
    if words[0] == "--version":
        return Result({"version": fairdraw.__version__}, [fairdraw.__version__])
    first, rest = words[0], words[1:]
    if first == "train":
        return train(rest)
    below = [verb.partition(" ")[2] for verb in VERBS if verb.startswith(f"{first} ")]
    if below and (rest[:1] or [""])[0] in HELP:
        return _usage(first, below)
    if below and first in OF_A_RUN:
        return _of_a_run(first, below, rest)
    verb, rest = (" ".join(words[:2]), words[2:]) if below else (first, rest)
    if verb not in VERBS:
        known = ["train", *map(spelled, VERBS)]
        raise InputError(f"unknown verb {verb!r}{nearest(verb, known)}; the verbs are {', '.join(known)}")
    return call(VERBS[verb], rest, f"fairdraw {verb}")


def _of_a_run(first: str, below: list[str], words: list[str]) -> Result:
    """`fairdraw FIRST RUN SECOND ...`, with `words` from RUN on."""
    second = words[1] if len(words) > 1 else ""
    if second in HELP:
        return _usage(first, below)
    if second not in below:
        wrong = f"unknown word {second!r}{nearest(second, below)}; name" if second else f"{first} what? Name"
        raise InputError(f"{wrong} one of {', '.join(below)} after the run: `fairdraw {first} RUN WHAT`")
    verb = f"{first} {second}"
    return call(VERBS[verb], words[2:], f"fairdraw {first} {words[0]} {second}", Path(words[0]))


def _usage(first: str, below: list[str]) -> Result:
    """The verbs under a first word, each with the first line of its help."""
    form = spelled(f"{first} WHAT")
    lines = [f"usage: fairdraw {form} [OPTIONS]", ""]
    for second in below:
        lines.append(f"  {second:12} {(VERBS[f'{first} {second}'].__doc__ or '').partition(chr(10))[0]}")
    lines += ["", f"`fairdraw {form} --help` shows its options."]
    return Result({"usage": "\n".join(lines)}, lines)
