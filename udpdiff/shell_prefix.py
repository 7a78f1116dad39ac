"""The shell code in front of every job's command: options of the shell, and where the job finds this project.

Folders of any name are quoted; those that a variable of the shell cannot hold are refused. Knows nothing of rules.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from udpdiff.config_values import ConfigError

# Progress bars of libraries would fill the logs. Only rules/checkpoints.smk asks the hub, so that jobs may run where there is
# no network.
_FIXED = (
    "PYTHONUNBUFFERED=1 HF_HUB_DISABLE_PROGRESS_BARS=${HF_HUB_DISABLE_PROGRESS_BARS:-1} "
    "HUB_OFFLINE_ASKED=${HF_HUB_OFFLINE:-0} HF_HUB_OFFLINE=1"
)

# Of glibc's allocator. Tensors of a step come and go; by default each is memory that the kernel maps, clears and takes back page
# by page: a mini training on a CPU takes 5 to 8 % longer, with thousands of page faults a step. Up to the threshold a process keeps
# what it freed, which bounds what it holds too much; bigger tensors, the weights of real models, go back to the system. Huge
# pages are asked for where the kernel leaves that to programs (`madvise`). GPUs' memory and pinned memory have allocators of
# their own; musl and macOS do not read the variable, and a glibc that lacks a tunable leaves it out. Values do not change.
_KEPT_BYTES = 256 * 1024**2
_ALLOCATOR = (
    f"glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold={_KEPT_BYTES}:glibc.malloc.trim_threshold={_KEPT_BYTES}"
)


def shell_prefix(project: Path, interpreter: Path | None, environment: Mapping[str, str]) -> str:
    """Return the prefix, in which Snakemake finds no braces of its own.

    The prefix replaces Snakemake's, which makes a failure before `| tee` a failure. Python leaves the working directory out
    of where it looks for modules: a `random.py` there is nobody's library. So that no empty entry of PYTHONPATH, as
    `export PYTHONPATH=$PYTHONPATH:FOLDER` leaves one, puts it in again, such entries go.

    Args:
        project: Where `udpdiff` and `scripts` are.
        interpreter: Of the jobs; None where conda brings one.
        environment: The user's, for its PYTHONPATH. Its GLIBC_TUNABLES, even empty ones, replace ours, where the job runs.

    Raises:
        ConfigError: A folder's name holds a colon, which ends an entry of PYTHONPATH and PATH.
    """
    for folder, what in ((project, "the project"), (interpreter and interpreter.parent, "Python")):
        if folder and ":" in str(folder):
            raise ConfigError(
                f"got {what} in the folder {str(folder)!r}, whose name holds a colon, which separates folders in PYTHONPATH "
                "and PATH; move or rename it"
            )
    places = [str(project), *filter(None, environment.get("PYTHONPATH", "").split(":"))]
    words = [f"PATH={shlex.quote(str(interpreter.parent))}:$PATH"] if interpreter else []
    words += [f"PYTHONPATH={shlex.quote(':'.join(places))}", "PYTHONSAFEPATH=1", _FIXED]
    words += [f"GLIBC_TUNABLES=${{GLIBC_TUNABLES-{_ALLOCATOR}}}"]
    prefix = f"set -euo pipefail; export {' '.join(words)}; "
    return prefix.replace("{", "{{").replace("}", "}}")


def keep_safe(environment: MutableMapping[str, str]) -> None:
    """Keep modules in the working directory out of the way of the Snakemake that a cluster starts there for each job."""
    environment["PYTHONSAFEPATH"] = "1"
