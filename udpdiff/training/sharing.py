"""From an exported run to a folder to hand on: transformer, index and card. The rest its base has."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from udpdiff.checkpoints import places
from udpdiff.model.base_parts import INDEX, RUN_RECIPE
from udpdiff.storage.errors import writing
from udpdiff.storage.files import replace_folder, write_json, write_text
from udpdiff.storage.sealed import DIGESTS, check_folder, read_record, seal_folder
from udpdiff.training.card import CARD, model_card
from udpdiff.training.log import LOG, read_log

_KEPT = ("transformer", INDEX, LOG)


def share_run(
    run: str | Path,
    output: str | Path,
    metrics: str | Path | None = None,
    data: str = "",
    overwrite: bool = False,
) -> None:
    """Write the folder that `UDPDiffPipeline.from_pretrained` reads, as small as it can be.

    One of the same weights that is there already is replaced.

    Args:
        run: Folder of the exported run, in whichever form.
        output: To write.
        metrics: Folder of the run's figures, `TASK/quality.json`, for the card; None for none.
        data: What it was trained on, in the card's words; by default what its training said.
        overwrite: Replaces the export of other weights, too.

    Raises:
        ValueError: The folder is no exported run, its base is a folder of this machine, which nobody else has, or what is to
            be replaced is anything but an exported model, or one of other weights; the figures are of another run, or none.
        StorageError: A file is not what was exported, or cannot be written.
    """
    run, output = Path(run), Path(output)
    if not (run / RUN_RECIPE).is_file():
        lacking = RUN_RECIPE if run.is_dir() else "such folder"
        raise ValueError(f"{run}: got no {lacking}, expected the folder of an exported run, results/runs/NAME.")
    if not (run / "provenance.json").is_file():
        raise ValueError(f"{run}: got a model that is exported already; copy it as it is.")
    _check_output(run, output, overwrite)
    check_folder(run, [path.name for path in run.iterdir()])
    recipe = json.loads((run / RUN_RECIPE).read_text(encoding="utf-8"))
    if recipe["base"].startswith(places.FOLDER) or Path(recipe["base"]).is_dir():
        raise ValueError(
            f"{run}: got a run of the base {recipe['base']}, a folder of the machine that trained it; expected one of the hub"
            " or mini:NAME, which others can load too. Hand on the whole pipeline instead (training.export: pipeline)."
        )
    figures = _figures(metrics, recipe["run"])
    settings = json.loads((run / "provenance.json").read_text(encoding="utf-8"))["settings"]
    with replace_folder(output) as folder:
        for name in _KEPT:
            copy = shutil.copytree if (run / name).is_dir() else shutil.copy2
            with writing(output, shutil.Error):
                copy(run / name, folder / name)
        write_json(folder / RUN_RECIPE, recipe | {"export": "transformer"})
        data = data or recipe.get("data", "")
        card = model_card(settings, recipe.get("clips", {}), read_log(run / LOG), figures, data)
        write_text(folder / CARD, card)
        seal_folder(folder)


def _check_output(run: Path, output: Path, overwrite: bool) -> None:
    """Refuse to replace what this function did not write, or the run itself, or other weights that nobody gave up."""
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
    if known and any(output.iterdir()) and _weights(output) != _weights(run) and not overwrite:
        raise ValueError(
            f"{output}: got the export of another model, which would be replaced; name another folder, or replace it by"
            " --overwrite."
        )


def _weights(folder: Path) -> dict[str, str]:
    files = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))["files"]
    return {name: value for name, value in files.items() if name.startswith("transformer/")}


def _figures(metrics: str | Path | None, run: str) -> dict[str, dict[str, Any]]:
    if not metrics:
        return {}
    found = {path.parent.name: read_record(path) for path in sorted(Path(metrics).glob("*/quality.json"))}
    if not found:
        raise ValueError(
            f"{metrics}: got no TASK/quality.json in it, expected the folder of a run's figures, results/metrics/{run}."
        )
    for task, document in found.items():
        if document.get("run", run) != run:
            raise ValueError(
                f"{metrics}: got figures of the run {document['run']!r} for {task}, expected those of {run!r}, the run that is"
                " exported."
            )
    return {task: document["metrics"] for task, document in found.items()}
