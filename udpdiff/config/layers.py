"""The files that make a configuration: config.yaml, a preset, the user's own; each is merged over the one before.

Snakemake merges; this module finds the preset, refuses two of them, and makes the paths that a file names absolute. It
knows nothing of what the values mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from udpdiff.checkpoints import places
from udpdiff.config import files as config_files
from udpdiff.config.schema import Config
from udpdiff.config_values import ConfigError

PATHS = ("source.path", "source.captions", "panda70m.cookies")
CHECKPOINTS = (
    "model.base",
    "models.*.checkpoint",
    "labels.entities.*.segmenter",
    "labels.tracker.checkpoint",
    "labels.depth.*.checkpoint",
    "labels.depth.*.base",
    "labels.captions.captioner",
    "metrics.subject_encoder",
    "metrics.image_encoder",
    "metrics.video_encoder",
    "metrics.kernel_encoder",
)
FILES = ("metrics.flow",)  # whose value may be a file, SCHEME:FILE#SHA256, but never a folder


def preset_file(raw: dict, folder: Path) -> str | None:
    """Return the file of the preset that a configuration names; None where it names none.

    Args:
        raw: The configuration as merged so far, the user's own files and `--config` included.
        folder: Of the presets.

    Raises:
        ConfigError: There is no such preset.
    """
    name = raw.get("preset")
    if name is None:
        return None
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise ConfigError(
            f"preset: got {name!r}; allowed: {', '.join(known)}, or null for the mini scale of config.yaml"
        )
    return str(folder / f"{name}.yaml")


def nulls(raw: dict, given: Mapping) -> None:
    """Make `null` of --config nothing, in place, as it is in a file; Snakemake takes it for a word.

    Args:
        raw: The merged configuration.
        given: What --config says.
    """
    for key, value in given.items():
        if isinstance(value, Mapping) and isinstance(raw.get(key), dict):
            nulls(raw[key], value)
        elif value == "null" and raw.get(key) == value:
            raw[key] = None


def check_one_preset(raw: dict, user_files: Sequence[Path]) -> None:
    """Refuse a file whose preset lost to another: its other values were written for the one that it names.

    Args:
        raw: The merged configuration.
        user_files: Given with `--configfile`, in order.

    Raises:
        ConfigError: The last of them that names a preset names another one.
    """
    named = [
        (file, given["preset"]) for file in user_files if (given := config_files.read(file)).get("preset") is not None
    ]
    if named and named[-1][1] != raw["preset"]:
        file, name = named[-1]
        raise ConfigError(
            f"preset: {file} names {name!r}, and --config (the command line's or the profile's) names {raw['preset']!r}, "
            f"which wins; add `--config preset={name}` to the command, or take the line out of the file"
        )


def anchor_paths(raw: dict, files: Sequence[Path]) -> None:
    """Make the paths in files absolute, in place; a checkpoint is a path where such a folder is there.

    Args:
        raw: The merged configuration.
        files: That were merged over the default, in order: a relative path in one of them is relative to that file.
    """
    for file in files:
        given, folder = config_files.read(file), Path(file).parent
        for key in (*PATHS, *CHECKPOINTS, *FILES):
            for section, name, value, _ in strings_at(given, raw, key):
                scheme, place, mark = split_reference(value)
                try:
                    path = folder / Path(place).expanduser()
                    is_folder = path.is_dir()
                except (OSError, RuntimeError) as error:  # a name too long, a folder that is closed, ~nobody
                    why = getattr(error, "strerror", None) or error
                    raise ConfigError(
                        f"{key}: got {value[:200]!r}, where nothing can be looked for ({why}); name a place that can be read"
                    ) from error
                if key in PATHS or scheme or (is_folder and key in CHECKPOINTS):
                    section[name] = f"{scheme}{path.resolve()}{mark}"


def name_checkpoints(config: Config) -> tuple[Config, dict[str, str]]:
    """Return the configuration with names instead of places of this machine for its checkpoints, and name -> place."""
    sections, found = config.model_dump(), {}
    for pattern in (*CHECKPOINTS, *FILES):
        for section, key, reference, _ in strings_at(sections, sections, pattern):
            named = pattern in CHECKPOINTS or split_reference(reference)[0]
            name = places.name_of(reference) if named else reference
            if name != reference:
                scheme, place, mark = split_reference(reference)
                section[key], found[name] = name, f"{scheme}{Path(place).resolve()}{mark}"
    return (Config.model_validate(sections) if found else config), found


def split_reference(value: str) -> tuple[str, str, str]:
    """Return `i3d:FILE#SHA256` as ("i3d:", FILE, "#SHA256"), likewise `raft:`; any other as ("", value, "")."""
    scheme = next((each for each in places.OF_FILES if value.startswith(each)), None)
    if scheme is None:
        return "", value, ""
    place, mark, checksum = value.removeprefix(scheme).partition("#")
    return scheme, place, mark + checksum


def strings_at(given, raw, key: str, above: str = "") -> Iterator[tuple[dict, str, str, str]]:
    """Yield (section of raw, last part of the key, value, whole key) of the strings at a dotted key that `given` put there."""
    first, _, rest = key.partition(".")
    if not isinstance(given, dict) or not isinstance(raw, dict):
        return
    for name in list(given) if first == "*" else [first]:
        own, merged = given.get(name), raw.get(name)
        if rest:
            yield from strings_at(own, merged, rest, f"{above}{name}.")
        elif isinstance(own, str) and own == merged:
            yield raw, name, own, f"{above}{name}"
