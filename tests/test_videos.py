"""Videos whose frames are changed: times, sound, colours and sides stay; what is no video is named."""

import errno
import json
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairdraw.errors import InputError
from fairdraw.videos import ACCURATE, change_video, check_video, is_video

av = pytest.importorskip("av")

COLOURS = [(200, 40, 60), (30, 180, 90), (50, 60, 210), (128, 128, 128)]


def save_video(
    path: Path,
    count: int = 4,
    size: tuple[int, int] = (64, 48),
    sound: str | None = None,
    times: list[int] | None = None,
    space: int | None = None,
    rotation: int = 0,
    codec: str = "libx264",
) -> Path:
    """Frames of one colour each, a white mark in the upper left corner, at 12.5 a second or at `times` in 1/100 s."""
    with av.open(str(path), "w") as made:
        stream = made.add_stream(codec, rate=Fraction(25, 2), options={"crf": "8"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        if times:
            stream.codec_context.time_base = Fraction(1, 100)
        if space is not None:
            stream.codec_context.colorspace, stream.codec_context.color_range = space, 1
        if rotation:
            stream.set_display_rotation(rotation)
        track = made.add_stream(sound, rate=48_000) if sound else None
        matrix = {1: 1, 6: 5}.get(space or 6)
        for number in range(count):
            pixels = np.full((size[1], size[0], 3), COLOURS[number % 4], np.uint8)
            pixels[: size[1] // 4, : size[0] // 4] = 255
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(
                format="yuv420p", dst_colorspace=matrix, dst_color_range=1, interpolation=ACCURATE
            )
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 100)
            made.mux(stream.encode(frame))
        made.mux(stream.encode())
        if track is not None:
            samples = np.sin(np.arange(4096) / 10).astype(np.float32)[None]
            for first in range(0, 4096, 1024):
                some = samples[:, first : first + 1024].copy()
                if sound == "pcm_s16le":
                    part = av.AudioFrame.from_ndarray((some * 9999).astype(np.int16), "s16", "mono")
                else:
                    part = av.AudioFrame.from_ndarray(some, "fltp", "mono")
                part.sample_rate, part.pts = 48_000, first
                made.mux(track.encode(part))
            made.mux(track.encode())
    return path


def frames_of(path: Path) -> list[Any]:
    with av.open(str(path)) as video:
        return list(video.decode(video=0))


def sound_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as video:
        return [bytes(packet) for packet in video.demux(audio=0) if packet.dts is not None]


def same(pixels: np.ndarray, number: int) -> np.ndarray:
    return pixels


@pytest.mark.parametrize(("suffix", "space"), [("mp4", 1), ("mkv", 6), ("mp4", None), ("avi", None)])
def test_frames_times_and_colours_stay(tmp_path: Path, suffix: str, space: int | None) -> None:
    source = save_video(tmp_path / f"a.{suffix}", space=space)
    found = change_video(source, tmp_path / "b.mp4", same, {"seed": 3})
    assert (found.frames, found.rate, found.size, found.sound, found.notes) == (4, "25/2", (64, 48), "none", [])
    before, after = frames_of(source), frames_of(tmp_path / "b.mp4")
    assert [frame.time for frame in after] == pytest.approx([frame.time for frame in before])
    for frame, colour in zip(after, COLOURS, strict=True):
        matrix = 1 if space == 1 else 5
        shown = frame.reformat(format="rgb24", src_colorspace=matrix, interpolation=ACCURATE).to_ndarray()
        assert shown[30, 40] == pytest.approx(np.array(colour), abs=2)
    assert after[0].colorspace == (space or 6)
    with av.open(str(tmp_path / "b.mp4")) as video:
        facts = json.loads(video.metadata["comment"])
        assert video.streams.video[0].average_rate == Fraction(25, 2)
    assert facts["seed"] == 3
    assert facts["machine_made"] is True


def test_frames_that_come_unevenly_do_so_again(tmp_path: Path) -> None:
    source = save_video(tmp_path / "a.mkv", times=[0, 10, 35, 43])
    change_video(source, tmp_path / "b.mp4", same, {})
    assert [frame.time for frame in frames_of(tmp_path / "b.mp4")] == pytest.approx([0, 0.1, 0.35, 0.43], abs=1e-3)


def test_sound_is_copied_or_said_to_be_dropped(tmp_path: Path) -> None:
    source = save_video(tmp_path / "a.mp4", sound="aac")
    assert change_video(source, tmp_path / "b.mp4", same, {}).sound == "copied (aac)"
    assert sound_of(tmp_path / "b.mp4") == sound_of(source)
    found = change_video(save_video(tmp_path / "c.mkv", sound="pcm_s16le"), tmp_path / "d.mp4", same, {})
    assert found.sound == "dropped"
    assert found.notes == ["the sound is pcm_s16le, which an MP4 does not hold as it is: it is dropped"]
    with av.open(str(tmp_path / "d.mp4")) as video:
        assert not video.streams.audio


def test_frames_are_changed_in_their_order_and_counted(tmp_path: Path) -> None:
    source, numbers, told = save_video(tmp_path / "a.mp4"), [], []

    def larger(pixels: np.ndarray, number: int) -> np.ndarray:
        numbers.append(number)
        assert pixels[30, 40] == pytest.approx(np.array(COLOURS[number]), abs=4)
        return (255 - pixels).repeat(2, 0).repeat(2, 1)[..., :1]

    found = change_video(source, tmp_path / "b.mp4", larger, {}, lambda done, of: told.append((done, of)))
    assert numbers == [0, 1, 2, 3]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found.size == (128, 96)
    shown = frames_of(tmp_path / "b.mp4")[0].to_ndarray(format="rgb24")
    assert shown[60, 80] == pytest.approx(np.full(3, 255 - 200), abs=4)


def test_odd_sides_become_even(tmp_path: Path) -> None:
    source = save_video(tmp_path / "a.mp4")
    found = change_video(source, tmp_path / "b.mp4", lambda pixels, _: pixels[:47, :63], {})
    assert found.size == (64, 48)
    assert found.notes == ["H.264 needs even sides: the last row or column is there twice"]


def test_a_video_held_upright_is_written_upright(tmp_path: Path) -> None:
    if not hasattr(av.VideoFrame, "rotation") or not hasattr(av.video.stream.VideoStream, "set_display_rotation"):
        pytest.skip("needs a PyAV that knows how a camera was held")
    source = save_video(tmp_path / "a.mp4", rotation=90)
    turns = frames_of(source)[0].rotation
    assert turns % 360 in (90, 270)
    found = change_video(source, tmp_path / "b.mp4", same, {})
    assert found.size == (48, 64)
    shown = frames_of(tmp_path / "b.mp4")[0]
    assert getattr(shown, "rotation", 0) == 0
    levels = shown.to_ndarray(format="rgb24").astype(int)
    corners = {(r, c): levels[r, c].min() > 240 for r in (3, -4) for c in (3, -4)}
    # Turned to the left, what was in the upper left corner is in the lower left one.
    assert [place for place, white in corners.items() if white] == [(-4, 3) if turns % 360 == 90 else (3, -4)]


def test_ten_bits_are_said_to_be_cut(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as made:
        stream = made.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p10le"
        frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8), "rgb24")
        made.mux(stream.encode(frame))
        made.mux(stream.encode())
    assert change_video(tmp_path / "a.mkv", tmp_path / "b.mp4", same, {}).notes == ["frames of 10 bits are taken in 8"]


# What is no video


def test_what_is_no_video_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    whole = save_video(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.mp4").write_text("no video", encoding="utf-8")
    (tmp_path / "empty.mp4").touch()
    with av.open(str(tmp_path / "sound.mp4"), "w") as made:
        track = made.add_stream("aac", rate=48_000)
        part = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        part.sample_rate = 48_000
        made.mux(track.encode(part))
        made.mux(track.encode())
    for name, said in (
        ("cut", "cannot read .*cut.mp4: "),
        ("text", "cannot read .*text.mp4: "),
        ("empty", "cannot read .*empty.mp4: "),
        ("nowhere", "cannot read .*nowhere.mp4: no such file"),
        ("sound", "sound.mp4 has no frames: give a video with pictures in it"),
    ):
        with pytest.raises(InputError, match=said):
            change_video(tmp_path / f"{name}.mp4", tmp_path / "out" / "b.mp4", same, {})
        assert not list((tmp_path / "out").iterdir())


def test_a_video_without_frames_is_named(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as made:
        stream = made.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        made.start_encoding()
    with pytest.raises(InputError, match=r"a.mkv has no frames|cannot read .*a.mkv"):
        change_video(tmp_path / "a.mkv", tmp_path / "b.mp4", same, {})
    assert not (tmp_path / "b.mp4").exists()


def test_an_error_within_leaves_nothing(tmp_path: Path) -> None:
    def fails(pixels: np.ndarray, number: int) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        change_video(save_video(tmp_path / "a.mp4"), tmp_path / "out" / "b.mp4", fails, {})
    assert not list((tmp_path / "out").iterdir())


def test_without_pyav_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"a video needs PyAV: pip install 'fairdraw\[video\]'"):
        check_video()


def test_videos_are_known_by_name() -> None:
    assert [is_video(name) for name in ("a.MP4", "b/c.mkv", "d.png", "mp4")] == [True, True, False, False]


def test_a_video_that_was_cut_off_is_said_to_be(tmp_path: Path) -> None:
    whole = save_video(tmp_path / "whole.mkv", count=200)
    assert change_video(whole, tmp_path / "a.mp4", same, {}).notes == []
    content = whole.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    found = change_video(tmp_path / "cut.mkv", tmp_path / "b.mp4", same, {})
    assert 0 < found.frames < 180
    (note,) = found.notes
    assert note.startswith(f"it ends after {found.frames / 12.5:.1f} s, but says that it lasts 16.0 s: ")


def test_sound_that_is_dropped_tells_how_long_a_video_is_all_the_same(tmp_path: Path) -> None:
    """It lasts for a third of a second, and one picture for less than a tenth."""
    source = save_video(tmp_path / "a.mkv", count=1, sound="pcm_s16le")
    (note,) = change_video(source, tmp_path / "b.mp4", same, {}).notes
    assert "it is dropped" in note


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_what_cannot_be_written_is_not_blamed_on_the_video(tmp_path: Path, number: int) -> None:
    def full(pixels: np.ndarray, _: int) -> np.ndarray:
        raise OSError(number, os.strerror(number))

    with pytest.raises(InputError, match=r"cannot write .*b.mp4: .*; free some space, or choose another with --out"):
        change_video(save_video(tmp_path / "a.mp4"), tmp_path / "b.mp4", full, {})
    assert not list(tmp_path.glob("*b.mp4*"))
