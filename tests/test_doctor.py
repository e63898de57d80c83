"""The doctor: each illness is provoked in a real training, and is found by its name with options that the model has."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Outcome
from toys import SMALL_CONFIGS, SMALL_GAN, drive, experiment, save_stripes, stripes, trainer

from fairdraw import AutoencoderConfig, CycleGAN, CycleGANConfig, DCGANConfig, DivergedError, Run, VAEConfig, train
from fairdraw.data import Split
from fairdraw.doctor import Reading, examine, new_findings
from fairdraw.images import to_signed
from fairdraw.metrics.diversity import diversity
from fairdraw.metrics.realness import mean_realness
from fairdraw.models import model_of_config
from fairdraw.optimizers import Adam

VAE_CONFIG = VAEConfig(hidden=(24,), latent=4, optimizer=Adam(3e-3))
SURE_GAN = replace(
    SMALL_GAN,
    loss="minimax",
    moves="alternating",
    discriminator_steps=3,
    input_keep=1.0,
    hidden_keep=1.0,
    optimizer=Adam(1e-2),
)
"""Its discriminator wins, and the slope of log(1 - D) is lost with it (Goodfellow 2014, section 3)."""

ILLNESSES: dict[str, tuple[str, Any, str, int]] = {
    "divergence": ("stripes", replace(VAE_CONFIG, optimizer=Adam(1e30)), "--learning-rate", 2_000),
    "generator out of the game": ("stripes", SURE_GAN, "--loss non-saturating", 16_000),
    "discriminator out of the game": ("stripes", replace(SMALL_GAN, optimizer=Adam(1e-7)), "--learning-rate", 2_000),
    "mode collapse": ("stripes", SURE_GAN, "`wgan`", 16_000),
    "discriminator knows its images by heart": (
        "noise",
        DCGANConfig(latent=6, width=16, optimizer=Adam(1e-3, (0.5, 0.999))),
        "--augment colour translation cutout",
        8_000,
    ),
    "vanishing gradient": ("stripes", SURE_GAN, "--loss non-saturating", 16_000),
    "loss stands still": ("stripes", replace(VAE_CONFIG, optimizer=Adam(0)), "a higher --learning-rate", 4_000),
    "KL collapse": ("stripes", replace(VAE_CONFIG, beta=50.0), "--free-bits", 4_000),
}
"""What is wrong: the images, a model that falls ill of it, what the remedy names, and the length of the training."""


@pytest.fixture
def images(tmp_path: Path) -> Callable[[str], Path]:
    """A file of images of that kind."""

    def save(kind: str) -> Path:
        if kind == "stripes":
            return save_stripes(tmp_path)
        np.save(tmp_path / "noise.npy", np.random.default_rng(0).integers(0, 256, (64, 16, 16), dtype=np.uint8))
        return tmp_path / "noise.npy"

    return save


def trained(config: Any, source: Path, out: Path, length: int) -> Run:
    every = {"log_every": length // 20, "picture_every": length // 4, "checkpoint_every": length}
    with suppress(DivergedError):
        train(experiment(config, source, images=length, **every), out, quiet=True)
    return Run(out)


def readings(run: Run) -> dict[str, Reading]:
    return {reading.name: reading for reading in examine(run.read_log(), run.record())}


def sick(run: Run) -> set[str]:
    return {name for name, reading in readings(run).items() if reading.sick}


@pytest.mark.parametrize("name", ILLNESSES)
def test_an_illness_is_found_with_its_remedy(name: str, images: Callable[[str], Path], tmp_path: Path) -> None:
    kind, config, remedy, length = ILLNESSES[name]
    run = trained(config, images(kind), tmp_path / "run", length)
    assert name in sick(run)
    assert remedy in readings(run)[name].remedy
    # What the training said and logged as it went is what is found afterwards.
    if name != "divergence":  # which ends the training before there is a line to say it with
        assert name in {entry["name"] for entry in run.read_log() if entry["event"] == "finding"}


@pytest.mark.parametrize("config", [VAE_CONFIG, AutoencoderConfig(hidden=(24,), latent=4)], ids=["vae", "autoencoder"])
def test_a_healthy_training_is_left_in_peace(config: Any, images: Callable[[str], Path], tmp_path: Path) -> None:
    run = trained(config, images("stripes"), tmp_path / "run", 20_000)
    found = readings(run)
    assert {"divergence", "mode collapse", "vanishing gradient", "loss stands still", "waiting for data"} <= set(found)
    assert not sick(run) - {"waiting for data"}  # of a machine that is busy with other tests


def test_a_slow_source_is_found(images: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of, ended = Split.images, [time.perf_counter()]

    def slow(self: Split, where: np.ndarray) -> np.ndarray:
        if len(where) == 32 and self.name == "train":  # a batch, and no look at the data
            time.sleep(2 * (time.perf_counter() - ended[0]))  # longer than all since then, on a busy machine too
            ended[0] = time.perf_counter()
        return of(self, where)

    monkeypatch.setattr(Split, "images", slow)
    run = trained(VAE_CONFIG, images("stripes"), tmp_path / "run", 320)
    assert "waiting for data" in sick(run)
    assert "FAIRDRAW_CACHE" in readings(run)["waiting for data"].remedy


@pytest.mark.parametrize("name", SMALL_CONFIGS)
def test_every_option_that_a_remedy_names_is_one_of_the_model(
    name: str, images: Callable[[str], Path], tmp_path: Path, command: Callable[..., Outcome]
) -> None:
    run = trained(SMALL_CONFIGS[name], images("stripes"), tmp_path / "run", 1_024)
    known = set(re.findall(r"--[a-z0-9-]+", command("train", name, "--help").out))
    named = {option for reading in readings(run).values() for option in re.findall(r"--[a-z0-9-]+", reading.remedy)}
    assert named
    assert named <= known


def line(images: int, **means: float) -> dict[str, Any]:
    return {"event": "progress", "images": images, "means": means, "gradient_norm": {}, "waiting": 0.0}


RECORD = {"experiment": {"model": {"name": "gan", "loss": "minimax"}, "training": {"learning_rate": 0.1}}}


def test_what_passes_is_not_held_against_a_training() -> None:
    lost = [line(n, real_logit=9.0, fake_logit=-9.0, **{"loss/discriminator": 1e-4}) for n in range(9)]
    back = [line(n, real_logit=1.0, fake_logit=-1.0, **{"loss/discriminator": 0.6}) for n in range(9, 14)]
    of = "generator out of the game"
    assert of in {reading.name for reading in new_findings(lost, RECORD)}
    assert of not in {reading.name for reading in new_findings([*lost, *back], RECORD)}
    # One that is in the log is not said again.
    said = {"event": "finding", "images": 8, "name": of}
    assert of not in {reading.name for reading in new_findings([*lost, said], RECORD)}


def test_a_short_log_tells_nothing() -> None:
    assert not examine([line(n, **{"loss/discriminator": 0.0}) for n in range(4)], RECORD)[1:]
    assert not examine([], RECORD)


def test_exchanged_light_and_dark_are_found() -> None:
    """Where images are as often bright on dark as dark on bright, negatives pass for real and come back."""
    t = trainer(CycleGANConfig(8, 1, 8, 16, identity=0, enlarge=1, optimizer=Adam(1e-3, (0.5, 0.999))))
    data = np.concatenate([stripes(), 255 - stripes(seed=1)])
    data = data[np.random.default_rng(0).permutation(len(data))]
    # They come to it by themselves only now and then, so they are brought there.
    model, x = t.model, to_signed(torch.from_numpy(data))
    assert isinstance(model, CycleGAN)
    optimizer = torch.optim.Adam(t.players["generators"].parameters, 2e-3)
    for step in range(80):
        some = x[step % 16 :: 16]
        optimizer.zero_grad()
        torch.stack([(network(some) + some).abs().mean() for network in (model.to_a, model.to_b)]).sum().backward()
        optimizer.step()
    lines = []
    for number in range(5):
        drive(t, 10, data)
        lines.append(line(number, **t.means()))
        t.forget()
    record = {"experiment": {"model": {"identity": 0}, "training": {"seed": 0}}}
    (found,) = (reading for reading in examine(lines, record) if reading.name == "colour inversion")
    assert found.sick, found.seen
    assert found.remedy == "try another --seed, or a higher --identity"
    assert lines[-1]["means"]["cycle"] < 0.3, "though nearly all comes back both ways"


@pytest.mark.parametrize(("there", "back", "found"), [(-0.9, -0.8, True), (-0.9, 0.1, False), (0.9, 0.8, False)])
def test_light_and_dark_are_exchanged_where_both_directions_say_so(there: float, back: float, found: bool) -> None:
    lines = [line(n, luminance_a_to_b=there, luminance_b_to_a=back) for n in range(5)]
    assert {r.name: r.sick for r in examine(lines, RECORD)}["colour inversion"] is found


def test_a_remedy_is_not_what_is_chosen_already() -> None:
    lines = [line(n, **{"loss/discriminator": 0.0}) for n in range(5)]
    (minimax,) = (r for r in examine(lines, RECORD) if r.name == "generator out of the game")
    other = {"experiment": {"model": {"loss": "non-saturating", "normalisation": "spectral"}, "training": {}}}
    (spectral,) = (r for r in examine(lines, other) if r.name == "generator out of the game")
    assert minimax.remedy == "try --loss non-saturating, or a lower --learning-rate"
    assert spectral.remedy == "try another model"


@pytest.mark.parametrize(
    ("augment", "probability", "remedy"),
    [
        ([], "adaptive", "try --augment colour translation cutout, or fewer --images; or more pictures"),
        (["colour"], 0.7, "try --augment colour translation cutout, or fewer --images; or more pictures"),
        (
            ["colour", "translation", "cutout"],
            "adaptive",
            "try a lower --augment-target, or fewer --images; or more pictures",
        ),
    ],
)
def test_a_target_is_lowered_only_where_something_aims_at_it(augment: Any, probability: Any, remedy: str) -> None:
    looks = [
        {"event": "look", "images": n, "realness": {"train": 5.0, "validation": 0.0, "draws": -1.0}} for n in (1, 2)
    ]
    model = {"augment": augment, "augment_probability": probability, "augment_target": 0.6}
    (found,) = examine(looks, {"experiment": {"model": model, "training": {"images": 9}}})
    assert found.sick
    assert found.remedy == remedy


@pytest.mark.parametrize(
    ("train", "validation", "draws", "share"),
    [(5.0, 0.0, -1.0, "83%"), (5.0, 3.5, 0.0, "30%"), (-5.0, 0.0, 1.0, "-83%")],
)
def test_how_far_held_out_images_have_fallen(train: float, validation: float, draws: float, share: str) -> None:
    """r_v of Karras 2020: (E D(train) - E D(validation)) / (E D(train) - E D(draws)); both looks have to say so."""
    healthy = {"train": 1.0, "validation": 0.9, "draws": 0.0}
    seen = {"train": train, "validation": validation, "draws": draws}

    def looked(*found: Any) -> Reading:
        looks = [{"event": "look", "images": n, "realness": one} for n, one in enumerate(found)]
        (reading,) = examine(looks, RECORD)
        return reading

    assert f"have fallen {share} of the way" in looked(seen, seen).seen
    assert looked(seen, seen).sick == (share == "83%")
    assert not looked(seen, healthy).sick
    assert not looked(healthy, seen).sick
    assert not looked(seen).sick


@pytest.mark.parametrize(
    ("losses", "apart", "out", "chance"),
    [
        ([0.019] * 5, 9.0, True, False),
        ([0.021] * 5, 9.0, False, False),
        ([0.001] * 4 + [0.3], 9.0, False, False),
        ([1.4] * 5, 0.019, False, True),
        ([1.4] * 5, 0.021, False, False),
        ([1.4] * 5, -0.021, False, False),
    ],
)
def test_who_is_out_of_the_game(losses: list[float], apart: float, out: bool, chance: bool) -> None:
    lines = [
        line(n, real_logit=apart + 3, fake_logit=3.0, **{"loss/discriminator": loss}) for n, loss in enumerate(losses)
    ]
    found = {reading.name: reading.sick for reading in examine(lines, RECORD)}
    assert found["generator out of the game"] is out
    assert found["discriminator out of the game"] is chance
    lines[2]["means"]["real_logit"] = 5.0  # they were told apart once: it may pass
    assert not {r.name: r.sick for r in examine(lines, RECORD)}["discriminator out of the game"]


@pytest.mark.parametrize(("last", "found"), [(0.9e-3, True), (1.1e-3, False)])
def test_a_gradient_vanishes_by_three_orders_of_its_largest(last: float, found: bool) -> None:
    def lines(*norms: float) -> list[dict[str, Any]]:
        return [line(n, **{"loss/generator": 1.0}) | {"gradient_norm": {"generator": v}} for n, v in enumerate(norms)]

    def sick_of(entries: list[dict[str, Any]]) -> bool:
        return {r.name: r.sick for r in examine(entries, RECORD)}["vanishing gradient"]

    assert sick_of(lines(0.1, 1.0, *[last] * 5)) is found
    assert not sick_of(lines(0.1, 1.0, *[last] * 4, 0.5))


@pytest.mark.parametrize(
    ("spread", "nearest", "found"), [(0.49, 1.0, True), (1.0, 0.29, True), (0.51, 0.31, False), (0.1, 0.1, True)]
)
def test_what_repeats_itself_has_collapsed(spread: float, nearest: float, found: bool) -> None:
    def sick_of(*seen: dict[str, float]) -> bool:
        (reading,) = examine([{"event": "look", "images": n, "diversity": d} for n, d in enumerate(seen)], RECORD)
        return reading.sick

    seen = {"spread": spread, "nearest": nearest}
    assert sick_of(seen, seen) is found
    assert not sick_of(seen)
    assert not sick_of(seen, {"spread": 1.0, "nearest": 1.0})


def test_the_verb_explains(images: Callable[[str], Path], tmp_path: Path, command: Callable[..., Outcome]) -> None:
    source = images("stripes")
    words = ["train", "vae", "--data", source, "--out", tmp_path / "run", "--images", 4000, "--batch", 32, "--beta", 50]
    said = command(*words, "--picture-every", 1000).err
    assert "KL collapse: 0 of 20 latents carry more than 0.01 nats" in said
    assert said.count("KL collapse") == 1
    told = command("doctor", tmp_path / "run")
    assert told.code == 0
    for words_of in ("KL collapse\n  seen    0 of 20", "\n  cause   the KL term", "\n  remedy  try --warmup 1000"):
        assert words_of in told.out
    assert "no divergence: all losses and weights are finite" in told.out
    facts = command("doctor", tmp_path / "run", "--json").facts
    assert {r["name"] for r in facts["readings"] if r["sick"]} >= {"KL collapse", "mode collapse"}
    assert facts["images"] == 4000


def test_the_verb_wants_a_run(tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "is not a run folder" in refused("doctor", tmp_path)


def test_diversity_of_the_data_itself_is_one_and_of_one_image_none() -> None:
    data = stripes(64)
    assert diversity(data, data) == {"spread": 1.0, "nearest": 1.0}
    assert diversity(np.repeat(data[:1], 64, axis=0), data) == {"spread": 0.0, "nearest": 0.0}


def test_few_modes_far_apart_keep_the_spread_but_not_the_nearest() -> None:
    data = np.random.default_rng(0).integers(0, 256, (64, 1, 8, 8), dtype=np.uint8)
    two = np.concatenate([np.repeat(data[k : k + 1], 32, axis=0) for k in range(2)])
    found = diversity(two, data)
    assert found["nearest"] == 0.0
    assert found["spread"] == pytest.approx(np.sqrt(32 / 63), rel=0.1)


def test_a_draw_far_from_all_others_hides_no_collapse() -> None:
    data = np.random.default_rng(0).integers(0, 256, (64, 1, 8, 8), dtype=np.uint8)
    assert diversity(np.concatenate([data[:1], np.repeat(data[1:2], 63, axis=0)]), data)["nearest"] == 0


def test_diversity_scales_with_contrast() -> None:
    data = np.random.default_rng(0).integers(0, 128, (40, 1, 8, 8), dtype=np.uint8)
    assert diversity(2 * data, data) == pytest.approx({"spread": 2.0, "nearest": 2.0})


def test_distances_want_two_images() -> None:
    with pytest.raises(ValueError, match="two of each"):
        diversity(stripes(1), stripes(4))


def test_realness_wants_a_discriminator() -> None:
    model = model_of_config(SMALL_CONFIGS["vae"])(SMALL_CONFIGS["vae"], (1, 16, 16))
    with pytest.raises(ValueError, match="VAE has no discriminator"):
        mean_realness(model, stripes(4))


@pytest.mark.parametrize(
    "damage", ['{"event": "progress", "images": 9, "means": 3}', '{"event": 5, "images": 9}', "[]"]
)
def test_lines_of_a_log_that_mean_nothing_are_passed_over(
    damage: str, images: Callable[[str], Path], tmp_path: Path, command: Callable[..., Outcome]
) -> None:
    run = trained(VAE_CONFIG, images("stripes"), tmp_path / "run", 320)
    before = command("doctor", run.folder).out
    with (run.folder / "log.jsonl").open("a") as log:
        log.write(damage + "\n")
    assert command("doctor", run.folder).out == before


def test_a_log_that_is_empty_or_a_folder(
    images: Callable[[str], Path], tmp_path: Path, command: Callable[..., Outcome], refused: Callable[..., str]
) -> None:
    run = trained(VAE_CONFIG, images("stripes"), tmp_path / "run", 320)
    log = run.folder / "log.jsonl"
    log.write_text("")
    assert "nothing has been logged yet" in command("doctor", run.folder).out
    log.unlink()
    log.mkdir()
    assert "cannot read" in refused("doctor", run.folder)
