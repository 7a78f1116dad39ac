"""Where the Snakemake workflow lies: beside the package in a clone, inside it where a wheel was installed."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def workflow_folder() -> Path:
    """Return the folder of Snakefile, config.yaml, rules, scripts and presets.

    Raises:
        FileNotFoundError: There is none: the package was copied without it.
    """
    for folder in (_PACKAGE / "_workflow", _PACKAGE.parent):
        if (folder / "Snakefile").is_file():
            return folder
    raise FileNotFoundError(
        f"got no Snakefile in {_PACKAGE / '_workflow'} or {_PACKAGE.parent}, expected one that the wheel or a clone brings."
        " Install udpdiff again."
    )
