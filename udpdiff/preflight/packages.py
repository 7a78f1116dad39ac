"""What has to be installed: packages that only some configurations need, and functions of the user's."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from udpdiff import plugins
from udpdiff.config.schema import Config


def package_faults(config: Config) -> Iterator[str]:
    """Yield a line for each package that is missing and each plug-in that cannot be imported."""
    trainings = [config.run_training(run) for run in config.runs]
    for key, needed, package, extra in (
        ("training.lora_rank", any(training.lora_rank for training in trainings), "peft", "lora"),
        (
            "training.optimizer",
            any(training.optimizer == "adamw_8bit" for training in trainings),
            "bitsandbytes",
            "adamw-8bit",
        ),
    ):
        if needed and importlib.util.find_spec(package) is None:
            yield f'{key}: needs the package {package}, which is not installed; pip install -e ".[{extra}]"'
    for name in sorted({name for training in trainings for name in training.trackers}):
        if importlib.util.find_spec(name) is None:
            yield f"training.trackers: got {name}, which is not installed; pip install {name}, or leave it out"
    references = {"metrics.interpolator": (config.metrics.interpolator, "blend")}
    if config.source.kind == "panda70m":
        references["panda70m.fetch"] = (config.panda70m.fetch, "yt_dlp")
    for key, (reference, own) in references.items():
        if reference == own:
            continue
        try:
            plugins.check(reference)
        except ValueError as error:
            yield f"{key}: {error}; allowed: {own}, or plugin:MODULE:FUNCTION"
