"""Small video files of every kind, made with PyAV."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
from av.bitstream import BitStreamFilterContext

RED, GREEN, BLUE, GREY = (230, 20, 20), (20, 200, 20), (20, 20, 230), (128, 128, 128)
# Frames that refer to later ones, as most films have; every twelfth can be jumped to.
WITH_B_FRAMES = {"crf": "5", "x264-params": "bframes=3:b-adapt=0:scenecut=0:keyint=12:open-gop=0"}


def ramp(frames: int, height: int = 32, width: int = 32) -> np.ndarray:
    """Grey frames that carry their number: level 20 + 4 n."""
    levels = 20 + 4 * np.arange(frames, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (frames, height, width, 3))


def numbers(video: np.ndarray) -> list[int]:
    """The frame numbers that a clip cut from a ramp shows."""
    return [round((float(frame.mean()) - 20) / 4) for frame in video]


def quarters(frames: int, height: int, width: int) -> np.ndarray:
    """Red, green / blue, grey: a picture that shows how it was turned, mirrored or squeezed."""
    video = np.empty((frames, height, width, 3), np.uint8)
    top, left = slice(0, height // 2), slice(0, width // 2)
    video[:], video[:, :, left] = GREY, BLUE
    video[:, top], video[:, top, left] = GREEN, RED
    return video


def corners(image: np.ndarray) -> list[tuple[int, int, int]]:
    """The named colour nearest to each corner: top left, top right, bottom left, bottom right."""
    edge = [image[y, x].astype(int) for y in (2, -3) for x in (2, -3)]
    return [min((RED, GREEN, BLUE, GREY), key=lambda color: np.abs(color - corner).sum()) for corner in edge]


def frames_of(video: np.ndarray, pix_fmt: str = "yuv420p") -> list[av.VideoFrame]:
    """RGB arrays as frames to encode."""
    return [av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format=pix_fmt) for array in video]


def write_frames(path, frames: Sequence[av.VideoFrame], codec="libx264", fps=30, options=None, setup=None):
    """Encode frames at a constant rate; `setup` may change the stream before."""
    with av.open(os.fspath(path), "w") as container:
        stream = container.add_stream(
            codec, rate=fps, options=options or {"crf": "5"} if codec == "libx264" else options or {}
        )
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, frames[0].format.name
        stream.codec_context.thread_count = 1
        if setup:
            setup(stream)
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def copy_packets(
    source, path, late_seconds: int = 0, sound_codec: str | None = None, sound_seconds: int = 0, fps: int = 30
):
    """Put the video of an mp4 into another container, as `ffmpeg -c copy` does, later if wanted, beside silence."""
    with av.open(os.fspath(source)) as given, av.open(os.fspath(path), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        stream.time_base = Fraction(1, fps)
        sound = container.add_stream(sound_codec, rate=48000, layout="mono") if sound_codec else None
        packets = [packet for packet in given.demux(video=0) if packet.size]
        if os.fspath(path).endswith(".avi"):
            annex_b = BitStreamFilterContext("h264_mp4toannexb", given.streams.video[0])
            packets = [filtered for packet in packets for filtered in annex_b.filter(packet)]
        if sound:
            container.mux(_silence(sound, sound_seconds))
        for packet in packets:
            shift = round(late_seconds / packet.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
            container.mux(packet)
    return path


def _silence(stream, seconds: int) -> list[av.Packet]:
    form = {"aac": "fltp", "libopus": "flt", "mp2": "s16"}[stream.codec_context.name]
    packets = []
    for first in range(0, seconds * 48000, 960):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16 if form == "s16" else np.float32), form, "mono")
        frame.sample_rate, frame.pts = 48000, first
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def turned(data: bytes, matrix: tuple[int, int, int, int]) -> bytes:
    """Set the display matrix in the track header of an mp4, as telephones do."""
    edited = bytearray(data)
    start = edited.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in matrix)
    edited[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return bytes(edited)
