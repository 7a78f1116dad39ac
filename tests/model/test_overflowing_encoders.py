"""Encoders that overflow stop their job, name the key that sets their dtype, and store nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers import CogVideoXPipeline

from udpdiff import jobs
from udpdiff.finite import NotFinite, as_float16
from udpdiff.model.encoding import encode_shard
from udpdiff.model.latents import decode_latents, encode_videos
from udpdiff.model.live_text import LivePrompts
from udpdiff.model.loading import load_vae
from udpdiff.model.text import encode_captions
from udpdiff.storage.captions import Caption, CaptionWriter
from udpdiff.storage.shards import ShardWriter
from udpdiff.video_io import encode_mp4

EXECUTION = jobs.Execution(device="cpu", max_failed_share=1.0)


@pytest.fixture
def make_base(tmp_path, tiny_components, tiny_transformer):
    """A base whose VAE and text encoder give values that are so many times larger."""

    def make(factor: float) -> str:
        CogVideoXPipeline(**tiny_components, transformer=tiny_transformer).save_pretrained(tmp_path / "base")
        folder = str(tmp_path / "base")
        vae = load_vae(folder, "cpu")
        for weight in (vae.encoder.conv_out.conv.weight, vae.decoder.conv_out.conv.weight):
            weight.mul_(factor)
        vae.save_pretrained(tmp_path / "base" / "vae")
        encoder = type(tiny_components["text_encoder"]).from_pretrained(folder, subfolder="text_encoder")
        encoder.encoder.final_layer_norm.weight.data.mul_(factor)
        encoder.save_pretrained(tmp_path / "base" / "text_encoder")
        return folder

    return make


def encode(tmp_path, base, dtype):
    video = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)
    size = {"height": 64, "width": 64, "num_frames": 5, "fps": 8.0, "source": "scenes"}
    with ShardWriter(tmp_path / "clips.h5", "clips", size) as shard:
        texts = dict.fromkeys(("brief", "detailed", "source_id", "source_sha256", "record_sha256"), "")
        shard.add("a", {"video_mp4": encode_mp4(video, 8.0)} | texts)
    job = jobs.EncodeLatents(base=base, batch_clips=2, dtype=dtype)
    encode_shard(job, EXECUTION, "video", tmp_path / "clips.h5", tmp_path / "latents.h5")


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        ("float16", r"encoding\.vae_dtype: got 'float16'.*latents.*bfloat16"),
        ("float32", r"latents of a of up to.*65504"),
    ],
)
def test_latents_that_overflow_are_not_stored(tmp_path, make_base, dtype, message):
    base = make_base(1e8)
    with pytest.raises(ValueError, match=message):
        encode(tmp_path, base, dtype)
    assert not (tmp_path / "latents.h5").exists()


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_no_part_of_a_round_trip_overflows_unseen(tiny_vae, make_base, bad):
    vae = load_vae(make_base(1.0), "cpu")
    latents = encode_videos(vae, np.zeros((1, 5, 64, 64, 3), np.uint8))
    torch.nn.init.constant_(vae.decoder.conv_out.conv.bias, bad)
    with pytest.raises(NotFinite, match=r"'float32'.*frames that the VAE decodes"):
        decode_latents(vae, latents)
    torch.nn.init.constant_(vae.encoder.conv_out.conv.bias, bad)
    with pytest.raises(NotFinite, match=r"'float32'.*latents that the VAE encodes"):
        encode_videos(vae, np.zeros((1, 5, 64, 64, 3), np.uint8))


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        ("float16", r"encoding\.text_dtype: got 'float16'.*prompt embeddings"),
        ("float32", "prompt embeddings of up to.*65504"),
    ],
)
@pytest.mark.parametrize("way", ["stored", "live"])
def test_prompt_embeddings_that_overflow_are_neither_stored_nor_trained_on(tmp_path, make_base, way, dtype, message):
    base, table = make_base(1e8), tmp_path / "captions.parquet"
    with CaptionWriter(table, {}) as captions:
        captions.add("a", Caption("a red ball", "s", 5), Caption("a red ball rolls", "s", 6))
    with pytest.raises(ValueError, match=message):
        if way == "stored":
            encode_captions(jobs.EncodeText(base=base, dtype=dtype, task=None), EXECUTION, table, tmp_path / "text.h5")
        else:
            LivePrompts([table], base, dtype, "cpu").style("plain").read("a", "brief")
    assert not (tmp_path / "text.h5").exists()


def test_what_float16_holds_is_stored_as_it_is():
    values = np.array([0.1, -65504.0, 3e-8], np.float32)
    np.testing.assert_array_equal(as_float16(values, "values"), values.astype(np.float16))
    for bad in (65520.0, -1e9, np.nan):
        with pytest.raises(ValueError, match="Got values of up to"):
            as_float16(np.array([0.0, bad]), "values")
