"""Prints every job of a workflow as JSON, through Snakemake's API and without running one.

Usage: python dag_as_json.py CONFIGFILE FOLDER [TARGET...]
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

from snakemake.api import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings, SnakemakeApi
from snakemake.io import is_flagged
from snakemake.settings.types import Quietness

ROOT = Path(__file__).parents[2]


def main(config_file: str, folder: str, *targets: str) -> None:
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=2),
            config_settings=ConfigSettings(configfiles=[Path(config_file).resolve()]),
            snakefile=ROOT / "Snakefile",
            workdir=Path(folder),
        )
        dag = workflow.dag(dag_settings=DAGSettings(targets=set(targets)))
        with contextlib.redirect_stdout(io.StringIO()):
            dag.printd3dag()  # builds it
        jobs = [as_plain(job) for job in workflow._workflow.dag.jobs]
    json.dump(jobs, sys.stdout)


def as_plain(job) -> dict:
    """Rule, wildcards, inputs and outputs by name ("" for unnamed ones), which of them are ancient or temporary, params,
    threads, resources, priority, benchmark, command.
    """
    return {
        "rule": job.rule.name,
        "wildcards": dict(job.wildcards_dict),
        "input": by_name(job.input),
        "output": by_name(job.output),
        "ancient": sorted(str(path) for path in job.input if is_flagged(path, "ancient")),
        "temporary": sorted(str(path) for path in job.temp_output),
        "params": {name: value for name, value in job.params.items() if isinstance(value, str | list)},
        "threads": job.threads,
        "resources": {name: value for name, value in job.resources.items() if isinstance(value, int | str)},
        "priority": job.rule.priority,
        "benchmark": str(job.benchmark) if job.benchmark else None,
        "command": job.shellcmd if job.is_shell else None,
    }


def by_name(files) -> dict[str, list[str]]:
    named = {name: [str(path) for path in as_list(value)] for name, value in files.items()}
    known = {path for paths in named.values() for path in paths}
    return named | {"": [str(path) for path in files if str(path) not in known]}


def as_list(value) -> list:
    return [value] if isinstance(value, str) else list(value)


if __name__ == "__main__":
    main(*sys.argv[1:])
