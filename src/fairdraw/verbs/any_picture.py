"""What `translate` and `upscale` share: pictures, folders and videos in, their results out, whole or absent."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairdraw.command import Result
from fairdraw.data.decode import Unreadable, bytes_of
from fairdraw.data.exact import Exact, decode_exact, profile_for
from fairdraw.data.folder import SUFFIXES, is_hidden, is_picture, walk
from fairdraw.data.options import Rejected, few, plural, printable
from fairdraw.errors import InputError
from fairdraw.verbs.common import OTHER_FILES, file_names

if TYPE_CHECKING:
    from fairdraw.tiling import Tiled
    from fairdraw.trained import Trained

Say = Callable[[str], None]


@dataclass
class Done:
    """What became of the pictures of a folder, by name."""

    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    left_out: list[Rejected] = field(default_factory=list)
    animated: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Work:
    """A model, what it does in words, and the options on which a result depends.

    Args:
        trained: the model.
        tiled: the same, as it is applied.
        verb: `translated` or `enlarged`.
        how: for the names of files, such as `a-to-b`.
        options: for the facts.
        skip_bad: whether a picture of a folder that cannot be used is left out.
        skip_existing: whether a result that is there already is left alone.
    """

    trained: "Trained"
    tiled: "Tiled"
    verb: str
    how: str
    options: dict[str, Any]
    skip_bad: bool
    skip_existing: bool

    def on(self, source: Path, out: Path | None) -> Result:
        """Do it to a picture, a folder or a video.

        Raises:
            InputError: for a `source` that is none of them or cannot be read, or an `out` that is no place for it.
        """
        from fairdraw.videos import is_video

        if not source.exists():
            raise InputError(f"{source} does not exist: give a picture, a folder of pictures, or a video")
        if source.is_dir():
            return self._folder(source, out)
        if not source.is_file():  # a pipe would be waited for, a device read without end
            raise InputError(f"{source} is no file: give a picture, a folder of pictures, or a video")
        if not is_picture(source.name) and not is_video(source.name):
            raise InputError(
                f"{source} is named like no picture ({', '.join(sorted(SUFFIXES))}) and no video (such as .mp4): "
                "give one, or a folder of pictures"
            )
        if self.skip_existing or self.skip_bad:
            raise InputError("--skip-existing and --bad-images are for folders: leave them out")
        return self._video(source, out) if is_video(source.name) else self._picture(source, out)

    @property
    def facts(self) -> dict[str, Any]:
        """The model and the options."""
        facts = self.trained.facts
        return {"model": facts["model"], "model_sha256": facts["sha256"], "verb": self.verb, **self.options}

    def _picture(self, source: Path, out: Path | None) -> Result:
        from fairdraw.progress import stages

        path = self._place(source, out, ".png")
        try:
            data = bytes_of(source)
            picture = decode_exact(data)
            with stages() as say:
                self._make(picture, data, source.name, path, say, source.name)
        except Unreadable as error:
            raise InputError(f"{source}: {error}; give another picture") from error
        height, width = (side * self.tiled.factor for side in picture.pixels.shape[:2])
        size, bits = [width, height], 8 * picture.pixels.itemsize
        kept = f"{bits} bits" + (", alpha" if picture.alpha is not None else "")
        lines = [f"{path}: {source} {self.verb} ({self.how}), {width}x{height} px, {kept}"]
        lines += _first_of([source.name] if picture.frames > 1 else [])
        return Result({**self.facts, "size": size, "bits": bits, "count": 1, "out": str(path)}, lines)

    def _folder(self, source: Path, out: Path | None) -> Result:
        from fairdraw.progress import stages

        found = walk(source)
        names = sorted(found.pictures)
        if not names and not found.rejected:
            what = few(f"{count} {kind}" for kind, count in found.ignored.most_common()) or "nothing of use"
            raise InputError(
                f"no picture in the folder {source} (found {what}); give one with pictures, or a single video"
            )
        place = out or self.trained.pictures / f"{self.verb}-{self.how}-{source.resolve().name}"
        files = dict(zip(names, file_names(names), strict=True))
        self._check_folder(source, place, set(files.values()))
        done = Done()
        for rejected in found.rejected:
            self._leave_out(source, rejected, done)
        with stages() as say:
            for number, name in enumerate(names):
                self._one_of(source, name, place / files[name], done, say, f"{number + 1:,} of {len(names):,}: {name}")
        if not done.made and not done.kept:
            raise InputError(f"{source}: none of {plural(len(done.left_out), 'picture')} can be used: {_listed(done)}")
        return self._told(source, place, done, found.ignored)

    def _told(self, source: Path, place: Path, done: Done, ignored: dict[str, int]) -> Result:
        made = plural(len(done.made), "picture")
        lines = [f"{place}: {made} of {source} {self.verb} ({self.how}), under their names as PNG"]
        if done.kept:
            lines.append(f"{plural(len(done.kept), 'picture')} had been made before")
        if done.left_out:
            lines.append(f"left out: {_listed(done)}")
        lines += _first_of(done.animated)
        if ignored:
            lines.append("passed over: " + few(f"{count} {kind}" for kind, count in sorted(ignored.items())))
        facts = {
            **self.facts,
            "count": len(done.made),
            "kept": len(done.kept),
            "left_out": [{"name": one.name, "reason": one.reason} for one in done.left_out],
            "out": str(place),
        }
        return Result(facts, lines)

    def _one_of(self, source: Path, name: str, path: Path, done: Done, say: Say, where: str) -> None:
        say(f"{self.verb}: {where}")
        try:
            data = bytes_of(source / name)
            if self.skip_existing and path.exists() and _facts(path).get("source_sha256") == _sha256(data):
                done.kept.append(name)
                return
            picture = decode_exact(data)
            self._make(picture, data, name, path, say, where)
        except Unreadable as error:
            self._leave_out(source, Rejected(name, str(error)), done)
        else:
            done.made.append(name)
            if picture.frames > 1:
                done.animated.append(name)

    def _leave_out(self, source: Path, rejected: Rejected, done: Done) -> None:
        if not self.skip_bad:
            raise InputError(
                f"{source / rejected.name}: {rejected.reason}; mend or remove it, or leave it out with "
                "--bad-images skip; with --skip-existing what has been made is not made again"
            )
        done.left_out.append(rejected)

    def _make(self, picture: Exact, data: bytes, name: str, path: Path, say: Say, where: str) -> None:
        """Apply the model to one picture and write the result."""
        from fairdraw.images import save_exact
        from fairdraw.whole import applied

        if self.options["precision"] != "fp32" and picture.pixels.dtype != np.uint8:
            raise Unreadable("16 bits are more than bf16 can tell apart: use --precision fp32")
        digest = _sha256(data)

        def tick(done: int, of: int) -> None:
            say(f"{self.verb}: {where}" + (f", tile {done:,} of {of:,}" if of > 1 else ""))

        channels = self.trained.model.shape[0]
        # Its noise belongs to the picture, whatever stands beside it in a folder.
        pixels = applied(self.tiled, picture, channels, int(digest[:12], 16), tick)
        facts = {**self.facts, "shows": f"one picture {self.verb}", "source": name, "source_sha256": digest, "count": 1}
        profile = profile_for(picture.profile, 1 if channels == 1 else 3)
        save_exact(path, pixels, facts, machine_made=True, profile=profile)

    def _video(self, source: Path, out: Path | None) -> Result:
        from fairdraw.progress import stages
        from fairdraw.videos import change_video, check_video
        from fairdraw.whole import applied

        check_video()
        path = self._place(source, out, ".mp4")
        channels = self.trained.model.shape[0]
        with stages() as say:

            def change(pixels: np.ndarray, number: int) -> np.ndarray:
                # All frames are given the same noise: another for each would flicker.
                return applied(self.tiled, Exact(pixels), channels)[..., :3]

            def tick(done: int, of: int) -> None:
                say(f"{self.verb}: frame {done:,}" + (f" of {of:,}" if of else ""))

            facts = {**self.facts, "shows": f"a video {self.verb} frame by frame", "source": source.name}
            try:
                found = change_video(source, path, change, facts, tick)
            except Unreadable as error:
                raise InputError(f"{source}: {error}; give another video") from error
        width, height = found.size
        told = f"{path}: {plural(found.frames, 'frame')} of {source} {self.verb} ({self.how}), {width}x{height} px"
        lines = [f"{told}, {float(Fraction(found.rate)):.4g} a second, sound: {found.sound}", *found.notes]
        known = {"size": [width, height], "rate": found.rate, "sound": found.sound, "notes": found.notes}
        return Result({**self.facts, **known, "count": found.frames, "out": str(path)}, lines)

    def _place(self, source: Path, out: Path | None, suffix: str) -> Path:
        """Where the result of one file goes.

        Raises:
            InputError: for a file of another form, the source itself, or somebody's file of that name in a folder.
        """
        if out is None:
            return self.trained.pictures / f"{self.verb}-{self.how}-{source.stem}{suffix}"
        named = out.suffix.lower() == suffix
        if not named and out.suffix.lower() in (*OTHER_FILES, ".png", ".mp4", ".avi", ".mov", ".webm", ".mkv"):
            raise InputError(
                f"--out {out}: the result is written as {suffix[1:].upper()}; give a {suffix} file or a folder"
            )
        path = out if named else out / f"{source.stem}{suffix}"
        if path.is_dir():
            raise InputError(f"--out {path} is a folder: name a {suffix} file")
        if path.exists() and path.resolve() == source.resolve():
            raise InputError(f"--out {out}: {path} is what is to be {self.verb}; choose another name")
        if not named and path.exists() and not _facts(path):
            raise InputError(f"--out {out}: it holds a {path.name} already; name a {suffix} file to write over it")
        return path

    def _check_folder(self, source: Path, place: Path, files: set[str]) -> None:
        """Refuse a folder for the results that lies among the pictures, or holds what they would be confused with."""
        if place.suffix.lower() in (*OTHER_FILES, ".png", ".mp4") or place.is_file():
            raise InputError(f"--out {place}: a picture for each of {source} is made; give a folder")
        if place.resolve().is_relative_to(source.resolve()):
            raise InputError(
                f"--out {place} lies in {source}, whose pictures it would be among the next time; give a folder outside"
            )
        there = [path.relative_to(place).as_posix() for path in sorted(place.rglob("*")) if path.is_file()]
        there = [name for name in there if not is_hidden(name)]
        if there and not self.skip_existing:
            raise InputError(
                f"--out {place} is a folder with files in it: give a new folder, or go on with an interrupted command "
                "with --skip-existing"
            )
        if foreign := [name for name in there if name not in files]:
            raise InputError(f"--out {place} holds what is no result of {source}: {few(foreign)}; give a new folder")
        mine = self.facts
        if others := [name for name in there if {k: _facts(place / name).get(k) for k in mine} != mine]:
            raise InputError(
                f"--out {place} holds results of another model or other options: {few(others)}; give a new folder"
            )


def _facts(path: Path) -> dict[str, Any]:
    """What fairdraw wrote about a picture; nothing where it is not one of its own."""
    from fairdraw.images import facts_of

    try:
        return facts_of(path)
    except (OSError, KeyError, ValueError):
        return {}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _listed(done: Done) -> str:
    return few(f"{printable(one.name)} ({one.reason})" for one in done.left_out)


def _first_of(names: list[str]) -> list[str]:
    return [f"only the first frame or page is taken of {few(names)}"] if names else []
