"""`udpdiff label FILE`: entities and depth of a video file, by the labellers of the workflow's configuration."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from udpdiff.command.outputs import Outputs
    from udpdiff.config.schema import Config

_MAX_BYTES = 4e9  # of the frames; labellers take several times as much
_LONG_CLIP = 49  # frames, as a clip of the paper's; of more, a CPU takes many minutes
_SHORT_SIDE, _MINI_SHORT_SIDE = 480, 128  # pixels: the paper's; twice what mini labellers were trained at
# What the line about mini labellers names instead of each.
_REAL = {
    "--segmenter": "--segmenter facebook/mask2former-swin-large-coco-panoptic",
    "--tracker": "--tracker facebook/sam2.1-hiera-large",
    "--depth-checkpoint": "--depth depth_anything --depth-checkpoint depth-anything/Depth-Anything-V2-Small-hf",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from udpdiff.command.outputs import add_overwrite
    from udpdiff.command.written import formats

    parser.usage = "udpdiff label FILE [--entities [NAME]] [--depth [NAME]] [options]"
    parser.epilog = (
        "Without --entities and --depth, both. NAME is a labeller of the configuration's section `labels`; the mini ones,"
        " which have only ever seen rendered scenes, are the default: name real checkpoints by --segmenter, --tracker and"
        " --depth-checkpoint, or by --configfile."
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="a video file of any kind; stands first")
    parser.add_argument(
        "--entities", nargs="?", const="entityseg", type=_labeller, metavar="NAME", help="entity ids (by entityseg)"
    )
    parser.add_argument(
        "--depth", nargs="?", const="depthcrafter", type=_labeller, metavar="NAME", help="depth (by depthcrafter)"
    )
    parser.add_argument("--out", type=Path, help="folder to write to; by default labels/ and the file's name")
    add_overwrite(parser)
    parser.add_argument("--segmenter", help="checkpoint of a CropFormer or Mask2Former: folder, hub id or mini:NAME")
    parser.add_argument("--tracker", help="checkpoint of a SAM 2")
    parser.add_argument("--depth-checkpoint", help="checkpoint of the depth estimator")
    parser.add_argument("--preset", help="a scale in presets/, whose labellers are taken")
    parser.add_argument("--configfile", action="append", default=[], type=Path, help="merged over it; may be repeated")
    parser.add_argument("--frames", type=_count("frames", 1), help="only the first so many")
    parser.add_argument(
        "--short-side",
        type=_count("pixels", 16),
        metavar="PIXELS",
        help=f"of the frames, where the file's are bigger: {_SHORT_SIDE}, {_MINI_SHORT_SIDE} where all labellers are mini"
        " ones; labels and films have this size",
    )
    parser.add_argument("--device", help="cpu, cuda, mps; by default a GPU where there is one")
    parser.add_argument(
        "--format",
        type=formats,
        default=("mp4", "npy"),
        help="mp4: films; npy: exact; png: 16-bit frames (default mp4,npy)",
    )


def run(arguments: argparse.Namespace) -> None:
    from udpdiff.command import notices
    from udpdiff.command.devices import check_device
    from udpdiff.quiet_libraries import leave_out_loading_bars
    from udpdiff.video_io import read_video

    if not arguments.file.is_file():
        what = "which is no file" if arguments.file.exists() else "and there is no such file"
        raise ValueError(f"got {str(arguments.file)!r}, {what}; expected a video file")
    check_device(arguments.device)
    if not (arguments.entities or arguments.depth):
        arguments.entities, arguments.depth = "entityseg", "depthcrafter"
    config = labellers(arguments)
    used = checkpoints(config, arguments)
    short_side = arguments.short_side or default_short_side(used)
    place = outputs(arguments, config, short_side)
    place.check(arguments.format, arguments.overwrite)
    check_checkpoints(config, arguments)
    fps = check_file(arguments.file, arguments.frames, short_side)
    notices.say(notices.mini_labellers(used, _REAL))
    leave_out_loading_bars()
    video = read_video(arguments.file, arguments.frames, short_side)
    labels = {}
    if arguments.entities:
        labels["seg"] = label_entities(video, config, arguments)
    if arguments.depth:
        labels["depth"] = label_depth(video, config, arguments)
    place.clear()
    made = write(video, labels, fps, place.folder, arguments.format)
    for path in [*made, place.seal(made, _provenance(config, arguments))]:
        print(path)


def labellers(arguments: argparse.Namespace) -> Config:
    """Return the configuration with the checkpoints that options name in it.

    Raises:
        ConfigError: It has no such labeller, or an option is for one of another kind.
    """
    from udpdiff.command.configuration import layered
    from udpdiff.config.parsing import parse
    from udpdiff.config_values import ConfigError

    raw = layered(arguments.preset, arguments.configfile)
    sections = raw["labels"]
    for kind in ("entities", "depth"):
        name = getattr(arguments, kind)
        if name and name not in sections[kind]:
            raise ConfigError(f"--{kind}: got {name!r}; allowed: {', '.join(sections[kind])}, see `labels.{kind}`")
    for option, value, kind in (
        ("--segmenter", arguments.segmenter, "entities"),
        ("--tracker", arguments.tracker, "entities"),
        ("--depth-checkpoint", arguments.depth_checkpoint, "depth"),
    ):
        if value and not getattr(arguments, kind):
            raise ConfigError(f"{option}: got {value!r} for labels that are not asked for; expected --{kind} beside it")
    if arguments.tracker:
        sections["tracker"]["checkpoint"] = arguments.tracker
    if arguments.segmenter:
        sections["entities"][arguments.entities]["segmenter"] = arguments.segmenter
    if arguments.depth_checkpoint:
        sections["depth"][arguments.depth]["checkpoint"] = arguments.depth_checkpoint
    config = parse(raw)
    if arguments.entities and getattr(config.labels.entities[arguments.entities], "segmenter", "") is None:
        raise ConfigError(
            f"--segmenter: got none, and labels.entities.{arguments.entities} names none; name a CropFormer or Mask2Former,"
            " such as mini:cropformer or facebook/mask2former-swin-large-coco-panoptic"
        )
    return config


def checkpoints(config: Config, arguments: argparse.Namespace) -> dict[str, str]:
    """Return the checkpoints that the labels are made by, by the option that names another."""
    sections, found = config.labels, {}
    if arguments.entities:
        segmenter = getattr(sections.entities[arguments.entities], "segmenter", None)  # a grid of points has none
        found |= {"--segmenter": segmenter, "--tracker": sections.tracker.checkpoint}
    if arguments.depth:
        found["--depth-checkpoint"] = sections.depth[arguments.depth].checkpoint
    return {option: name for option, name in found.items() if name}


def check_checkpoints(config: Config, arguments: argparse.Namespace) -> None:
    """Refuse checkpoints that are not there or of another kind, as their json files or the hub have it.

    Raises:
        ConfigError: There is such a one.
    """
    from udpdiff.checkpoints import hub
    from udpdiff.config_values import ConfigError
    from udpdiff.preflight.checkpoints import checkpoint_faults

    keys = [f"labels.entities.{arguments.entities}.", "labels.tracker."] if arguments.entities else []
    keys += [f"labels.depth.{arguments.depth}."] if arguments.depth else []
    faults = [fault for fault in checkpoint_faults(config, [Path.cwd()]) if fault.startswith(tuple(keys))]
    if not faults:
        remote = [
            name for name in checkpoints(config, arguments).values() if hub.split(name) and not Path(name).is_dir()
        ]
        faults = list(hub.faults(name for name in dict.fromkeys(remote) if not hub.is_cached(name)))
    if faults:
        raise ConfigError("\n".join(faults))


def outputs(arguments: argparse.Namespace, config: Config, short_side: int) -> Outputs:
    """Return where the files go, with all that they depend on."""
    from udpdiff.command.outputs import Outputs
    from udpdiff.files import file_sha256

    labels = config.labels
    settings = {"file": arguments.file.name, "file_sha256": file_sha256(arguments.file), "frames": arguments.frames}
    settings |= {"short_side": short_side, "device": arguments.device, "format": list(arguments.format)}
    if arguments.entities:
        settings["entities"] = labels.entities[arguments.entities].model_dump(mode="json")
        settings |= {
            "tracker": labels.tracker.model_dump(mode="json"),
            "cleanup": labels.cleanup.model_dump(mode="json"),
        }
    if arguments.depth:
        settings["depth"] = labels.depth[arguments.depth].model_dump(mode="json")
    folder = arguments.out or Path("labels") / arguments.file.stem
    request = {"command": "label", "settings": settings}
    return Outputs(folder, ["entities", "depth"], ["overlay.mp4"], request)


def default_short_side(used: dict[str, str]) -> int:
    """Return the pixels of the shorter side that labels are made at: the paper's, less for mini models, which know 64."""
    return _MINI_SHORT_SIDE if all(name.startswith("mini:") for name in used.values()) else _SHORT_SIDE


def check_file(path: Path, frames: int | None, short_side: int) -> float:
    """Return the frame rate of a video that fits into memory, and say how it is taken.

    Raises:
        ValueError: It cannot be read, or is too big.
    """
    from udpdiff.command.notices import say
    from udpdiff.video_io import probe, shrunk_size

    info = probe(path)
    count = info.num_frames or round((info.duration_seconds or 0) * info.fps)
    count = min(count, frames) if frames else count
    height, width = shrunk_size(info.height, info.width, short_side)
    size = count * height * width * 3
    if size > _MAX_BYTES:
        raise ValueError(
            f"{path}: got {count:,} frames, {size / 1e9:.0f} GB of pixels at {width} x {height}, expected at most"
            f" {_MAX_BYTES / 1e9:.0f}: labels of a clip are made as a whole. Take --frames N, a smaller --short-side, or cut it:"
            " ffmpeg -ss 0 -t 10 -i FILE clip.mp4"
        )
    taken = f"{path}: {count or 'all'} frame{'s' * (count != 1)} of {info.width} x {info.height}"
    if (width, height) != (info.width, info.height):
        taken += f", labelled at {width} x {height}; --short-side {min(info.width, info.height)} keeps their size, for longer"
    if count > _LONG_CLIP:
        taken += f"; --frames {_LONG_CLIP} labels the first {_LONG_CLIP} alone, in a fraction of the time"
    say(taken)
    return info.fps


def label_entities(video: np.ndarray, config: Config, arguments: argparse.Namespace) -> np.ndarray:
    """Return entity ids uint16 (T, H, W), 0 = none, and say how much of the video they cover."""
    from udpdiff.command.notices import say
    from udpdiff.labelling.entities import EntityLabeller

    say(f"entities by {arguments.entities}: those of the first frame ...")
    section = config.labels.entities[arguments.entities]
    labeller = EntityLabeller.from_settings(section, config.labels.tracker, config.labels.cleanup, arguments.device)
    labeller.tracker.show_progress = True
    entity_ids, coverage = labeller.label(video)
    count, covered = len(set(entity_ids.flat) - {0}), coverage.mean()
    print(f"entities: {count}, over {covered:.0%} of the pixels; without specks, and what others cover throughout")
    return entity_ids


def label_depth(video: np.ndarray, config: Config, arguments: argparse.Namespace) -> np.ndarray:
    """Return depth float32 (T, H, W) in [0, 1], 1 = nearest."""
    from udpdiff.command.notices import say
    from udpdiff.labelling.depth import load_estimator

    say(f"depth by {arguments.depth} ...")
    return load_estimator(config.labels.depth[arguments.depth], arguments.device, show_progress=True)(video)


def write(video: np.ndarray, labels: dict[str, Any], fps: float, folder: Path, formats: tuple[str, ...]) -> list[Path]:
    """Write labels by task, and a film of the video beside them: entities laid over it, depth in its colours."""
    from udpdiff.command.written import write_array, write_film
    from udpdiff.report.media import overlay, side_by_side
    from udpdiff.tasks import get_task

    panels, made = [video], []
    for name, values in labels.items():
        colors = get_task(name).picture(values)
        panels.append(overlay(video, colors) if name == "seg" else colors)
        file = {"seg": "entities"}.get(name, name)
        made += write_array(folder, file, values, formats)
        if "mp4" in formats:
            made.append(write_film(folder, file, colors, fps))
    return [*made, write_film(folder, "overlay", side_by_side(panels), fps)]


def _provenance(config: Config, arguments: argparse.Namespace) -> dict[str, Any]:
    from udpdiff.labelling.shards import depth_networks, entity_networks
    from udpdiff.provenance import origin
    from udpdiff.timing import device_name

    labels, networks = config.labels, {}
    if arguments.entities:
        networks |= entity_networks(labels.entities[arguments.entities], labels.tracker)
    if arguments.depth:
        networks |= depth_networks(labels.depth[arguments.depth])
    records = {role: network.model_dump(mode="json") for role, network in networks.items()}
    return origin() | {"device": device_name(arguments.device), "networks": records}


def _count(what: str, least: int) -> Callable[[str], int]:
    """Return what parses a number of pixels or frames; for argparse."""

    def parse(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"got {text!r}; expected a number of {what}, at least {least}")
        return int(text)

    return parse


def _labeller(text: str) -> str:
    """Take a labeller's name; for argparse, which takes a file behind the option for one."""
    if Path(text).is_file():
        raise argparse.ArgumentTypeError(
            f"got the file {text!r}; expected a labeller's name, or nothing. FILE stands first"
        )
    return text
