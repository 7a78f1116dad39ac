"""`udpdiff generate PROMPT`: a video and its dense prediction, written where they can be looked at and computed with."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from udpdiff.model.pipeline import UDPDiffPipeline

MODEL = "mini:udpdiff"
_ALIASES = {"entities": "seg"}
# Of mini models, as the mini scale samples, but for more steps; others take CogVideoX's own.
_MINI_CALL = {"num_inference_steps": 25, "guidance_scale": 3.0}
_CALL = {"num_inference_steps": 50, "guidance_scale": 6.0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from udpdiff.command.written import formats

    parser.add_argument("prompt", help='such as "A red ball rolls left on a grey floor."')
    parser.add_argument("--task", default="depth", help="what comes with the video: depth (default), seg or entities")
    parser.add_argument(
        "--model", default=MODEL, help=f"{MODEL} (default), a folder such as results/runs/multi, or an id of the hub"
    )
    parser.add_argument("--out", type=Path, help="folder to write to; by default generated/ and the prompt's words")
    parser.add_argument("--steps", type=int, help="of denoising: 25 for a mini model, else 50")
    parser.add_argument("--guidance", type=float, help="guidance scale: 3 for a mini model, else 6")
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    parser.add_argument("--frames", type=int, help="the model's own by default; one more than a multiple of 8")
    parser.add_argument("--height", type=int, help="pixels; the model's own by default")
    parser.add_argument("--width", type=int)
    parser.add_argument("--fps", type=float, default=8.0, help="of the written films")
    parser.add_argument("--device", help="cpu, cuda, mps; by default a GPU where there is one")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), help="by default bfloat16 on a GPU")
    parser.add_argument(
        "--format",
        type=formats,
        default=("mp4", "npy"),
        help="mp4: films; npy: the prediction exactly; png: 16-bit frames of it, and a strip to look at (default mp4,npy)",
    )


def run(arguments: argparse.Namespace) -> None:
    from udpdiff.quiet_libraries import leave_out_loading_bars

    arguments.task = _ALIASES.get(arguments.task, arguments.task)
    folder = arguments.out or Path("generated") / _folder_name(arguments)
    check(arguments, folder)
    leave_out_loading_bars()
    pipeline = load(arguments.model, arguments.device, arguments.dtype)
    output = generate(pipeline, arguments)
    for path in write(output, arguments, folder):
        print(path)


def check(arguments: argparse.Namespace, folder: Path) -> None:
    """Refuse what would fail only after minutes of work.

    Raises:
        ValueError: An option that no model takes, or a folder that cannot be written to.
    """
    from udpdiff.command.written import check_output
    from udpdiff.tasks import TASKS

    if arguments.task not in TASKS:
        raise ValueError(f"--task: got {arguments.task!r}; allowed: {', '.join(TASKS)}, or entities for seg")
    if not 0 < arguments.fps < 1000:
        raise ValueError(f"--fps: got {arguments.fps:g}; expected frames a second, above 0 and below 1000")
    if not arguments.prompt.strip():
        raise ValueError('the prompt: got no words; expected such as "A red ball rolls left on a grey floor."')
    check_output(folder, ["video", *TASKS, *(f"{task}_colormap" for task in TASKS)], arguments.format)


def load(reference: str, device: str | None, dtype: str | None) -> UDPDiffPipeline:
    """Return the pipeline of a model, by reference, on a device.

    Raises:
        ValueError: It cannot be loaded: the message says what was looked for.
    """
    import torch

    from udpdiff.checkpoints import hub
    from udpdiff.default_device import default_device
    from udpdiff.model.pipeline import UDPDiffPipeline

    unknown = (
        f"--model: got {reference!r}, which cannot be loaded as a UDPDiff model; expected {MODEL}, a folder that the"
        " workflow trained (results/runs/NAME) or `udpdiff export` wrote, or the id of such a model on the hub."
    )
    if not (reference.startswith("mini:") or hub.split(reference) or Path(reference).is_dir()):
        raise ValueError(unknown)
    device = device or default_device()
    dtype = dtype or ("bfloat16" if device.startswith("cuda") else "float32")
    try:
        pipeline = UDPDiffPipeline.from_pretrained(reference, dtype=getattr(torch, dtype), trust_remote_code=False)
    except (
        OSError,
        AttributeError,
    ) as error:  # diffusers' and the hub's own, for what is not there or is of another kind
        raise ValueError(unknown) from error
    try:
        return pipeline.to(device)
    except (RuntimeError, AssertionError) as error:  # torch's, for a device that is not there or is none
        raise ValueError(
            f"--device: got {device!r}, which this machine does not have; expected cpu, cuda or mps"
        ) from error


def generate(pipeline: UDPDiffPipeline, arguments: argparse.Namespace) -> Any:
    """Return what the pipeline makes of the arguments, as arrays."""
    import torch

    height = pipeline.transformer.config.sample_height * pipeline.vae_scale_factor_spatial
    standard = _MINI_CALL if height <= 128 else _CALL
    asked = {"num_inference_steps": arguments.steps, "guidance_scale": arguments.guidance}
    asked |= {"height": arguments.height, "width": arguments.width, "num_frames": arguments.frames}
    if len(pipeline.streams.dense) == 1:
        asked["task"] = arguments.task
    pipeline.set_progress_bar_config(desc="denoising", leave=False)
    return pipeline(
        arguments.prompt,
        generator=torch.Generator().manual_seed(arguments.seed),
        output_type="np",
        **standard | {name: value for name, value in asked.items() if value is not None},
    )


def write(output: Any, arguments: argparse.Namespace, folder: Path) -> list[Path]:
    """Write the video and each dense stream in the formats that were asked for; returns the files."""
    import numpy as np

    from udpdiff.command.written import write_array, write_film
    from udpdiff.report.media import strip, write_png
    from udpdiff.tasks import get_task

    video, made = np.rint(output.frames[0] * 255).astype(np.uint8), []
    films, rows = {"video": video}, [video]
    for stream in output.dense.values():
        task, prediction = get_task(stream.task), stream.prediction[0]
        colormap = np.rint(stream.frames[0] * 255).astype(np.uint8)
        films |= {f"{task.name}_colormap": colormap, task.name: task.picture(prediction)}
        rows.append(films[task.name])
        made += write_array(folder, task.name, prediction, arguments.format)
    if "mp4" in arguments.format:
        made = [write_film(folder, name, film, arguments.fps) for name, film in films.items()] + made
    if "png" in arguments.format:
        for name in ("video", *(f"{stream.task}_colormap" for stream in output.dense.values())):
            made += write_array(folder, name, films[name], ("png",))
        write_png(folder / "strip.png", strip(rows))
        made.append(folder / "strip.png")
    return made


def _folder_name(arguments: argparse.Namespace) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", arguments.prompt.lower()).strip("-")[:60].rstrip("-") or "prompt"
    return f"{words}-{arguments.task}-{arguments.seed}"
