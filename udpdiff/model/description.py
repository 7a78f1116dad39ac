"""Reads sizes and tasks of a UDPDiff model from its json files, so that a call can be refused before weights are loaded.

Knows no network and imports no library that does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from udpdiff.checkpoints import hub, local_folder
from udpdiff.model.base_parts import INDEX, RUN_RECIPE, base_of
from udpdiff.model.call_numbers import check_guidance, check_size, check_step_count

_OF_THE_BASE = ("vae/config.json", "scheduler/scheduler_config.json")
_FILES = (INDEX, RUN_RECIPE, "transformer/config.json", *_OF_THE_BASE)
_STRIDED = ("CogVideoXDDIMScheduler", "CogVideoXDPMScheduler", "DDIMScheduler")
_DIVISORS_FROM, _DIVISORS_TO = 5, 100  # of the timesteps, that a message names


@dataclass(frozen=True)
class Description:
    """A model as its files have it.

    Attributes:
        folder: Where they lie.
        base: The checkpoint that it was trained from, by reference; None where nothing says so.
        tasks: Those that it was trained on.
        at_once: It makes all of them in one call, so that none is asked for.
        names_task: The task stands in the prompt (table 5).
        height, width, num_frames: Of a video, by default: pixels, pixels, frames.
        one_size: It is for those alone, as all are but CogVideoX 1.5, whose patches reach over frames.
        pixel_multiple, frame_multiple: See `call_numbers.check_size`.
        text_length: Tokens of a prompt that it reads.
        train_timesteps: Of its noise schedule.
        only_divisors: It takes no other numbers of steps than divisors of those, see `noise_schedule.check_steps`.
    """

    folder: Path
    base: str | None
    tasks: tuple[str, ...]
    at_once: bool
    names_task: bool
    height: int
    width: int
    num_frames: int
    one_size: bool
    pixel_multiple: int
    frame_multiple: int
    text_length: int
    train_timesteps: int
    only_divisors: bool

    @classmethod
    def read(cls, reference: str) -> Description:
        """Read the files of a model in a folder, `mini:NAME`, or of the hub, from which they alone are fetched.

        Raises:
            ValueError: It makes no dense predictions, or its files lack what is asked of them.
            OSError: A file is not there, or the hub has none such.
        """
        is_remote = hub.split(reference) and not Path(reference).is_dir()
        folder = Path(hub.folder_of(reference, _FILES) if is_remote else local_folder(reference))
        index = _read(folder / INDEX)
        if index.get("_class_name") != "UDPDiffPipeline":
            raise ValueError(f"its {INDEX} says {index.get('_class_name')!r}, a model without dense predictions")
        recipe = _read(folder / RUN_RECIPE) if (folder / RUN_RECIPE).is_file() else {}
        place = dict.fromkeys(_OF_THE_BASE, folder)
        if recipe and (left_out := [name for name in _OF_THE_BASE if not (folder / name).is_file()]):
            place |= dict.fromkeys(left_out, Path(local_folder(base_of(recipe), _OF_THE_BASE)))
        vae, scheduler = (_read(parts / name) for name, parts in place.items())
        transformer = _read(folder / "transformer/config.json")
        try:
            scale = 2 ** (len(vae["block_out_channels"]) - 1)
            return cls(
                folder=folder,
                base=recipe.get("base"),
                tasks=tuple(index["tasks"]),
                at_once=len(index.get("streams") or ()) > 1,
                names_task=index["task_condition"] == "text",
                height=transformer["sample_height"] * scale,
                width=transformer["sample_width"] * scale,
                num_frames=transformer["sample_frames"],
                one_size=transformer.get("patch_size_t") is None,
                pixel_multiple=transformer["patch_size"] * scale,
                frame_multiple=vae["temporal_compression_ratio"],
                text_length=transformer["max_text_seq_length"],
                train_timesteps=scheduler["num_train_timesteps"],
                only_divisors=scheduler.get("_class_name") in _STRIDED,
            )
        except KeyError as error:
            raise ValueError(f"its configuration lacks {error}") from error

    def check(self, task: str, height: int, width: int, num_frames: int, steps: int, guidance: float) -> None:
        """Raise ValueError, before anything is loaded, for a call that the pipeline would refuse."""
        if not self.at_once and task not in self.tasks:
            raise ValueError(
                f"Got task {task!r}, expected one of {', '.join(self.tasks)}: the model was trained on no other."
            )
        check_size(height, width, num_frames, self.pixel_multiple, self.frame_multiple)
        check_guidance(guidance)
        check_step_count(steps, self.train_timesteps)
        if self.only_divisors and self.train_timesteps % steps:
            named = (str(each) for each in range(_DIVISORS_FROM, _DIVISORS_TO + 1) if not self.train_timesteps % each)
            raise ValueError(
                f"Got num_inference_steps {steps}, expected a divisor of {self.train_timesteps}, such as"
                f" {', '.join(named)}: others step to noise levels beside those that the scheduler means."
            )


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
