"""The workflow's configuration, for commands that run without Snakemake: config.yaml, a preset, files of the user's."""

from __future__ import annotations

from pathlib import Path

from udpdiff.config import files as config_files
from udpdiff.config.layers import anchor_paths, check_one_preset, preset_file
from udpdiff.workflow_place import workflow_folder


def layered(preset: str | None, files: list[Path]) -> dict:
    """Return config.yaml with a preset and further files merged over it, as Snakemake merges them.

    Raises:
        ConfigError: There is no such preset.
    """
    from snakemake.utils import update_config

    folder, given = workflow_folder(), [config_files.read(file) for file in files]
    named = preset or next((each["preset"] for each in reversed(given) if each.get("preset")), None)
    raw = config_files.read(folder / "config.yaml") | {"preset": named}
    chosen = preset_file(raw, folder / "presets")
    for each in ([config_files.read(Path(chosen))] if chosen else []) + given:
        update_config(raw, each)
    raw["preset"] = named
    check_one_preset(raw, files)
    anchor_paths(raw, files)
    return raw
