"""Configs survive the way through JSON, and whatever is not a config is refused with its place."""

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdraw.config import Experiment, Runtime, Training, differences, from_json, to_json
from fairdraw.data import Options
from fairdraw.errors import InputError
from fairdraw.models import model_of_config
from fairdraw.models.dcgan import DCGAN, DCGANConfig
from fairdraw.models.vae import VAE, VAEConfig
from fairdraw.optimizers import Adam
from fairdraw.presets import PRESETS, preset
from fairdraw.run import experiment_from, record_of

counts = st.integers(1, 10**12)
# 3.0 and -0.0 are the floats that a careless writer turns into whole numbers.
reals = st.floats(1e-12, 1e6) | st.sampled_from([3.0, 1e-300, 0.1 + 0.2])
adams = st.builds(Adam, reals, st.tuples(st.floats(0, 0.9999), st.floats(0, 0.9999)), reals)
trainings = st.builds(
    Training,
    images=counts,
    batch=counts,
    seed=st.integers(-(2**63), 2**64 - 1),
    schedule=st.sampled_from(["constant", "linear", "half-linear", "cosine"]),
    warmup_images=st.integers(0, 10**9),
    average_half_life=st.integers(0, 10**9),
    precision=st.sampled_from(["auto", "fp32", "bf16", "fp64"]),
    log_every=st.none() | counts,
    picture_every=st.none() | counts,
    checkpoint_every=st.none() | counts,
)
vaes = st.builds(
    VAEConfig,
    architecture=st.sampled_from(["mlp", "conv"]),
    hidden=st.lists(st.integers(1, 4096), min_size=1, max_size=4).map(tuple),
    latent=st.integers(1, 4096),
    activation=st.sampled_from(["tanh", "relu"]),
    width=st.integers(1, 512),
    targets=st.sampled_from(["binarised", "grey"]),
    optimizer=adams,
)
dcgans = st.builds(
    DCGANConfig,
    latent=st.integers(1, 4096),
    prior=st.sampled_from(["uniform", "gaussian"]),
    width=st.integers(1, 512),
    optimizer=adams,
)
options = st.builds(
    Options,
    size=st.none() | st.integers(1, 4096),
    channels=st.sampled_from(["auto", 1, 3, 4]),
    fit=st.sampled_from(["crop", "pad", "stretch", "tiles"]),
    bad_images=st.sampled_from(["error", "skip"]),
    binarise=st.booleans(),
    leave_out=st.lists(st.text(), max_size=2).map(tuple),
)


# Round trips


@settings(deadline=None)
@given(config=trainings | vaes | dcgans | options | adams)
def test_config_survives_json(config: Any) -> None:
    text = json.dumps(to_json(config), allow_nan=False)
    found = from_json(type(config), json.loads(text))
    assert found == config
    assert to_json(found) == to_json(config)
    assert repr(found) == repr(config)  # 3.0 has not become 3, a tuple is no list


@settings(deadline=None)
@given(model=vaes | dcgans, data=st.text(max_size=30), options=options, training=trainings)
def test_experiment_survives_config_json(model: Any, data: str, options: Options, training: Training) -> None:
    experiment = Experiment(model, data, options, training)
    kind = VAE if isinstance(model, VAEConfig) else DCGAN
    record = json.loads(json.dumps(record_of(experiment, kind, {"name": data})))
    assert experiment_from(record) == experiment
    assert record["experiment"]["model"]["name"] == ("vae" if kind is VAE else "dcgan")


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_config_json(name: str) -> None:
    kind = model_of_config(preset(name).model)
    assert experiment_from(json.loads(json.dumps(record_of(preset(name), kind, {})))) == preset(name)


def test_unknown_preset_is_refused_with_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"unknown model 'dcgam' \(did you mean dcgan\?\)"):
        preset("dcgam")


# Refusals


def refusal(kind: type[Any], value: Any) -> str:
    with pytest.raises(InputError) as caught:
        from_json(kind, value)
    message = str(caught.value)
    assert "\n" not in message
    return message


def changed(config: Any, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = to_json(config)
    return {**values, **changes}


def test_unknown_key_is_named_with_its_place_and_a_suggestion() -> None:
    values = changed(Training())
    values["bach"] = values.pop("batch")
    assert refusal(Training, values) == "config: unknown key 'bach' (did you mean batch?)"
    values = changed(VAEConfig(), optimizer={**to_json(Adam()), "zzz": 1})
    assert refusal(VAEConfig, values) == "config.optimizer: unknown key 'zzz'"


@pytest.mark.parametrize("name", list(to_json(Training())))
def test_every_missing_key_is_named(name: str) -> None:
    values = changed(Training())
    del values[name]
    assert refusal(Training, values).startswith(f"config: the key {name!r} is missing; ")


@pytest.mark.parametrize(
    ("kind", "field", "value", "message"),
    [
        (Training, "images", True, "config.images: True is not int"),
        (Training, "images", 10.0, "config.images: 10.0 is not int"),
        (Training, "images", "10", "config.images: '10' is not int"),
        (Training, "images", None, "config.images: None is not int"),
        (Training, "images", [10], "config.images: [10] is not int"),
        (Training, "log_every", 1.5, "config.log_every: 1.5 is not int | None"),
        (Training, "log_every", False, "config.log_every: False is not int | None"),
        (Training, "precision", "fp16", "config.precision: 'fp16' is not"),
        (Training, "precision", 32, "config.precision: 32 is not"),
        (Adam, "learning_rate", "0.1", "config.learning_rate: '0.1' is not float"),
        (Adam, "learning_rate", True, "config.learning_rate: True is not float"),
        (Adam, "learning_rate", None, "config.learning_rate: None is not float"),
        (Adam, "betas", [0.9], "config.betas: expected 2 values, found [0.9]"),
        (Adam, "betas", [0.9, 0.9, 0.9], "config.betas: expected 2 values"),
        (Adam, "betas", [0.9, "x"], "config.betas[1]: 'x' is not float"),
        (Adam, "betas", 0.9, "config.betas: expected a list, found 0.9"),
        (Adam, "betas", {"0": 0.9}, "config.betas: expected a list"),
        (VAEConfig, "hidden", [500, 2.5], "config.hidden[1]: 2.5 is not int"),
        (VAEConfig, "hidden", 500, "config.hidden: expected a list"),
        (VAEConfig, "optimizer", 1e-3, "config.optimizer: expected an object with the fields of Adam, found 0.001"),
        (VAEConfig, "optimizer", [], "config.optimizer: expected an object"),
        (Options, "channels", True, "config.channels: True is not"),
        (Options, "channels", 1.0, "config.channels: 1.0 is not"),
        (Options, "channels", 2, "config.channels: 2 is not"),
    ],
)
def test_value_of_another_type_is_named_with_its_place(kind: Any, field: str, value: Any, message: str) -> None:
    assert refusal(kind, changed(kind(), **{field: value})).startswith(message)


def test_whole_numbers_serve_as_floats() -> None:
    found = from_json(Adam, changed(Adam(), learning_rate=1))
    assert (found.learning_rate, type(found.learning_rate)) == (1.0, float)


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("-inf"), float("nan")])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    assert refusal(Adam, changed(Adam(), learning_rate=value)).endswith("is not float")


@pytest.mark.parametrize("value", [None, [], 3, "config", True])
def test_anything_but_an_object_is_refused(value: Any) -> None:
    assert refusal(Training, value) == f"config: expected an object with the fields of Training, found {value!r}"


def test_place_starts_where_the_caller_says() -> None:
    with pytest.raises(InputError, match=r"^a\.json: model\.latent: 'x' is not int$"):
        from_json(DCGANConfig, changed(DCGANConfig(), latent="x"), "a.json: model")


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize("name", ["images", "batch", "log_every", "picture_every", "checkpoint_every"])
def test_counts_below_one_are_refused_with_the_option(name: str, value: int) -> None:
    with pytest.raises(InputError, match=f"{name} is {value}: give at least 1 with --{name.replace('_', '-')}"):
        replace(Training(), **{name: value})
    assert f"{name} is {value}" in refusal(Training, changed(Training(), **{name: value}))


@pytest.mark.parametrize("name", ["warmup_images", "average_half_life"])
def test_counts_below_zero_are_refused_with_the_option(name: str) -> None:
    assert getattr(replace(Training(), **{name: 0}), name) == 0
    with pytest.raises(InputError, match=f"{name} is -1: give at least 0 with --{name.replace('_', '-')}"):
        replace(Training(), **{name: -1})


@pytest.mark.parametrize("name", ["devices", "nodes", "micro_batches"])
def test_runtime_counts_below_one_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is 0: give at least 1 with --{name.replace('_', '-')}"):
        Runtime(**{name: 0})


def test_literals_are_told_apart_by_type() -> None:
    @dataclass(frozen=True)
    class Choice:
        value: Literal[1, "1", True]

    for value in (1, "1", True):
        assert type(from_json(Choice, {"value": value}).value) is type(value)
    assert "is not" in refusal(Choice, {"value": 1.0})


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (VAEConfig, {"latent": 0}, "latent is 0: give at least 1 with --latent"),
        (VAEConfig, {"hidden": (500, 0)}, "hidden is (500, 0): give at least 1 with --hidden"),
        (VAEConfig, {"width": -3}, "width is -3: give at least 1 with --width"),
        (DCGANConfig, {"latent": 0}, "latent is 0: give at least 1 with --latent"),
        (DCGANConfig, {"width": 0}, "width is 0: give at least 1 with --width"),
        (Adam, {"learning_rate": -1e-3}, "learning_rate is -0.001: give at least 0 with --learning-rate"),
        (Adam, {"betas": (-0.1, 0.9)}, "betas is (-0.1, 0.9): give at least 0 with --betas"),
        (Adam, {"betas": (0.9, 1.0)}, "betas is (0.9, 1.0): give numbers below 1 with --betas"),
        (Adam, {"epsilon": -1.0}, "epsilon is -1.0: give at least 0 with --epsilon"),
    ],
)
def test_sizes_and_rates_without_sense_are_refused_with_the_option(
    kind: Any, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        kind(**changes)
    assert str(caught.value) == message
    assert refusal(kind, changed(kind(), **to_json(changes))) == f"config: {message}"


# Differences


def test_no_differences_between_equals() -> None:
    for name in PRESETS:
        assert differences(to_json(preset(name)), to_json(preset(name))) == []


def test_differences_are_named_by_their_place() -> None:
    old = Experiment(VAEConfig(), "digits")
    new = Experiment(VAEConfig(latent=2, hidden=(500, 100), optimizer=Adam(1e-4)), "mnist")
    assert differences(to_json(old), to_json(new)) == [
        "model.hidden: [500] -> [500, 100]",
        "model.latent: 20 -> 2",
        "model.optimizer.learning_rate: 0.001 -> 0.0001",
        "data: 'digits' -> 'mnist'",
    ]


def test_added_and_removed_keys_are_differences() -> None:
    assert differences({"a": 1}, {"b": {"c": 2}}) == ["a: 1 -> None", "b: None -> {'c': 2}"]
    assert differences({"a": {}}, {"a": None}) == ["a: {} -> None"]


@settings(deadline=None)
@given(old=trainings, new=trainings)
def test_differences_are_exactly_the_fields_that_differ(old: Training, new: Training) -> None:
    named = {line.partition(":")[0] for line in differences(to_json(old), to_json(new))}
    assert named == {name for name in to_json(old) if getattr(old, name) != getattr(new, name)}


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_a_seed_of_more_than_64_bits_is_refused(seed: int) -> None:
    with pytest.raises(InputError, match="give a whole number from"):
        Training(seed=seed)
