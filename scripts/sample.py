"""Samples one run for one task: a video, and its dense prediction if the model has one, per evaluation caption.

The noise of prompt number i comes from seed + i for every model, so that models are compared on equal noise.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from udpdiff.model.latents import default_device
from udpdiff.model.precision import warn_of_slow_bfloat16
from udpdiff.progress import progress
from udpdiff.storage.captions import read_captions
from udpdiff.storage.folders import replace_folder
from udpdiff.storage.shards import ShardWriter
from udpdiff.training.export import load_run
from udpdiff.video_io import write_mp4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="the run's folder")
    parser.add_argument("--task", required=True, help="seg, depth, or video for a model without a dense stream")
    parser.add_argument("--settings", required=True, type=json.loads, help="json: sampling, clips, device")
    parser.add_argument("--captions", required=True, nargs="+", help="caption tables of the evaluation split")
    parser.add_argument("--samples", required=True)
    arguments = parser.parse_args()

    import torch

    told, sampling = arguments.settings, arguments.settings["sampling"]
    if sampling["dtype"] == "bfloat16" and default_device() == "cpu":
        warn_of_slow_bfloat16("sampling.dtype", '"float32"')
    pipeline = load_run(arguments.run, getattr(torch, sampling["dtype"]), default_device())
    pipeline.set_progress_bar_config(disable=True)
    captions = read_captions(arguments.captions)
    chosen = list(captions.items())[: sampling["prompts"]]
    attrs = {"run": Path(arguments.run).name, "task": arguments.task, "fps": told["clips"]["fps"], "settings": told}
    schema = "videos" if arguments.task == "video" else "predictions"
    with replace_folder(arguments.samples) as folder:
        start = time.monotonic()
        with ShardWriter(folder / "samples.h5", schema, attrs) as shard:
            batches = range(0, len(chosen), sampling["batch_size"])
            for first in progress(batches, f"batches of {arguments.task} samples"):
                batch = chosen[first : first + sampling["batch_size"]]
                prompts = [texts[sampling["caption"]] for _, texts in batch]
                seeds = [sampling["seed"] + first + index for index in range(len(batch))]
                for index, arrays in enumerate(generate(pipeline, prompts, seeds, arguments.task, told)):
                    shard.add(batch[index][0], arrays | {"prompt": prompts[index]})
                    name = f"{first + index:04d}"
                    write_mp4(folder / f"{name}_video.mp4", arrays["video"], told["clips"]["fps"])
                    if "dense" in arrays:
                        write_mp4(folder / f"{name}_dense.mp4", arrays["dense"], told["clips"]["fps"])
        seconds = time.monotonic() - start
        cost = {"clips": len(chosen), "seconds": seconds, "seconds_per_clip": seconds / len(chosen)}
        (folder / "cost.json").write_text(json.dumps(cost))


def generate(pipeline, prompts: list[str], seeds: list[int], task: str, told: dict) -> list[dict[str, np.ndarray]]:
    """One dict per prompt: video uint8 (T, H, W, 3), and for dense tasks dense uint8 and prediction uint16 (T, H, W)."""
    import torch

    size = {key: told["clips"][key] for key in ("height", "width", "num_frames")}
    options = {key: told["sampling"][key] for key in ("num_inference_steps", "guidance_scale")}
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    if task == "video":
        length = pipeline.transformer.config.max_text_seq_length
        output = pipeline(
            prompt=prompts, generator=generators, output_type="np", max_sequence_length=length, **size, **options
        )
        return [{"video": to_uint8(frames)} for frames in output.frames]
    output = pipeline(prompt=prompts, task=task, generator=generators, output_type="np", **size, **options)
    triples = zip(output.frames, output.dense_frames, output.prediction, strict=True)
    return [
        {"video": to_uint8(frames), "dense": to_uint8(dense), "prediction": to_uint16(prediction)}
        for frames, dense, prediction in triples
    ]


def to_uint8(frames: np.ndarray) -> np.ndarray:
    return np.rint(frames * 255).astype(np.uint8)


def to_uint16(prediction: np.ndarray) -> np.ndarray:
    """Entity ids as they are; depth in [0, 1] as in the depth shards."""
    return prediction if prediction.dtype == np.uint16 else np.rint(prediction * 65535).astype(np.uint16)


if __name__ == "__main__":
    main()
