"""Puts a trained model, an entry of the configuration's `models`, into a folder among the runs, loaded as they are.

Knows nothing of how it was trained.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from udpdiff.checkpoints import hub, local_folder
from udpdiff.jobs import TakeModel
from udpdiff.model.base_parts import INDEX, RUN_RECIPE
from udpdiff.storage.errors import writing
from udpdiff.storage.files import replace_folder
from udpdiff.storage.sealed import check_folder, seal_folder


def take_model(job: TakeModel, output: str | Path) -> None:
    """Copy what `load_run` reads of a checkpoint that `udpdiff export` wrote, once it is what was written.

    Args:
        job: The checkpoint, by reference, and the tasks that it is to be sampled with.
        output: Folder to write, replacing an old one.

    Raises:
        ValueError: It is of another kind, or does not know one of the tasks.
        StorageError: A file is not what was exported, or cannot be written.
    """
    source, output = Path(local_folder(job.checkpoint, hub.MODEL)), Path(output)
    if not (source / RUN_RECIPE).is_file():
        raise ValueError(f"{job.checkpoint}: got no {RUN_RECIPE}, expected a model that `udpdiff export` wrote.")
    kept = check_folder(source, (RUN_RECIPE, INDEX, "transformer"))
    known = json.loads((source / RUN_RECIPE).read_text(encoding="utf-8"))["tasks"]
    if missing := [task for task in job.tasks if task not in known]:
        raise ValueError(
            f"models.{job.model}.tasks: got {missing[0]!r}, which {job.checkpoint} has not learnt; allowed: {', '.join(known)}."
        )
    with replace_folder(output) as folder:
        for name in kept:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with writing(output):
                shutil.copyfile(source / name, folder / name)
        seal_folder(folder)
