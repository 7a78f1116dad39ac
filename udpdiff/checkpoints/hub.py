"""Checkpoints on the hub: `ID` or `ID@REVISION`, fetched once into the hub's own cache, recorded with their commit.

A record is a small json file, `{"reference", "commit", "files"}`; where a workflow keeps one for a reference, its commit holds
whatever the branch has become. Only what is read of a repository is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from udpdiff.checkpoints.places import records
from udpdiff.storage.sealed import read_record

# What loaders read of a repository: folders of it, patterns of files, "." for the files at its top. FOLDER@VARIANT prefers
# weights stored under a variant's name.
TOP = (".",)
MODEL = (".", "transformer")  # the rest is its base's
BASE = ("transformer", "scheduler", "vae", "text_encoder", "tokenizer")
TEXT = ("transformer/config.json", "text_encoder", "tokenizer")
TOKENIZER = ("transformer/config.json", "tokenizer")
SAM2 = ("*.pt",)
STABLE_VIDEO = ("vae@fp16", "image_encoder@fp16", "scheduler")

# As the hub names things: no part begins or ends with a dot or dash, and none has two in a row.
_PART = r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*"
_REFERENCE = re.compile(rf"({_PART}/{_PART})(?:@([A-Za-z0-9][A-Za-z0-9_./-]*))?")
_DESCRIPTIONS = {".json", ".txt", ".model", ".jinja", ".yaml"}
_WEIGHTS = (".safetensors", ".bin")
_VARIANT = re.compile(r"\.(fp16|bf16|fp32|ema|non_ema)[.-]")


def split(reference: str) -> tuple[str, str | None] | None:
    """Return (id, revision or None) of a reference to the hub; None for any other."""
    found = _REFERENCE.fullmatch(reference)
    return found and (found[1], found[2])


def record_name(reference: str) -> str:
    """Return the name of a reference's record, without ending."""
    return reference.replace("/", "--")


def chosen_files(files: Iterable[str], parts: Sequence[str]) -> list[str]:
    """Return the files of a repository that a loader of some parts reads: descriptions, and each weight once.

    A name that would lead out of the repository's folder is none of its files.
    """
    files = sorted(name for name in files if not {"..", "/"} & set(PurePosixPath(name).parts))
    chosen = {name for name in files if len(parts) > len(TOP) and name == "model_index.json"}
    for part in parts:
        folder, _, variant = part.partition("@")
        if "." in folder.strip(".") or "*" in folder:
            chosen |= {name for name in files if fnmatchcase(name, folder)}
            continue
        inside = [name for name in files if PurePosixPath(name).parent == PurePosixPath(folder)]
        chosen |= {name for name in inside if PurePosixPath(name).suffix in _DESCRIPTIONS}
        chosen |= set(_weights(inside, variant))
    return sorted(chosen)


def _weights(files: list[str], variant: str) -> list[str]:
    """Return one form of the weights of a folder: of the variant, else plain, else any; safetensors before pickles."""
    wanted = (lambda name: f".{variant}." in name, lambda name: not _VARIANT.search(name), lambda name: True)
    for fits in wanted if variant else wanted[1:]:
        for suffix in _WEIGHTS:
            if found := [name for name in files if name.endswith(suffix) and fits(name)]:
                return found
    return []


def faults(references: Iterable[str]) -> Iterator[str]:
    """Ask the hub for each reference, and yield a line for each that cannot be fetched: gated, misspelt, unknown revision."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    for reference in references:
        name, revision = split(reference)
        try:
            if constants.HF_HUB_OFFLINE:
                _cached(name, revision)
                continue
            HfApi().auth_check(name)
            HfApi().model_info(name, revision=revision)
        except GatedRepoError:
            yield (
                f"{reference}: gated; ask for access at {constants.ENDPOINT}/{name}, then log in with `hf auth login` or set "
                "HF_TOKEN"
            )
        except RepositoryNotFoundError:
            yield f"{reference}: there is no such model, or it is private; check the spelling, or log in with `hf auth login`"
        except RevisionNotFoundError:
            yield f"{reference}: the model has no revision {revision!r}; name a branch, a tag or a whole commit"
        except HfHubHTTPError as error:
            yield f"{reference}: {constants.ENDPOINT} answered {error.response.status_code}; try again later"
        except ValueError as error:
            yield f"{reference}: {error}"
        except Exception as error:  # not reached, which clients tell by errors of many kinds; no other would be either
            yield (
                f"{reference}, as all others: {constants.ENDPOINT} is not reached from this machine ({error}); start where it "
                "is, e.g. on a login node, or bring the hub's cache from a machine that has it and set HF_HUB_OFFLINE=1"
            )
            return


def is_cached(reference: str) -> bool:
    """Return whether the hub's cache holds something of a reference, so that the hub need not be reached for it."""
    try:
        _cached(*split(reference))
    except ValueError:
        return False
    return True


def fetch(reference: str, parts: Sequence[str]) -> dict[str, Any]:
    """Bring some parts of a checkpoint into the hub's cache; returns the record of it.

    With HF_HUB_OFFLINE=1 the cache is expected to hold it.

    Raises:
        ValueError: The repository has no such parts, or, offline, the cache has no such checkpoint.
    """
    folder, files = _fetched(reference, parts)
    return {"reference": reference, "commit": folder.name, "files": files}


def folder_of(reference: str, parts: Sequence[str]) -> str:
    """Return the folder of a checkpoint in the hub's cache, of the commit on record; without one it is fetched.

    Raises:
        ValueError: It is on record, but not in the cache.
    """
    name, _ = split(reference)
    if record := _record(reference):
        return str(_cached(name, record["commit"], record["files"]))
    return str(_fetched(reference, parts)[0])


def commits(settings: Any) -> dict[str, str]:
    """Return the commit on record of every reference in settings of a job: json-able, of any depth."""
    if isinstance(settings, dict | list | tuple):
        values = settings.values() if isinstance(settings, dict) else settings
        return {reference: commit for value in values for reference, commit in commits(value).items()}
    record = _record(settings) if isinstance(settings, str) and split(settings) else None
    return {settings: record["commit"]} if record else {}


def _record(reference: str) -> dict[str, Any] | None:
    folder = records()
    path = folder and folder / f"{record_name(reference)}.json"
    return read_record(path) if path and path.is_file() else None


def _fetched(reference: str, parts: Sequence[str]) -> tuple[Path, list[str]]:
    """Return the folder in the cache, and the files in it that belong to the parts."""
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    name, revision = split(reference)
    try:
        listed = [] if constants.HF_HUB_OFFLINE else HfApi().model_info(name, revision=revision).siblings or []
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise
    except Exception:  # the hub is not to be reached, which clients tell by errors of many kinds
        listed = []
    if not listed:
        folder = _cached(name, revision)
        found = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    else:
        found = [file.rfilename for file in listed]
    files = chosen_files(found, parts)
    if not files:
        raise ValueError(
            f"{reference}: got a repository without {', '.join(parts)}, expected a checkpoint of this kind"
        )
    if listed:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=files))
    return folder, files


def _cached(name: str, revision: str | None, files: list[str] | None = None) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, revision=revision, local_files_only=True, allow_patterns=files))
    except LocalEntryNotFoundError as error:
        # Newer clients know when a folder lacks files of the repository that nobody asked for.
        folder = Path(getattr(error, "snapshot_path", ""))
    missing = [file for file in files or [] if not (folder / file).is_file()]
    if not folder.name or missing:
        at = f"{name}@{revision}" if revision else name
        raise ValueError(
            f"got no {missing[0] if missing else 'files'} of {at} in {constants.HF_HUB_CACHE}, and the hub is not asked here, or "
            "not reached; expected it fetched before: `snakemake --cores 1 --config preset=NAME --configfile FILE -- prefetch`, with the preset and "
            "files of your run, where there is a network; or "
            "copy the cache from a machine that has it"
        )
    return folder
