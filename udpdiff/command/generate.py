"""`udpdiff generate PROMPT`: a video and its dense prediction, written where they can be looked at and computed with."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from udpdiff.model.sampling_defaults import CALL, MINI_CALL

if TYPE_CHECKING:
    from udpdiff.command.outputs import Outputs
    from udpdiff.model.description import Description
    from udpdiff.model.pipeline import UDPDiffPipeline

MODEL, TASK = "mini:udpdiff", "depth"
_ALIASES = {"entities": "seg"}
_MINI_HEIGHT = 128  # the largest of a mini model
# What the library's errors call them -> what the user typed.
_OPTIONS = {"num_frames": "--frames", "num_inference_steps": "--steps", "guidance_scale": "--guidance"}
_ARGUMENTS = re.compile("|".join(_OPTIONS))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from udpdiff.command.outputs import add_overwrite
    from udpdiff.command.written import formats
    from udpdiff.sources.scene_words import EXAMPLE, KINDS

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    kinds = "\n".join(f"  {kind}: {words}" for kind, words in KINDS.items())
    parser.epilog = f"Mini models learnt from captions of rendered scenes alone, which have:\n{kinds}\n"
    parser.epilog += f'Name two solids or more, and the floor:\n  udpdiff generate "{EXAMPLE}"'
    parser.add_argument("prompt", help="in quotes; for a mini model as in the example at the end")
    parser.add_argument(
        "--task", help="what comes with the video: depth, seg or entities; by default depth where the model knows it"
    )
    parser.add_argument(
        "--model", default=MODEL, help=f"{MODEL} (default), a folder such as results/runs/multi, or an id of the hub"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="folder to write to; by default generated/ and the prompt's words, the task and the seed",
    )
    add_overwrite(parser)
    parser.add_argument("--steps", type=int, help="of denoising, a divisor of 1000: 25 for a mini model, else 50")
    parser.add_argument("--guidance", type=float, help="guidance scale: 3 for a mini model, else 6")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default 0)")
    parser.add_argument("--frames", type=int, help="the model's own by default; one more than a multiple of 8")
    parser.add_argument("--height", type=int, help="pixels; the model's own by default")
    parser.add_argument("--width", type=int, help="likewise")
    parser.add_argument("--fps", type=float, default=8.0, help="of the written films (default 8)")
    parser.add_argument("--device", help="cpu, cuda, mps; by default a GPU where there is one")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), help="by default bfloat16 on a GPU")
    parser.add_argument(
        "--format",
        type=formats,
        default=("mp4", "npy"),
        help="mp4: films; npy: the prediction exactly; png: 16-bit frames of it, and a strip to look at (default mp4,npy)",
    )


def run(arguments: argparse.Namespace) -> None:
    from udpdiff.command import notices
    from udpdiff.command.devices import check_device, default_place
    from udpdiff.quiet_libraries import leave_out_loading_bars, leave_out_truncated_text
    from udpdiff.tasks import task_prompt

    arguments.task = _ALIASES.get(arguments.task, arguments.task)
    check(arguments)
    check_device(arguments.device, arguments.dtype)
    model = described(arguments.model)
    arguments.task = arguments.task or (TASK if TASK in model.tasks else model.tasks[0])
    call = resolved(arguments, model)
    place = outputs(arguments, model, call)
    place.check(arguments.format, arguments.overwrite)
    notices.say(notices.strange_to_mini(arguments.prompt, arguments.model, model.base))
    notices.say(notices.other_size(arguments.model, model, call["height"], call["width"], call["num_frames"]))
    notices.say(f"{arguments.model}: loading ...")
    device, dtype = default_place(arguments.device, arguments.dtype)
    leave_out_loading_bars()
    leave_out_truncated_text()
    pipeline = load(_pinned(arguments.model, model), device, dtype)
    full_prompt = task_prompt(arguments.prompt, arguments.task) if model.names_task else arguments.prompt
    notices.say(notices.cut(full_prompt, pipeline.tokenizer, model.text_length))
    output = generate(pipeline, arguments, call)
    place.clear()
    made = write(output, arguments, place.folder)
    for path in [*made, place.seal(made, _provenance(pipeline))]:
        print(path)


def check(arguments: argparse.Namespace) -> None:
    """Refuse options that no model takes.

    Raises:
        ValueError: Such a one.
    """
    from udpdiff.sources.scene_words import EXAMPLE
    from udpdiff.tasks import TASKS

    if arguments.task and arguments.task not in TASKS:
        raise ValueError(f"--task: got {arguments.task!r}; allowed: {', '.join(TASKS)}, or entities for seg")
    if not 0 < arguments.fps < 1000:
        raise ValueError(f"--fps: got {arguments.fps:g}; expected frames a second, above 0 and below 1000")
    if not arguments.prompt.strip():
        raise ValueError(f'the prompt: got no words; expected such as "{EXAMPLE}"')
    if not -(2**63) <= arguments.seed < 2**63:
        raise ValueError(f"--seed: got {arguments.seed}; expected a whole number of 64 bits")
    if arguments.guidance is not None and not 0 <= arguments.guidance < math.inf:
        raise ValueError(
            f"--guidance: got {arguments.guidance:g}; expected a number above 1, such as 6, or 1 for no guidance"
        )


def described(reference: str) -> Description:
    """Return what a model's json files say.

    Raises:
        ValueError: It is no UDPDiff model, or not there: the message says what was looked for.
    """
    from udpdiff.checkpoints import hub, resolve
    from udpdiff.model.description import Description

    is_remote = _is_remote(reference)
    if not (is_remote or Path(resolve(reference)).is_dir()):
        raise ValueError(_unknown(reference, "there is no such folder"))
    try:
        return Description.read(reference)
    except FileNotFoundError as error:
        raise ValueError(_unknown(reference, f"there is no {Path(error.filename or '').name}")) from error
    except (OSError, ValueError, LookupError, TypeError) as error:  # the hub's own, and of files of another kind
        fault = next(hub.faults([reference]), None) if is_remote else None
        raise ValueError(_unknown(reference, fault or " ".join(str(error).split()))) from error


def _unknown(reference: str, why: str) -> str:
    return (
        f"--model: got {reference!r}, which cannot be loaded as a UDPDiff model: {why.rstrip('.')}. Expected {MODEL}, a folder"
        " that the workflow trained (results/runs/NAME) or `udpdiff export` wrote, or the id of such a model on the hub."
    )


def resolved(arguments: argparse.Namespace, model: Description) -> dict[str, Any]:
    """Return the options of the call, the model's own where none is asked for.

    Raises:
        ValueError: The model cannot make that.
    """
    call = {"height": model.height, "width": model.width, "num_frames": model.num_frames}
    call |= MINI_CALL if model.height <= _MINI_HEIGHT else CALL
    overrides = {"height": arguments.height, "width": arguments.width, "num_frames": arguments.frames}
    overrides |= {"num_inference_steps": arguments.steps, "guidance_scale": arguments.guidance}
    call |= {name: value for name, value in overrides.items() if value is not None}
    size = (call["height"], call["width"], call["num_frames"])
    try:
        model.check(arguments.task, *size, call["num_inference_steps"], call["guidance_scale"])
    except ValueError as error:
        raise ValueError(_ARGUMENTS.sub(lambda found: _OPTIONS[found[0]], str(error))) from error
    return call


def outputs(arguments: argparse.Namespace, model: Description, call: dict[str, Any]) -> Outputs:
    """Return where the files go, with all that they depend on."""
    from udpdiff.command.outputs import Outputs
    from udpdiff.tasks import TASKS

    made = list(model.tasks) if model.at_once else arguments.task
    settings = {"prompt": arguments.prompt, "task": made, "seed": arguments.seed, **call, "fps": arguments.fps}
    settings |= {"device": arguments.device, "dtype": arguments.dtype, "format": list(arguments.format)}
    names = ["video", *TASKS, *(f"{task}_colormap" for task in TASKS)]
    folder = arguments.out or Path("generated") / _folder_name(arguments)
    request = {"command": "generate", "settings": settings, "model": _identity(arguments.model, model)}
    return Outputs(folder, names, ["strip.png"], request)


def _identity(reference: str, model: Description) -> dict[str, Any]:
    """What says which weights they are: of the hub the commit, of a folder their content."""
    from udpdiff.checkpoints import hub, weights_sha256

    known = {"name": reference, "base": model.base}
    if _is_remote(reference):
        return known | {"name": hub.split(reference)[0], "commit": model.folder.name}
    return known | {"sha256": weights_sha256(reference)}


def _is_remote(reference: str) -> bool:
    from udpdiff.checkpoints import hub

    return bool(hub.split(reference)) and not Path(reference).is_dir()


def _pinned(reference: str, model: Description) -> str:
    """The reference, of the hub with the commit that was described."""
    from udpdiff.checkpoints import hub

    return f"{hub.split(reference)[0]}@{model.folder.name}" if _is_remote(reference) else reference


def load(reference: str, device: str, dtype: str) -> UDPDiffPipeline:
    """Return the pipeline of a model, by reference, on a device.

    Raises:
        ValueError: It cannot be loaded: the message says what was looked for.
    """
    import torch

    from udpdiff.model.pipeline import UDPDiffPipeline

    try:
        pipeline = UDPDiffPipeline.from_pretrained(reference, dtype=getattr(torch, dtype), trust_remote_code=False)
    except (OSError, AttributeError) as error:  # diffusers' and the hub's own, for what is torn or of another kind
        raise ValueError(_unknown(reference, " ".join(str(error).split())[:300])) from error
    return pipeline.to(device)


def generate(pipeline: UDPDiffPipeline, arguments: argparse.Namespace, call: dict[str, Any]) -> Any:
    """Return what the pipeline makes of the arguments, as arrays."""
    import torch

    task = {"task": arguments.task} if len(pipeline.streams.dense) == 1 else {}
    pipeline.set_progress_bar_config(desc="denoising", leave=False)
    generator = torch.Generator().manual_seed(arguments.seed)
    return pipeline(arguments.prompt, generator=generator, output_type="np", **task, **call)


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


def _provenance(pipeline: UDPDiffPipeline) -> dict[str, Any]:
    from udpdiff.provenance import origin
    from udpdiff.timing import device_name

    device = str(pipeline.device)
    return origin() | {"device": device_name(device), "dtype": str(pipeline.dtype).removeprefix("torch.")}
