"""A disk that does not even hold a shard's header: the disk is named, and no clip is at fault."""

from __future__ import annotations

import resource

import pytest
from test_shards import make_clip

from udpdiff.storage.errors import StorageError
from udpdiff.storage.failures import Failures
from udpdiff.storage.shards import ShardWriter

SAID = r"0\.h5: cannot be written .*File too large.*the disk at"


def test_a_disk_without_room_for_the_header_is_named(tmp_path):
    most, failures = resource.getrlimit(resource.RLIMIT_FSIZE)[1], Failures(1, 1)
    with pytest.raises(StorageError, match=SAID), ShardWriter(tmp_path / "0.h5", "depth") as writer:
        resource.setrlimit(resource.RLIMIT_FSIZE, (128, most))
        try:
            with failures.caught("clip0"):
                writer.add("clip0", make_clip("depth", 0))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert failures.reasons == {}


def test_a_file_that_cannot_be_laid_out_is_named(tmp_path):
    most, failures = resource.getrlimit(resource.RLIMIT_FSIZE)[1], Failures(1, 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (128, most))
    try:
        with (
            pytest.raises(StorageError, match=SAID),
            ShardWriter(tmp_path / "0.h5", "depth", resume=True) as writer,
            failures.caught("clip0"),
        ):
            writer.add("clip0", make_clip("depth", 0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert failures.reasons == {}
