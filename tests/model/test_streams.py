"""Streams: each has its own channels, and nothing else says where they lie."""

from __future__ import annotations

import pytest
import torch

from udpdiff.model.streams import VIDEO, Stream, Streams

THREE = Streams.all_at_once(["seg", "depth"], 4)


def test_the_papers_model_has_one_dense_stream_for_all_tasks():
    streams = Streams.in_turn(["seg", "depth"], 16, dense_weight=0.5)
    assert streams.names == ("video", "dense") and streams.total_channels == 32
    assert streams.dense == (Stream("dense", ("seg", "depth"), 0.5),)
    assert Streams.in_turn([], 16).names == (VIDEO,)


def test_all_at_once_has_a_stream_for_each_task():
    assert THREE.names == ("video", "seg", "depth") and len(THREE) == 3
    assert [stream.tasks for stream in THREE.streams] == [(), ("seg",), ("depth",)]
    assert [THREE.channel_slice(name) for name in THREE.names] == [slice(0, 4), slice(4, 8), slice(8, 12)]


def test_split_and_join_are_inverse():
    latents = torch.arange(12.0).reshape(1, 1, 12, 1, 1)
    parts = THREE.split(latents)
    assert {name: part.flatten().tolist() for name, part in parts.items()} == {
        "video": [0, 1, 2, 3],
        "seg": [4, 5, 6, 7],
        "depth": [8, 9, 10, 11],
    }
    assert torch.equal(THREE.join(dict(reversed(parts.items()))), latents)


@pytest.mark.parametrize("names", [(), ("seg",), ("seg", "video"), ("video", "seg", "seg")])
def test_the_video_comes_first_and_names_are_single(names):
    with pytest.raises(ValueError, match="'video' first and every name once"):
        Streams(tuple(map(Stream, names)), 4)


def test_unknown_streams_and_other_channels_are_refused():
    with pytest.raises(ValueError, match="got 'normals', expected one of"):
        THREE.channel_slice("normals")
    with pytest.raises(ValueError, match="8 channels, expected 12: 4 for each of"):
        THREE.split(torch.zeros(1, 1, 8, 1, 1))
