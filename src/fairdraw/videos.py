"""A video whose frames are changed one by one, by PyAV: its times, its sound and its colours stay its own.

Frames keep the time at which they are shown, to the tick, so that rate and length are those of the original. A sound
track is copied where an MP4 can hold it as it is. What is written is H.264 of 8 bits, with colour at half the
resolution, in the colour space of the original, and upright.
"""

import errno
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairdraw.errors import InputError
from fairdraw.files import being_written
from fairdraw.films import QUALITY
from fairdraw.images import MACHINE_MADE, make_folder

if TYPE_CHECKING:
    from av import AudioStream, Packet, VideoFrame, VideoStream
    from av.container import InputContainer, OutputContainer

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp"})

COPIED = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus"})
"""Sound that an MP4 holds as it is."""

HD = 720
"""Rows from which on a video that does not say what its colour space is is taken to be in that of HD television."""

BT709, BT601 = 1, 6
MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""From the number of a colour space in a file (ITU-T H.273) to that of its matrix in FFmpeg's scaler."""

ACCURATE = 0x4 | 0x2000 | 0x4000 | 0x40000
"""FFmpeg's scaler: bicubic, colour at full resolution, accurate rounding; its default darkens by a level or two."""

LIMITED = 1
"""H.273 and FFmpeg: levels from 16 to 235."""

OF_THE_RESULT = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""Errors of the system that speak of what is written, not of what is read."""

CUT = 0.1
"""Share of the length that a file states and that its pictures and sound may lack for rounding."""

Change = Callable[[np.ndarray, int], np.ndarray]
"""From a frame, uint8 `[H, W, 3]`, and its number to the new one, `[H, W, 1 or 3]`; all new ones are of one size."""


@dataclass
class Changed:
    """What became of a video; `notes` are what did not become of it."""

    frames: int = 0
    rate: str = ""
    size: tuple[int, int] = (0, 0)
    sound: str = "none"
    notes: list[str] = field(default_factory=list)


def is_video(name: str) -> bool:
    """Whether a file is named like a video."""
    return Path(name).suffix.lower() in SUFFIXES


def check_video() -> None:
    """Refuse to read a video where PyAV is missing.

    Raises:
        InputError: with the command that installs it.
    """
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise InputError("a video needs PyAV: pip install 'fairdraw[video]', or give its frames as a folder") from error


def change_video(
    source: Path,
    out: Path,
    change: Change,
    facts: Mapping[str, Any],
    tick: Callable[[int, int], None] | None = None,
) -> Changed:
    """Write a machine-made MP4 with every frame of a video changed.

    Args:
        source: the video.
        out: where the MP4 goes; it is whole or absent.
        change: called for one frame after the other.
        facts: for the metadata.
        tick: told how many frames are done, of how many; 0 where the file does not say.

    Raises:
        InputError: for a file that is no video, is damaged, or has no frames; where PyAV is missing, or `out` cannot be
            written.
    """
    check_video()
    import av

    make_folder(out.parent)
    try:
        with av.open(str(source)) as given:
            if not given.streams.video:
                raise InputError(f"{source} has no frames: give a video with pictures in it")
            with being_written(out) as temporary:
                with av.open(str(temporary), "w", format="mp4") as made:
                    made.metadata["comment"] = json.dumps(
                        {**facts, "machine_made": True, "digital_source_type": MACHINE_MADE}, sort_keys=True
                    )
                    changed = _Changing(given, made, change, tick).all()
                if not changed.frames:
                    raise InputError(f"{source} has no frames that can be read: it is empty or damaged")
                _to_disk(temporary)
    except (av.FFmpegError, OSError) as error:
        said = (getattr(error, "strerror", None) or str(error)).lower()
        if isinstance(error, OSError) and error.errno in OF_THE_RESULT:
            raise InputError(f"cannot write {out}: {said}; free some space, or choose another with --out") from error
        raise InputError(f"cannot read {source}: {said}; give a whole video that FFmpeg can play") from error
    return changed


class _Changing:
    """The work on one video."""

    def __init__(
        self,
        given: "InputContainer",
        made: "OutputContainer",
        change: Change,
        tick: Callable[[int, int], None] | None,
    ) -> None:
        self.given, self.made, self.change, self.tick = given, made, change, tick
        self.pictures = given.streams.video[0]
        self.pictures.thread_type = "AUTO"
        self.heard = self.sound = given.streams.audio[0] if given.streams.audio else None
        self.rate: Fraction = self.pictures.average_rate or self.pictures.guessed_rate or Fraction(25)
        self.stream: VideoStream | None = None
        self.copy: AudioStream | None = None
        self.waiting: list[Packet[Any]] = []
        self.changed = Changed(rate=str(self.rate))
        self.end = Fraction(0)
        self.damaged = 0

    def all(self) -> Changed:
        """Every packet of the sound copied, every frame changed, in the order of the file."""
        self._look_at_the_sound()
        for packet in self.given.demux([self.pictures, *([self.heard] if self.heard else [])]):
            if packet.pts is not None:
                self.end = max(self.end, (packet.pts + (packet.duration or 0)) * packet.time_base)
            if packet.stream is self.pictures:
                for frame in packet.decode():
                    self._write(frame)  # type: ignore[arg-type]
            elif packet.stream is self.sound:
                if packet.dts is not None:
                    self.waiting.append(packet)
                self._copy_sound()
        if self.stream is not None:
            self.made.mux(self.stream.encode())
        self._copy_sound()
        self._look_for_damage()
        return self.changed

    def _look_for_damage(self) -> None:
        # FFmpeg ends a file that was cut off like any other, and covers up what it cannot decode.
        stated = (self.given.duration or 0) / 1e6
        found = float(self.end) - (self.given.start_time or 0) / 1e6
        if found < (1 - CUT) * stated:
            self.changed.notes.append(
                f"it ends after {found:.1f} s, but says that it lasts {stated:.1f} s: it may have been cut off"
            )
        if self.damaged:
            self.changed.notes.append(f"{self.damaged:,} of its frames are damaged, and taken as FFmpeg mends them")

    def _look_at_the_sound(self) -> None:
        if self.sound is None:
            return
        if self.sound.codec_context.name.removesuffix("float") not in COPIED:
            self.changed.sound = "dropped"
            self.changed.notes.append(
                f"the sound is {self.sound.codec_context.name}, which an MP4 does not hold as it is: it is dropped"
            )
            self.sound = None
        elif len(self.given.streams.audio) > 1:
            self.changed.notes.append(f"of {len(self.given.streams.audio)} sound tracks the first is kept")

    def _copy_sound(self) -> None:
        # Streams are named before anything is written, and the first frame says how large the pictures are.
        if self.stream is None:
            return
        for packet in self.waiting:
            assert self.copy is not None
            packet.stream = self.copy
            self.made.mux(packet)
        self.waiting.clear()

    def _write(self, frame: "VideoFrame") -> None:
        from av import VideoFrame

        number = self.changed.frames
        self.damaged += bool(frame.is_corrupt)
        space = frame.colorspace if frame.colorspace in MATRICES else BT709 if frame.height >= HD else BT601
        levels = frame.reformat(format="rgb24", src_colorspace=MATRICES[space], interpolation=ACCURATE).to_ndarray()
        turned = np.rot90(levels, getattr(frame, "rotation", 0) // 90)
        pixels = self.change(np.ascontiguousarray(turned), number)
        height, width = pixels.shape[:2]
        # H.264 players want colour at half the resolution, and so even sides.
        even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        even = np.ascontiguousarray(np.broadcast_to(even, (*even.shape[:2], 3)))
        if self.stream is None:
            self._begin(frame, space, (even.shape[1], even.shape[0]))
            if even.shape[:2] != (height, width):
                self.changed.notes.append("H.264 needs even sides: the last row or column is there twice")
        assert self.stream is not None
        new = VideoFrame.from_ndarray(even, "rgb24").reformat(
            format="yuv420p", dst_colorspace=MATRICES[space], dst_color_range=LIMITED, interpolation=ACCURATE
        )
        new.pts, new.time_base = (number, 1 / self.rate) if frame.pts is None else (frame.pts, frame.time_base)
        self.made.mux(self.stream.encode(new))
        self.changed.frames += 1
        if self.tick is not None:
            self.tick(number + 1, self.pictures.frames)

    def _begin(self, frame: "VideoFrame", space: int, size: tuple[int, int]) -> None:
        """Name the streams, of which the first frame tells what they are."""
        self.stream = stream = self.made.add_stream("libx264", rate=self.rate, options={"crf": QUALITY})
        self.changed.size = stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = (frame.pts is not None and frame.time_base) or 1 / self.rate
        stream.codec_context.colorspace, stream.codec_context.color_range = space, LIMITED
        stream.codec_context.color_primaries, stream.codec_context.color_trc = frame.color_primaries, frame.color_trc
        if frame.format.components[0].bits > 8:
            self.changed.notes.append(f"frames of {frame.format.components[0].bits} bits are taken in 8")
        if self.sound is not None:
            self.copy = self.made.add_stream_from_template(self.sound)
            self.changed.sound = f"copied ({self.sound.codec_context.name})"


def _to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
