"""One shard of the labelled data set as a WebDataset archive: a tar in which the files of a clip stand one after another.

    000042.mp4             the video, as it is stored
    000042.entities.npz    entity_ids uint16 (T, H, W), 0 = none
    000042.depth.npz       depth uint16 (T, H, W), 65535 = nearest, 0 = farthest within the clip
    000042.json            clip_id, source_id, brief, detailed, fps, and where the captions are from;
                           whole, also where a model reads less

Nothing is lost but what the labels' storage had lost before (`storage.depth_bits`). A clip is in memory at a time, and equal
shards give equal bytes. Knows nothing of how labels are made.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from udpdiff.files import file_sha256
from udpdiff.progress import progress
from udpdiff.storage.captions import KINDS, check_whole, read_captions_and_rejections, whole_caption
from udpdiff.storage.files import written_file
from udpdiff.storage.sealed import write_record
from udpdiff.storage.shards import ShardReader


def export_shard(clips: str, entities: str, depth: str, captions: str, archive: str | Path, record: str | Path) -> None:
    """Write the archive of the clips that have all labels, and beside it a record of what is in it and what was left out.

    Args:
        clips: A shard of clips, as are entities and depth of labels, and captions a table, of the same clips.
        archive: To write.
        record: Json: `clips`, `bytes`, `sha256`, `frames`, `entities` (their number over all clips), `seconds` of video,
            and `rejected`: how many clips were left out, by stage and reason.

    Raises:
        StorageError: A shard is damaged, its captions were cut by an earlier version, or a file cannot be written.
    """
    check_whole(captions)
    texts, rejections = read_captions_and_rejections([captions])
    with ExitStack() as stack:
        readers = [stack.enter_context(ShardReader(path)) for path in (clips, entities, depth)]
        videos, ids, depths = readers
        shared = [name for name in videos.clip_ids if name in ids.scores and name in depths.scores and name in texts]
        staging = stack.enter_context(written_file(archive))
        counted = 0
        with tarfile.open(staging, "w", format=tarfile.USTAR_FORMAT) as tar:
            for number, clip_id in enumerate(progress(shared, "clips")):
                entity_ids = ids.read(clip_id, "entity_ids")
                counted += len(np.setdiff1d(entity_ids, [0]))
                metadata = {
                    "clip_id": clip_id,
                    "source_id": videos.read(clip_id, "source_id"),
                    "fps": videos.attrs["fps"],
                }
                metadata |= {kind: whole_caption(texts[clip_id], kind) for kind in KINDS}
                metadata |= {name: texts[clip_id][name] for name in ("brief_source", "detailed_source")}
                _add(tar, f"{number:06d}.mp4", videos.read(clip_id, "video_mp4"))
                _add(tar, f"{number:06d}.entities.npz", _npz(entity_ids=entity_ids))
                _add(tar, f"{number:06d}.depth.npz", _npz(depth=depths.read(clip_id, "depth")))
                _add(tar, f"{number:06d}.json", json.dumps(metadata, ensure_ascii=False).encode())
        size = staging.stat().st_size
    frames = len(shared) * videos.attrs["num_frames"]
    content = {"clips": len(shared), "bytes": size, "sha256": file_sha256(archive), "frames": frames}
    content |= {"entities": counted, "seconds": frames / videos.attrs["fps"]}
    stages = dict(
        zip(("clips", "entities", "depth"), ([e["reason"] for e in reader.rejected] for reader in readers), strict=True)
    )
    stages["captions"] = list(rejections.values())
    write_record(record, content | {"rejected": {stage: _counts(reasons) for stage, reasons in stages.items()}})


def _counts(reasons: list[str]) -> dict[str, int]:
    """Return how often each reason was given, without what is of one clip alone."""
    return dict(sorted(Counter(reason.partition(":")[0] for reason in reasons).items()))


def _npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry: Any = tarfile.TarInfo(name)  # owner, time and rights are the same for all
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
