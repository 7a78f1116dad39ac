"""Everything that can be refused before a job starts, and the workflow that follows from a good configuration.

Reads configuration, file names and small json files; imports no model library, for the Snakefile runs it at every parse.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from udpdiff.config import layers as config_layers
from udpdiff.config.parsing import parse
from udpdiff.config_values import ConfigError
from udpdiff.planning import fit
from udpdiff.preflight.checkpoints import checkpoint_faults
from udpdiff.preflight.machine import Machine, machine_faults
from udpdiff.preflight.packages import package_faults
from udpdiff.preflight.report import report_faults
from udpdiff.preflight.sizes import size_faults
from udpdiff.preflight.sources import count_faults, source_faults
from udpdiff.workflow.user_values import missing_values
from udpdiff.workflow.workflow import Workflow

__all__ = ["ConfigError", "Machine", "check", "check_gpus", "check_source"]


def check(
    raw: dict,
    user_files: Sequence[Path] = (),
    preset: Path | None = None,
    must_fit: bool = True,
    machine: Machine | None = None,
) -> Workflow:
    """Return the workflow of a configuration that can be run.

    A value that only the user can give is no fault yet: what plans and explains needs none, and the first job that
    does says what is missing (`Workflow.missing`).

    Args:
        raw: The merged configuration; relative paths in it become absolute.
        user_files: The user's files that were merged over the default and the preset, in order: a relative path in one
            of them is relative to that file.
        preset: The preset's file.
        must_fit: Refuse what cannot fit the GPU that is named; the plan says it in its own words.
        machine: Where jobs run, to refuse what this machine lacks for them; None where no job is to run.

    Raises:
        ConfigError: One line per fault: the key, what was got, what is allowed.
    """
    config_layers.check_one_preset(raw, user_files)
    config_layers.anchor_paths(raw, [preset, *user_files] if preset else user_files)
    config = parse(raw)
    faults = [*checkpoint_faults(config, [Path.cwd(), *(Path(file).parent for file in user_files)])]
    if not any(fault.startswith("model.base:") for fault in faults):
        faults += size_faults(config)
    counted = [*count_faults(config)]
    faults += [*package_faults(config), *report_faults(config), *counted, *fit.share_faults(config)]
    faults += fit.faults(config) if must_fit and not faults else []
    places: dict[str, str] = {}
    if not faults:
        config, places = config_layers.name_checkpoints(config)
    workflow = Workflow(config, missing_values(config), places)
    if config.source.kind != "scenes" and config.source.path and not counted:
        faults += source_faults(workflow)
    if machine and not faults:
        faults += machine_faults(workflow, machine)
    if faults:
        raise ConfigError("\n".join(faults))
    return workflow


def check_source(workflow: Workflow, on_cluster: bool) -> list[str]:
    """Refuse the mini scale on a cluster by accident; return what rendering scenes reads, which is nothing.

    Raises:
        ConfigError: Scenes are to be rendered, and the rehearsal on a cluster was not named.
    """
    if on_cluster and workflow.config.preset != "rehearsal":
        raise ConfigError(
            f"source.kind: got scenes with preset {workflow.config.preset or 'null'}, and the jobs go to a cluster; scenes are "
            "for the mini scale. Name a scale with `--config preset=NAME`: paper, one_gpu, or rehearsal for the mini scale "
            "on a cluster. A --config of the command line replaces the profile's whole list, its preset included, so "
            "name the preset there too: `--config preset=paper KEY=VALUE`; a value in a `--configfile` keeps it."
        )
    return []


def check_gpus(workflow: Workflow, gpus: int) -> None:
    """Refuse GPUs of a training, as the profile or `--resources` leave them, that cannot share its batches.

    Raises:
        ConfigError: They cannot, or fewer are there than memory is counted with.
    """
    config = workflow.config
    if config.gpu and gpus < config.gpus:
        raise ConfigError(
            f"gpus: got {config.gpus}, and a training gets gpu={gpus} from the profile's set-resources or --resources; set "
            f"gpus: {gpus}, so that memory is counted with what there is, or give it {config.gpus}"
        )
    for run in config.runs:
        recipe = config.run_training(run)
        share = gpus * recipe.gradient_accumulation_steps
        if gpus and recipe.batch_size % share:
            raise ConfigError(
                f"training.batch_size: got {recipe.batch_size} for run {run}; a training gets gpu={gpus} from the profile's "
                f"set-resources or --resources, so it must be a multiple of {share}"
            )
