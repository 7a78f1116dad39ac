"""Everything that can be refused before a job starts, and the workflow that follows from a good configuration.

Reads configuration, file names and small json files; imports no model library, for the Snakefile runs it at every parse.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

from udpdiff import checkpoints, config_layers
from udpdiff.checkpoints import hub, published
from udpdiff.clip import SPLITS
from udpdiff.config import Config
from udpdiff.config_labels import ConfigError
from udpdiff.config_parsing import parse
from udpdiff.planning import fit
from udpdiff.sources import fetching, panda70m_table, videos
from udpdiff.user_values import missing_values
from udpdiff.workflow import Workflow

__all__ = ["ConfigError", "check"]


def check(raw: dict, user_files: Sequence[Path] = (), preset: Path | None = None, must_fit: bool = True) -> Workflow:
    """Return the workflow of a configuration that can be run.

    A value that only the user can give is no fault yet: what plans and explains needs none, and the first job that
    does says what is missing (`Workflow.missing`).

    Args:
        raw: The merged configuration; relative paths in it become absolute.
        user_files: The user's files that were merged over the default and the preset, in order: a relative path in one
            of them is relative to that file.
        preset: The preset's file.
        must_fit: Refuse what cannot fit the GPU that is named; the plan says it in its own words.

    Raises:
        ConfigError: One line per fault: the key, what was got, what is allowed.
    """
    config_layers.check_one_preset(raw, user_files)
    config_layers.anchor_paths(raw, [preset, *user_files] if preset else user_files)
    config = parse(raw)
    faults = [*_checkpoint_faults(config), *_size_faults(config), *_package_faults(config), *_dtype_faults(config)]
    faults += fit.faults(config) if must_fit and not faults else []
    config, places = config_layers.name_checkpoints(config)
    workflow = Workflow(config, missing_values(config), places)
    if config.source.kind != "scenes" and config.source.path:
        faults += _source_faults(workflow)
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


def _checkpoint_references(config: Config):
    sections = config.model_dump()
    for pattern in config_layers.CHECKPOINTS:
        for _, _, reference, key in config_layers.strings_at(sections, sections, pattern):
            yield key, reference


def _checkpoint_faults(config):
    for key, reference in _checkpoint_references(config):
        if hub.split(reference):
            continue  # which only the hub can judge
        _, reference, _ = config_layers.split_reference(reference)
        try:
            folder = Path(checkpoints.resolve(reference))
        except (ValueError, FileNotFoundError) as error:
            yield f"{key}: {error}"
            continue
        if not folder.exists():
            yield (
                f"{key}: got {reference!r}, and there is no such folder; "
                "allowed: mini:NAME, an existing folder, or a hub id such as THUDM/CogVideoX-5b or ID@REVISION"
            )


def _size_faults(config):
    """Sizes against the base checkpoint's own numbers, when its json files are at hand."""
    # An unknown hub id is taken for a copy of the common model.
    parts = published.configs(config.model.base) or published.configs("zai-org/CogVideoX-5b")
    known = checkpoints.base_configs(config.model.base)
    vae, transformer = known or (parts["vae"], parts["transformer"])
    if not known and "i2v" in config.model.base.lower():
        yield f"model.base: got {config.model.base!r}, an image-to-video model; name a text-to-video CogVideoX"
    if known and transformer.get("in_channels", 16) != vae.get("latent_channels", 16):
        yield (
            f"model.base: got {config.model.base!r}, whose transformer takes {transformer['in_channels']} channels where its"
            f" VAE makes {vae.get('latent_channels', 16)}, as image-to-video models do; name a text-to-video CogVideoX"
        )
    temporal = int(vae.get("temporal_compression_ratio", 4))
    if (config.clips.num_frames - 1) % temporal:
        low = (config.clips.num_frames - 1) // temporal * temporal + 1
        yield (
            f"clips.num_frames: got {config.clips.num_frames}; the VAE takes {temporal} n + 1 frames, "
            f"for example {low} or {low + temporal}"
        )
    tokens, read = config.labels.captions.max_tokens, int(transformer["max_text_seq_length"])
    if tokens is not None and tokens > read:
        yield f"labels.captions.max_tokens: got {tokens}; {config.model.base} reads at most {read}, which null stands for"
    compression = 2 ** (len(vae["block_out_channels"]) - 1)
    multiple = compression * int(transformer["patch_size"])
    for key in ("height", "width"):
        size, largest = getattr(config.clips, key), compression * int(transformer.get(f"sample_{key}", 0))
        if transformer.get("patch_size_t") and size > largest:
            yield f"clips.{key}: got {size}; {config.model.base}, a CogVideoX 1.5, knows positions up to {largest} pixels"
        if size % multiple:
            low = max(size // multiple, 1) * multiple
            yield (
                f"clips.{key}: got {size}; it must be a multiple of {multiple} (the VAE's compression times the "
                f"transformer's patch), for example {low} or {low + multiple}"
            )


def _dtype_faults(config):
    """Networks of bfloat16 that would compute in float16."""
    if published.dtype(config.model.base) != "bfloat16":
        return
    where = [f"runs.{run}.training" for run in config.runs if config.run_training(run).mixed_precision == "fp16"]
    if config.sampling.dtype == "float16":
        yield f"sampling.dtype: got float16, in which {config.model.base} overflows: black videos; use bfloat16"
    if where:
        yield f"training.mixed_precision: got fp16 ({where[0]}), in which {config.model.base} overflows; use bf16"


def _package_faults(config):
    """Packages that only some trainings need."""
    trainings = [config.run_training(run) for run in config.runs]
    for key, asked, package, extra in (
        ("lora_rank", any(training.lora_rank for training in trainings), "peft", "lora"),
        ("optimizer", any(training.optimizer == "adamw_8bit" for training in trainings), "bitsandbytes", "adamw-8bit"),
    ):
        if asked and importlib.util.find_spec(package) is None:
            yield f'training.{key}: needs the package {package}, which is not installed; pip install -e ".[{extra}]"'


def _source_faults(workflow: Workflow) -> Iterator[str]:
    source = workflow.config.source
    if source.kind == "panda70m":
        yield from _table_faults(workflow.config)
        return
    folder = Path(source.path)
    if not folder.is_dir():
        yield f"source.path: got {source.path!r}, and there is no such folder; name a folder of video files"
        return
    files = workflow.files
    if len(files) < 2:
        yield (
            f"source.path: {source.path!r} holds {len(files) or 'no'} video files; at least 2 are needed, one to train on "
            f"and one to evaluate; files count by their ending: {', '.join(sorted(videos.EXTENSIONS))}"
        )
        return
    if source.captions is None:
        if workflow.config.labels.captions.captioner is None:
            yield "source.captions: got null; name a csv with the columns clip,caption, or set labels.captions.captioner"
    elif not Path(source.captions).is_file():
        yield f"source.captions: got {source.captions!r}, and there is no such file; name a csv with columns clip,caption"
        return
    else:
        try:
            captioned = workflow.captioned
        except ValueError as error:
            yield f"source.captions: {error}"
            return
        if not captioned and workflow.config.labels.captions.captioner is None:
            yield f"source.captions: {source.captions!r} has no column caption; add it, or set labels.captions.captioner"
    try:
        workflow.shards  # noqa: B018 - read for its errors
    except ValueError as error:
        yield f"source.path: {error}"
        return
    if not all(workflow.shards[split] for split in SPLITS):
        yield (
            f"source.path: {len(files)} videos leave a split without clips; "
            "add source videos or change clips.evaluation_share"
        )


def _table_faults(config):
    if not Path(config.source.path).is_file():
        yield f"source.path: got {config.source.path!r}, and there is no such file; name a table of Panda-70M, csv or zip"
    else:
        try:
            panda70m_table.check_header(config.source.path)
        except ValueError as error:
            yield f"source.path: {error}"
    try:
        fetching.check_reference(config.panda70m.fetch)
    except ValueError as error:
        yield str(error)
    if config.panda70m.cookies and not Path(config.panda70m.cookies).is_file():
        yield f"panda70m.cookies: got {config.panda70m.cookies!r}, and there is no such file"
