"""Two processes equal one; a world that is not the one asked for is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from test_loop import final_state, log_without_time
from toys import SMALL_CONFIGS, VARIANTS, build, command_of, experiment, one_process, save_stripes

from fairdraw import InputError, Run, Runtime, load, train
from fairdraw.devices import find_device, find_precision
from fairdraw.launcher import launcher_rank
from fairdraw.parallel import Processes, batch_statistics, launch, threads

pytestmark = pytest.mark.slow

FAIRDRAW = [sys.executable, "-m", "fairdraw"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment}, check=False
    )


def torchrun(words: list[str], *options: str) -> list[str]:
    return [*TORCHRUN, *options, "-m", "fairdraw", *words]


@pytest.fixture(scope="module")
def vae_in_one_process(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("one")
    what = experiment(SMALL_CONFIGS["vae"], save_stripes(folder), precision="fp64", schedule="linear")
    train(what, folder / "run", quiet=True)
    return what, folder / "run"


def assert_close(one: Path, two: Path) -> None:
    """Weights, averages and optimizer states agree to less than 1e-12, and so do the logged losses."""
    a, b = final_state(one), final_state(two)
    assert a.keys() == b.keys()
    assert max(float((a[k] - b[k]).abs().max()) for k in a) < 1e-12
    for x, y in zip(log_without_time(one), log_without_time(two), strict=True):
        assert x["event"] == y["event"]
        assert x.get("means", {}) == pytest.approx(y.get("means", {}), rel=1e-12)


@pytest.fixture(scope="module")
def vae_in_two_processes(vae_in_one_process: tuple[Any, Path]) -> Path:
    what, one = vae_in_one_process
    two = one.with_name("two")
    done = run([*FAIRDRAW, *command_of(what, two), "--devices", "2", "--micro-batches", "2", "--json"])
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1, "the first process speaks for all"
    return two


def test_two_processes_by_option_with_two_micro_batches_each_equal_one(
    vae_in_one_process: tuple[Any, Path], vae_in_two_processes: Path
) -> None:
    assert_close(vae_in_one_process[1], vae_in_two_processes)


def test_torchrun_equals_one(vae_in_one_process: tuple[Any, Path], tmp_path: Path) -> None:
    what, one = vae_in_one_process
    done = run(torchrun(command_of(what, tmp_path / "two")))
    assert done.returncode == 0, done.stderr
    assert_close(one, tmp_path / "two")


def test_a_checkpoint_of_two_processes_goes_on_in_one(
    vae_in_one_process: tuple[Any, Path], vae_in_two_processes: Path, tmp_path: Path
) -> None:
    what, one = vae_in_one_process
    shutil.copytree(vae_in_two_processes, tmp_path / "two")
    Run(tmp_path / "two").checkpoints()[-1].unlink()
    train(what, tmp_path / "two", quiet=True)
    assert_close(one, tmp_path / "two")


def test_torchrun_with_another_count_is_refused(tmp_path: Path) -> None:
    what = experiment(SMALL_CONFIGS["vae"], save_stripes(tmp_path))
    done = run(torchrun([*command_of(what, tmp_path / "two"), "--devices", "1"]))
    assert done.returncode != 0
    refusal = "started 2 process(es), 2 of them on this machine, and the options ask for --devices 1"
    assert refusal in done.stderr
    assert not (tmp_path / "two" / "model.safetensors").exists()
    assert Run(tmp_path / "two").checkpoints() == []


@pytest.mark.parametrize(
    ("world", "devices"),
    [
        ({"WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}, 1),
        ({"WORLD_SIZE": "2", "RANK": "0"}, 1),
        ({"SLURM_NTASKS": "4", "SLURM_NNODES": "3"}, 1),
        ({"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}, 3),
    ],
    ids=["not divisible", "no local size", "SLURM", "fewer than asked for"],
)
def test_a_wrong_world_is_refused(world: dict[str, str], devices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="make them agree"):
        launch(Runtime(device="cpu", devices=devices), "fp32")


@pytest.mark.parametrize("in_rank", [0, 1])
def test_a_signal_to_one_process_stops_both_at_the_same_step(in_rank: int, tmp_path: Path) -> None:
    what = experiment(SMALL_CONFIGS["vae"], save_stripes(tmp_path), images=4_000_000, checkpoint_every=4_000_000)
    command = [*FAIRDRAW, *command_of(what, tmp_path / "run"), "--devices", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    wait_for(lambda: progressed(tmp_path / "run"))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if in_rank and not children.exists():
        process.kill()
        pytest.skip("needs /proc to find the second process")
    os.kill(int(children.read_text().split()[0]) if in_rank else process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=40)
    assert process.returncode == 143, said
    assert "Traceback" not in said
    stopped = int(Run(tmp_path / "run").checkpoints()[-1].stem)
    assert f"stopped after {stopped:,} images" in said


def test_a_killed_rank_under_torchrun_restarts_and_ends_bit_equal(tmp_path: Path) -> None:
    what = experiment(SMALL_CONFIGS["vae"], save_stripes(tmp_path), images=8_000, checkpoint_every=512)
    through = run([*FAIRDRAW, *command_of(what, tmp_path / "through"), "--devices", "2"])
    assert through.returncode == 0, through.stderr
    command = torchrun(command_of(what, tmp_path / "killed"), "--max-restarts", "2")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    wait_for(lambda: progressed(tmp_path / "killed"))
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not workers.exists():
        process.kill()
        pytest.skip("needs /proc to find the second process")
    os.kill(int(workers.read_text().split()[-1]), signal.SIGKILL)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 0, said
    log = (tmp_path / "killed" / "log.jsonl").read_text()
    assert "started again" in log, "the rank was not killed in time"
    a, b = final_state(tmp_path / "through"), final_state(tmp_path / "killed")
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert log_without_time(tmp_path / "through") == log_without_time(tmp_path / "killed")


def test_each_process_goes_on_with_what_it_remembers(tmp_path: Path) -> None:
    what = experiment(SMALL_CONFIGS["cyclegan"], save_stripes(tmp_path), images=256, checkpoint_every=128)
    command = [*FAIRDRAW, *command_of(what, tmp_path / "run"), "--devices", "2"]
    assert (through := run(command)).returncode == 0, through.stderr
    a = final_state(tmp_path / "run")
    pools = [a[f"memory.{rank}.pool_a"] for rank in range(2)]
    assert pools[0].shape == pools[1].shape == (4, 1, 16, 16)
    assert not torch.equal(*pools)
    Run(tmp_path / "run").checkpoints()[-1].unlink()
    assert (again := run(command)).returncode == 0, again.stderr
    b = final_state(tmp_path / "run")
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_batch_statistics_are_named_when_they_make_a_difference(tmp_path: Path, command: Callable[..., Any]) -> None:
    data = save_stripes(tmp_path)
    for name, culprit in (("dcgan", "generator.1 (BatchNorm1d)"), ("vae, beta and free bits", "free bits")):
        what = experiment(VARIANTS[name], data, images=64)
        done = command(*command_of(what, tmp_path / name), "--micro-batches", "2")
        assert done.code == 0, done.err
        assert "statistics are taken over 16 images, not over the batch of 32" in done.err
        assert culprit in done.err
    assert batch_statistics(load(tmp_path / "dcgan"))


def test_bad_input_under_two_processes_is_one_line(tmp_path: Path) -> None:
    done = run([*FAIRDRAW, "train", "vae", "--data", str(tmp_path / "nowhere"), "--devices", "2", "--device", "cpu"])
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr


def progressed(folder: Path) -> bool:
    log = folder / "log.jsonl"
    return log.exists() and "progress" in log.read_text()


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_device_that_is_not_there_is_named_with_those_that_are() -> None:
    missing = "mps" if not torch.backends.mps.is_available() else "cuda"
    with pytest.raises(InputError, match=f"{missing} is not there: this machine has .*cpu"):
        find_device(missing)
    assert find_device("cpu") == "cpu"


def test_precision_is_taken_as_asked_and_found_when_not() -> None:
    cpu = torch.device("cpu")
    assert find_precision("bf16", cpu) == "bf16"
    assert find_precision("auto", cpu) in ("fp32", "bf16")


def test_bf16_is_chosen_where_it_is_faster_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    for speed, expected in ((0.5, "fp32"), (1.1, "fp32"), (2.0, "bf16")):
        monkeypatch.setattr("fairdraw.devices._speed_of_bf16", lambda speed=speed: speed)
        assert find_precision("auto", torch.device("cpu")) == expected


@pytest.mark.parametrize(
    ("names", "rank"),
    [({}, 0), ({"LOCAL_RANK": "1"}, 1), ({"RANK": "5", "LOCAL_RANK": "1"}, 5), ({"SLURM_PROCID": "3"}, 3)],
)
def test_rank_is_read_from_the_launcher(names: dict[str, str], rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert launcher_rank() == rank


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", SMALL_CONFIGS)
def test_cuda_sees_the_noise_and_the_data_that_the_cpu_sees(name: str, tmp_path: Path) -> None:
    what = experiment(SMALL_CONFIGS[name], save_stripes(tmp_path), precision="fp64", images=128)
    for device in ("cpu", "cuda"):
        train(what, tmp_path / device, Runtime(device=device), quiet=True)
    a, b = final_state(tmp_path / "cpu"), final_state(tmp_path / "cuda")
    assert max(float((a[k] - b[k]).abs().max()) for k in a) < 1e-6


@pytest.mark.parametrize(
    ("name", "asked", "expected"), [("vae", 0, 1), ("dcgan", 0, 3), ("vae", 2, 2), ("dcgan", 1, 1)]
)
def test_threads_suit_the_model_unless_asked_for(name: str, asked: int, expected: int) -> None:
    torch.set_num_threads(3)
    try:
        with threads(build(SMALL_CONFIGS[name]), asked):
            assert torch.get_num_threads() == expected
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(1)


class Averaging(Processes):
    """Two processes, of which the other one has the gradients and values that are given."""

    def __init__(self, other: list[float]) -> None:
        super().__init__(one_process()._fabric, "fp32")
        self.count, self.other = 2, other

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        return (value + torch.tensor(self.other, dtype=value.dtype)) / 2


def test_where_nobody_has_a_gradient_the_optimizer_does_not_move() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    parameters[0].grad = torch.tensor([2.0, 4.0])
    # The other process has a gradient for the second, and neither for the third.
    Averaging([0, 1, 0, *[0, 0], *[6, 8], *[0, 0]]).average_gradients(parameters)
    assert [None if p.grad is None else p.grad.tolist() for p in parameters] == [[1, 2], [3, 4], None]


@pytest.mark.parametrize(("other", "expected"), [([3.0, 1e9], True), ([3.0, 1e9 + 1], False)])
def test_processes_that_hold_different_things_do_not_agree(other: list[float], expected: bool) -> None:
    processes = Averaging(other)
    processes.any = lambda flag: flag  # type: ignore[method-assign]
    assert processes.agree([3.0, 1e9]) is expected


# Judging


def judged_by_two(words: list[object], cache: Path) -> subprocess.CompletedProcess[str]:
    spelled = [str(word) for word in words]
    return run([*FAIRDRAW, *spelled, "--devices", "2", "--device", "cpu", "--json"], FAIRDRAW_CACHE=str(cache))


def without_time(report: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (report / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "time"} for line in lines]


@pytest.fixture(scope="module")
def two_vaes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("judged")
    runs = []
    for images in (256, 512):
        what = experiment(SMALL_CONFIGS["vae"], save_stripes(folder, 900), images=images)
        train(what, folder / str(images), quiet=True)
        runs.append(str(folder / str(images)))
    return runs


def test_two_processes_find_the_numbers_of_one(
    two_vaes: list[str], tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["evaluate", two_vaes[0], "--count", 40, "--features", "pixels-pca64", "digits", "--out"]
    done = judged_by_two([*words, tmp_path / "2"], tmp_path / "cache-2")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1, "the first process speaks for all"
    assert len(list((tmp_path / "cache-2" / "judge").iterdir())) == 1
    monkeypatch.setenv("FAIRDRAW_CACHE", str(tmp_path / "cache-1"))
    alone = command(*words, tmp_path / "1", "--device", "cpu")
    assert alone.code == 0, alone.err
    one, two = ([line["value"] for line in without_time(tmp_path / n) if "value" in line] for n in ("1", "2"))
    assert len(one) > 100
    assert one == pytest.approx(two, rel=1e-4, abs=1e-9)


def test_two_processes_compare_as_one_does(
    two_vaes: list[str], tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = judged_by_two(["compare", *two_vaes], tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("FAIRDRAW_CACHE", str(tmp_path / "cache"))
    assert command("compare", *two_vaes, "--device", "cpu", "--json").facts == json.loads(done.stdout)


def test_bad_input_to_two_judges_is_one_line(two_vaes: list[str], tmp_path: Path) -> None:
    done = judged_by_two(["evaluate", two_vaes[0], "--count", 10, "--out", tmp_path / "out"], tmp_path / "cache")
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if line.startswith("fairdraw:")]
    assert said == ["fairdraw: --count 10: too few to judge by, give at least 30"]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "report.html").exists()


def two_processes(monkeypatch: pytest.MonkeyPatch, of_the_other: Any) -> Processes:
    """The first of two, whose partner is a stand-in that gives, or raises, `of_the_other`."""

    def gathered(everyone: list[Any], mine: Any) -> None:
        if isinstance(of_the_other, Exception):
            raise of_the_other
        everyone[:] = [mine, of_the_other]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gathered)
    processes = one_process("fp32")
    processes.count = 2
    return processes


def test_what_fails_in_one_process_fails_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = two_processes(monkeypatch, ([], "the disk of the other one is full"))
    with pytest.raises(InputError, match="the disk of the other one is full"):
        processes.share([lambda: 1, lambda: 2])
    with pytest.raises(ZeroDivisionError):
        processes.share([lambda: 1 // 0, lambda: 2])
    assert processes._told(ZeroDivisionError("by zero")) == "process 0 of 2 failed: ZeroDivisionError: by zero"


def test_running_out_of_memory_is_not_the_loss_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = two_processes(monkeypatch, torch.OutOfMemoryError("4 GiB"))
    with pytest.raises(torch.OutOfMemoryError):
        processes.share([lambda: 1, lambda: 2])
    processes = two_processes(monkeypatch, RuntimeError("Connection closed by peer"))
    with pytest.raises(InputError, match="another of the processes is gone"):
        processes.share([lambda: 1, lambda: 2])


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the second process")
def test_a_second_process_that_is_killed_is_said_to_be(two_vaes: list[str], tmp_path: Path) -> None:
    words = [
        "evaluate",
        two_vaes[0],
        "--devices",
        "2",
        "--device",
        "cpu",
        "--count",
        "800",
        "--out",
        str(tmp_path / "out"),
    ]
    environment = {**os.environ, "FAIRDRAW_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen([*FAIRDRAW, *words], stderr=subprocess.PIPE, text=True, env=environment)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_for(lambda: bool(children.read_text().split()))
    os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "another of the processes is gone, killed or for want of memory" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()
