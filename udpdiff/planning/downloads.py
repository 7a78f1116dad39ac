"""What a configuration fetches from the network: checkpoints, and the videos of a data set that is not at hand."""

from __future__ import annotations

from collections.abc import Iterator

from udpdiff.config.schema import Config
from udpdiff.planning.checkpoint_sizes import find_checkpoint, is_local

# Of a stream of 480 lines, for some seconds more than a clip has, and for clips that are rejected or gone.
_BITS_PER_SECOND, _SECONDS_MORE, _TRIES = 1.5e6, 4.0, 1.25
_PANDA_TABLE_HEIGHT = 480


def references(config: Config) -> list[str]:
    """Return all checkpoints that a configuration names, each once."""
    labels, metrics = config.labels, config.metrics
    named = [config.model.base, labels.tracker.checkpoint, labels.captions.captioner]
    named += [getattr(labeller, "segmenter", None) for labeller in labels.entities.values()]
    for labeller in labels.depth.values():
        named += [labeller.checkpoint, getattr(labeller, "base", None)]
    named += [metrics.subject_encoder, metrics.image_encoder, metrics.video_encoder, metrics.kernel_encoder]
    return list(dict.fromkeys(name for name in named if name))


def checkpoint_downloads(config: Config) -> Iterator[tuple[str, float | None, str]]:
    """Yield each checkpoint that is fetched, its bytes (None where not known), and what they rest on."""
    for reference in references(config):
        if not is_local(reference):
            known = find_checkpoint(reference)
            yield reference, known and known.file_bytes, known.source if known else "not known"


def video_bytes(config: Config) -> float:
    """Return the bytes of videos that are fetched; 0 for a source at hand."""
    if config.source.kind != "panda70m":
        return 0.0
    seconds = config.clips.num_frames / config.clips.fps + _SECONDS_MORE
    scale = (config.panda70m.height / _PANDA_TABLE_HEIGHT) ** 2
    return (config.clips.train + config.clips.evaluation) * _TRIES * seconds * scale * _BITS_PER_SECOND / 8
