"""From an exported run to a folder to hand on: transformer, index and card. The rest its base has."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from udpdiff.checkpoints import places
from udpdiff.model.base_parts import INDEX, RUN_RECIPE, base_folder
from udpdiff.storage.errors import writing
from udpdiff.storage.files import replace_folder, write_json, write_text
from udpdiff.storage.sealed import DIGESTS, check_folder, read_record, seal_folder
from udpdiff.training.card import model_card
from udpdiff.training.export import CARD, LOG, pipeline_index
from udpdiff.training.log import read_log

_KEPT = ("transformer", LOG)


def share_run(run: str | Path, output: str | Path, metrics: str | Path | None = None, data: str = "") -> None:
    """Write the folder that `UDPDiffPipeline.from_pretrained` reads, as small as it can be, replacing an old one.

    Args:
        run: Folder of the exported run, in whichever form.
        output: To write.
        metrics: Folder of the run's figures, `TASK/quality.json`, for the card; None for none.
        data: What it was trained on, in the card's words.

    Raises:
        ValueError: The folder is no exported run, its base is a folder of this machine, which nobody else has, or what is to
            be replaced is anything but an exported model.
        StorageError: A file is not what was exported, or cannot be written.
    """
    run, output = Path(run), Path(output)
    if not (run / RUN_RECIPE).is_file():
        raise ValueError(f"{run}: got no {RUN_RECIPE}, expected the folder of an exported run, results/runs/NAME.")
    if not (run / "provenance.json").is_file():
        raise ValueError(f"{run}: got a model that is exported already; copy it as it is.")
    _check_output(run, output)
    check_folder(run, [path.name for path in run.iterdir()])
    recipe = json.loads((run / RUN_RECIPE).read_text(encoding="utf-8"))
    if recipe["base"].startswith(places.FOLDER) or Path(recipe["base"]).is_dir():
        raise ValueError(
            f"{run}: got a run of the base {recipe['base']}, a folder of the machine that trained it; expected one of the hub"
            " or mini:NAME, which others can load too. Hand on the whole pipeline instead (training.export: pipeline)."
        )
    settings = json.loads((run / "provenance.json").read_text(encoding="utf-8"))["settings"]
    with replace_folder(output) as folder:
        for name in _KEPT:
            copy = shutil.copytree if (run / name).is_dir() else shutil.copy2
            with writing(output, shutil.Error):
                copy(run / name, folder / name)
        entries = {name: recipe[name] for name in ("task_condition", "tasks")}
        write_json(folder / INDEX, pipeline_index(Path(base_folder(recipe["base"])), entries))
        write_json(folder / RUN_RECIPE, recipe | {"export": "transformer"})
        card = model_card(settings, recipe.get("clips", {}), read_log(run / LOG), _figures(metrics), data)
        write_text(folder / CARD, card)
        seal_folder(folder)


def _check_output(run: Path, output: Path) -> None:
    """Refuse to replace what this function did not write, or the run itself."""
    source, target = run.resolve(), output.resolve()
    if source == target or source in target.parents or target in source.parents:
        raise ValueError(f"{output}: got a place inside or around the run {run}; name another folder.")
    known = output.is_dir() and (
        not any(output.iterdir()) or all((output / name).is_file() for name in (RUN_RECIPE, DIGESTS))
    )
    if output.exists() and not known:
        raise ValueError(
            f"{output}: got something that is no exported model, which would be replaced; name another folder."
        )


def _figures(metrics: str | Path | None) -> dict[str, dict[str, Any]]:
    files = sorted(Path(metrics).glob("*/quality.json")) if metrics else []
    return {path.parent.name: read_record(path)["metrics"] for path in files}
