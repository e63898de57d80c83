"""What is wrong with a training, and what to turn."""

from dataclasses import asdict
from pathlib import Path

import tyro

from fairdraw.command import Result


def doctor(run: tyro.conf.Positional[Path]) -> Result:
    """Explain what is wrong with a training, finished or under way: what was seen, the likely cause, what to turn.

    Args:
        run: a run folder.
    """
    from fairdraw.doctor import examine
    from fairdraw.run import Run

    folder = Run(run)
    record, entries = folder.record(), folder.read_log()
    readings = examine(entries, record)
    wrong = [reading for reading in readings if reading.sick]
    now = {reading.name for reading in wrong}
    passed = {e["name"]: e["images"] for e in entries if e["event"] == "finding" and e["name"] not in now}
    images = max((entry["images"] for entry in entries), default=0)

    lines = [f"{run}: {images:,} of {record['experiment']['training']['images']:,} images, {_count(len(wrong))}"]
    for reading in wrong:
        lines += ["", reading.name, f"  seen    {reading.seen}", f"  cause   {reading.cause}"]
        lines += [f"  remedy  {reading.remedy}"]
    lines += [""] * bool(wrong)
    lines += [f"passed    {name}: seen at {at:,} images, not now" for name, at in passed.items()]
    lines += [f"no {reading.name}: {reading.seen}" for reading in readings if not reading.sick]
    if not entries:
        lines[0] = f"{run}: nothing has been logged yet; ask again when the training has begun"
    elif not readings:
        lines.append("its log is too short to tell anything; ask again when it has gone on for a while")
    facts = {"run": str(run), "images": images, "readings": [asdict(reading) for reading in readings], "passed": passed}
    return Result(facts, lines)


def _count(wrong: int) -> str:
    return "nothing wrong" if not wrong else "1 thing wrong" if wrong == 1 else f"{wrong} things wrong"
