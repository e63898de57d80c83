"""One step: order of updates, gradients, micro-batches, averages, schedules."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toys import SMALL_CONFIGS, VARIANTS, build, drive, largest_difference, one_process, same, stripes, trainer

from fairdraw import InputError, Model, Trainer, Training, VAEConfig
from fairdraw.model import Batch, Clock, Player, Update
from fairdraw.optimizers import Adam

IMAGES = stripes()


class Two(Model):
    """Two players that each hold one number; their losses say what they saw."""

    def __init__(self) -> None:
        super().__init__(None, (1, 16, 16))
        self.first, self.second = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.first.weight)
        nn.init.ones_(self.second.weight)
        self.seen: list[tuple[str, float, float]] = []

    def players(self) -> dict[str, Player]:
        return {name: Player.of(getattr(self, name), Adam(0.1)) for name in ("first", "second")}

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        a, b = self.first.weight, self.second.weight
        for player in ("first", "second"):
            self.seen.append((player, float(a.detach()), float(b.detach())))
            yield Update(player, (a * b).sum() * batch["image"].mean())


def test_each_update_is_descended_before_the_next_is_asked_for() -> None:
    model = Two()
    Trainer(model, Training(batch=4), one_process()).step({"image": torch.ones(4, 1, 16, 16)})
    assert model.seen[0] == ("first", 1.0, 1.0)
    assert model.seen[1] == ("second", pytest.approx(0.9, abs=1e-6), 1.0)  # Adam's first step is the learning rate


def test_a_loss_moves_its_own_player_only() -> None:
    model = Two()
    t = Trainer(model, Training(batch=4), one_process())
    updates = model.updates({"image": torch.ones(4, 1, 16, 16)}, t._clock(0))
    t._backward([updates])
    assert model.first.weight.grad is not None
    assert model.second.weight.grad is None


@pytest.mark.parametrize("config", [VARIANTS["vae"], VARIANTS["vae, convolutional"]], ids=["mlp", "conv"])
@pytest.mark.parametrize("micro_batches", [2, 4])
def test_micro_batches_equal_one_batch(config: Any, micro_batches: int) -> None:
    whole = drive(trainer(config, "fp64"), 6, IMAGES)
    parts = drive(trainer(config, "fp64", micro_batches=micro_batches), 6, IMAGES)
    assert largest_difference(whole.model, parts.model) < 1e-12
    assert largest_difference(whole.average, parts.average) < 1e-12
    assert whole.means() == pytest.approx(parts.means(), rel=1e-12)


def test_micro_batches_of_two_players_advance_in_lockstep() -> None:
    model = Two()
    t = Trainer(model, Training(batch=4), one_process(), micro_batches=2)
    t.step({"image": torch.ones(4, 1, 16, 16)})
    assert [player for player, _, _ in model.seen] == ["first", "first", "second", "second"]
    assert [a for _, a, _ in model.seen] == pytest.approx([1, 1, 0.9, 0.9], abs=1e-6)


def test_a_batch_that_cannot_be_divided_is_refused() -> None:
    with pytest.raises(InputError, match="multiple of 3"):
        trainer(SMALL_CONFIGS["vae"], micro_batches=3)


def test_micro_batches_of_one_image_have_no_statistics() -> None:
    with pytest.raises(InputError, match="leaves one image to each"):
        Trainer(build(SMALL_CONFIGS["dcgan"]), Training(batch=4), one_process(), micro_batches=4)


@pytest.mark.parametrize("name", SMALL_CONFIGS)
@pytest.mark.parametrize("after", [1, 5])
def test_restored_equals_uninterrupted(name: str, after: int) -> None:
    through = drive(trainer(SMALL_CONFIGS[name]), 8, IMAGES)
    first = drive(trainer(SMALL_CONFIGS[name]), after, IMAGES)
    tensors, metadata = first.state()
    second = trainer(SMALL_CONFIGS[name])
    drive(second, 2, IMAGES)  # whatever it did before must leave no trace
    # As a file gives them back: contiguous, whatever the layout they were saved from.
    second.restore({k: v.clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}, metadata)
    drive(second, 8 - after, IMAGES)
    assert same(through.state()[0], second.state()[0])
    assert through.state()[1] == second.state()[1]


class Dropped(Two):
    """Draws from torch's own generator."""

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        yield Update("first", (self.first.weight * torch.rand(1)).sum())
        yield Update("second", (self.second.weight * torch.rand(1)).sum())


def test_layers_that_draw_from_torchs_generator_resume_exactly_too() -> None:
    through = drive(Trainer(Dropped(), Training(batch=4), one_process()), 6, IMAGES)
    first = drive(Trainer(Dropped(), Training(batch=4), one_process()), 3, IMAGES)
    torch.manual_seed(99)
    second = Trainer(Dropped(), Training(batch=4), one_process())
    second.restore(*first.state())
    assert same(through.state()[0], drive(second, 3, IMAGES).state()[0])


class Staged(Two):
    """A batch and a stage that change with the images seen."""

    def batch(self, images: int, batch: int) -> int:
        return batch if images < 8 else min(batch, 3)

    def stage(self, images: int) -> int:
        return int(images >= 8)


def test_the_batch_is_a_function_of_the_clock() -> None:
    t = drive(Trainer(Staged(), Training(batch=4), one_process()), 4, IMAGES)
    assert (t.images, t.steps) == (4 + 4 + 3 + 3, 4)
    assert t.share == slice(0, 3)
    halves = Trainer(Staged(), Training(batch=4), one_process(), micro_batches=2)
    assert drive(halves, 4, IMAGES).images == 4 + 4 + 2 + 2, "equal parts, and never more than the model takes"


def test_optimizers_forget_where_a_stage_begins() -> None:
    t = Trainer(Staged(), Training(batch=4), one_process())
    steps = [float(next(iter(drive(t, 1, IMAGES).optimizers["first"].state.values()))["step"]) for _ in range(4)]
    assert steps == [1, 2, 1, 2]
    resumed = Trainer(Staged(), Training(batch=4), one_process())
    resumed.restore(*t.state())
    assert float(next(iter(drive(resumed, 1, IMAGES).optimizers["first"].state.values()))["step"]) == 3


class Critic(Two):
    """The second player moves at every third step only."""

    def updates(self, batch: Batch, clock: Clock) -> Iterator[Update]:
        yield Update("first", self.first.weight.sum())
        if (clock.step + 1) % 3 == 0:
            yield Update("second", self.second.weight.sum())


def test_a_player_may_sit_out_and_steps_are_counted() -> None:
    t = drive(Trainer(Critic(), Training(batch=4), one_process()), 2, IMAGES)
    assert set(t.means()) == {"loss/first"}
    resumed = Trainer(Critic(), Training(batch=4), one_process())
    resumed.restore(*t.state())
    assert set(drive(resumed, 1, IMAGES).means()) == {"loss/first", "loss/second"}


def test_averaged_weights_have_the_stated_half_life() -> None:
    t = trainer(SMALL_CONFIGS["vae"], average_half_life=160)
    t.images = 1_000_000  # far beyond the ramp at the start
    with torch.no_grad():
        for p in t.model.parameters():
            p.fill_(1.0)
        for p in t.average.parameters():
            p.fill_(0.0)
    for _ in range(10):  # ten batches of 16 images: one half-life
        t._average_weights(t.training.batch)
    assert all(float((p - 0.5).abs().max()) < 1e-6 for p in t.average.parameters())


def test_averages_forget_the_start_within_a_twentieth_of_the_images() -> None:
    t = trainer(SMALL_CONFIGS["vae"], average_half_life=5_000)
    for images, half_life in ((3_200, 160), (100_000, 5_000), (200_000, 5_000)):
        t.images = images
        with torch.no_grad():
            for p in t.model.parameters():
                p.fill_(1.0)
            for p in t.average.parameters():
                p.fill_(0.0)
        t._average_weights(half_life)
        assert all(float((p - 0.5).abs().max()) < 1e-6 for p in t.average.parameters())


def test_without_a_half_life_the_average_is_the_model() -> None:
    t = drive(trainer(SMALL_CONFIGS["dcgan"], average_half_life=0), 5, IMAGES)
    assert same(t.model.state_dict(), t.average.state_dict())


def test_running_statistics_are_averaged_and_counters_copied() -> None:
    t = drive(trainer(SMALL_CONFIGS["dcgan"]), 30, IMAGES)
    model, average = t.model.state_dict(), t.average.state_dict()
    counters = [k for k in model if k.endswith("num_batches_tracked")]
    statistics = [k for k in model if k.endswith("running_mean")]
    assert counters
    assert statistics
    assert all(torch.equal(model[k], average[k]) for k in counters)
    assert not any(torch.equal(model[k], average[k]) for k in statistics)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1, 1, 1, 1, 1]),
        ("linear", [1, 0.75, 0.5, 0.25, 0]),
        ("half-linear", [1, 1, 1, 0.5, 0]),
        ("cosine", [1, 0.853553, 0.5, 0.146447, 0]),
    ],
)
def test_schedules_are_functions_of_images(schedule: Any, expected: list[float]) -> None:
    t = trainer(SMALL_CONFIGS["vae"], images=4000, schedule=schedule)
    assert [t.learning_rate(n) for n in (0, 1000, 2000, 3000, 4000)] == pytest.approx(expected, abs=1e-6)


def test_burdas_schedule_has_eight_steps_each_three_times_as_long_as_the_one_before() -> None:
    epoch = 60
    t = trainer(SMALL_CONFIGS["vae"], images=3280 * epoch, schedule="burda")
    first = 0
    for i, rate in enumerate((1e-3, 7.2e-4, 5.2e-4, 3.7e-4, 2.7e-4, 1.9e-4, 1.4e-4, 1e-4)):
        last = first + 3**i * epoch - 1
        assert [1e-3 * t.learning_rate(n) for n in (first, (first + last) // 2, last)] == pytest.approx([rate] * 3)
        first = last + 1
    assert first == t.training.images


def test_warm_up_rises_to_the_full_rate() -> None:
    t = trainer(SMALL_CONFIGS["vae"], batch=16, warmup_images=64)
    assert [t.learning_rate(n) for n in (0, 16, 48, 64, 1000)] == [0.25, 0.5, 1.0, 1.0, 1.0]


def test_the_optimizer_uses_the_scheduled_rate() -> None:
    model = Two()
    t = Trainer(model, Training(images=8, batch=4, schedule="linear"), one_process())
    image: dict[str, Tensor] = {"image": torch.ones(4, 1, 16, 16)}
    t.step(image)
    before = float(model.first.weight.detach())
    t.step(image)  # at half the rate; Adam's step is the rate for a gradient of one sign
    assert before - float(model.first.weight.detach()) == pytest.approx(0.05, rel=0.02)


def test_gradient_norm_is_measured_when_asked() -> None:
    t = Trainer(Two(), Training(batch=4), one_process())
    t.step({"image": torch.full((4, 1, 16, 16), 3.0)})
    assert t.gradient_norm == {}
    weight = float(t.model.second.weight.detach())  # type: ignore[arg-type, union-attr]
    t.step({"image": torch.full((4, 1, 16, 16), 3.0)}, measure=True)
    assert t.gradient_norm["first"] == pytest.approx(3.0 * weight, rel=1e-5)


@pytest.mark.parametrize("where", ["loss", "weight"])
def test_not_finite_is_seen(where: str) -> None:
    t = drive(trainer(SMALL_CONFIGS["vae"]), 2, IMAGES)
    assert t.healthy()
    if where == "loss":
        t._add("loss/vae", torch.tensor(float("nan")))
    else:
        next(t.model.parameters()).data[0] = float("inf")
    assert not t.healthy()


def test_bf16_stays_near_fp32_and_keeps_its_weights_in_fp32() -> None:
    full = drive(trainer(VAEConfig(hidden=(64,), latent=4)), 60, IMAGES)
    half = drive(trainer(VAEConfig(hidden=(64,), latent=4), precision="bf16"), 60, IMAGES)
    assert half.model.dtype == torch.float32
    assert half.means()["loss/vae"] == pytest.approx(full.means()["loss/vae"], rel=0.02)
    assert half.means() != full.means()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, when it imports its compiler
def test_compiled_equals_plain() -> None:
    plain = drive(trainer(SMALL_CONFIGS["vae"]), 10, IMAGES)
    model = build(SMALL_CONFIGS["vae"])
    compiled = drive(Trainer(model, Training(images=10_000, batch=16), one_process(), compile=True), 10, IMAGES)
    assert list(compiled.model.state_dict()) == list(plain.model.state_dict())
    assert compiled.means()["loss/vae"] == pytest.approx(plain.means()["loss/vae"], rel=1e-4)
