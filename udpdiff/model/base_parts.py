"""What an exported run leaves to its base: VAE, text encoder, tokenizer and noise schedule, by reference.

Knows nothing of what was trained.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from udpdiff.checkpoints import hub, local_folder, resolve

if TYPE_CHECKING:
    from diffusers import CogVideoXDDIMScheduler

RUN_RECIPE, INDEX = "run.json", "model_index.json"
PARTS = ("tokenizer", "text_encoder", "vae", "scheduler")


def base_folder(reference: str, whole: bool = False) -> str:
    """Return the local folder of a base checkpoint, given by reference, which is fetched if need be.

    Args:
        whole: With the VAE, text encoder and tokenizer, which only an export needs.
    """
    return local_folder(reference, hub.BASE if whole else ("transformer", "scheduler"))


def load_scheduler(folder: str) -> CogVideoXDDIMScheduler:
    """Return the base's noise schedule as a DDIM scheduler with `trailing` timesteps.

    Deterministic sampling is what makes runs comparable seed by seed; the spacing is set because stored copies of the
    hub's configuration disagree on it.
    """
    from diffusers import CogVideoXDDIMScheduler

    return CogVideoXDDIMScheduler.from_pretrained(folder, subfolder="scheduler", timestep_spacing="trailing")


def base_of(recipe: dict[str, Any]) -> str:
    """Return the base of a run, by reference; a folder that no workflow knows here, where the run was exported."""
    exported_from = recipe.get("base_folder")
    try:
        resolve(recipe["base"])
    except ValueError:
        if not exported_from or not Path(exported_from).is_dir():
            raise
        return exported_from
    return recipe["base"]


def load_base_parts(base: str, loading: dict[str, Any]) -> dict[str, Any]:
    """Return all that a pipeline needs beside the transformer, of a base checkpoint given by reference.

    Args:
        loading: Options of diffusers' `from_pretrained`, such as the dtype.
    """
    from diffusers import CogVideoXPipeline

    folder = base_folder(base, whole=True)
    parts = CogVideoXPipeline.from_pretrained(folder, transformer=None, trust_remote_code=False, **loading).components
    del parts["transformer"]
    return parts | {"scheduler": load_scheduler(folder)}


def parts_left_out(folder: str | Path, given: Collection[str] = (), **loading: Any) -> dict[str, Any]:
    """Return the parts that the folder of a run leaves to its base, loaded from there; none for any other folder.

    Args:
        given: Names of parts that are not needed.
        loading: See `load_base_parts`.
    """
    recipe = Path(folder) / RUN_RECIPE
    missing = [part for part in PARTS if part not in given and not (Path(folder) / part).is_dir()]
    if not missing or not recipe.is_file():
        return {}
    parts = load_base_parts(base_of(json.loads(recipe.read_text(encoding="utf-8"))), loading)
    return {name: parts[name] for name in missing}
