"""Depth in few bits: how far values move, that what is stored comes back exactly, and how small it is."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.storage import coarse_values
from udpdiff.storage.coarse_values import decode, encode, largest_error, on_grid
from udpdiff.storage.errors import StorageError
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.tasks import get_task

EVERY_VALUE = np.arange(65536, dtype=np.uint16).reshape(4, 128, 128)


def noisy_depth(frames: int = 9, size: tuple[int, int] = (48, 72), noise: float = 0.003) -> np.ndarray:
    """Depth as an estimator gives it, uint16: smooth surfaces, an edge, and noise in the low bits."""
    rows, columns = np.mgrid[: size[0], : size[1]] / max(size)
    drift = np.linspace(0, 0.1, frames)[:, None, None]
    depth = 0.3 + 0.4 * rows + 0.2 * np.sin(3 * columns + drift) * (columns > 0.5 + drift)
    depth = depth + np.random.default_rng(0).normal(0, noise, depth.shape)
    return np.rint(np.clip(depth, 0, 1) * 65535).astype(np.uint16)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_no_value_moves_further_than_is_said_and_all_come_back(bits):
    rounded = on_grid(EVERY_VALUE, bits)
    moved = np.abs(rounded.astype(int) - EVERY_VALUE).max() / 65535
    assert 0.9 * largest_error(bits) < moved <= largest_error(bits) <= 1 / 2 ** (bits + 1) * 1.07
    assert len(np.unique(rounded)) == 2**bits and rounded.dtype == np.uint16
    assert rounded.ravel()[0] == 0 and rounded.ravel()[-1] == 65535
    np.testing.assert_array_equal(on_grid(rounded, bits), rounded)
    data = encode(rounded, bits)
    np.testing.assert_array_equal(decode(data, bits), rounded)
    assert encode(rounded, bits) == data
    with pytest.raises(ValueError, match="not on the grid"):
        encode(EVERY_VALUE, bits)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (48, 72)])
def test_clips_of_any_size(size):
    values = on_grid(noisy_depth(1, size), 8)
    np.testing.assert_array_equal(decode(encode(values, 8), 8), values)


def write(path, values, **attrs):
    with ShardWriter(path, "depth", attrs, resume=True) as shard:
        for name, value in values.items():
            if name not in shard.done:
                shard.add(name, {"depth": value}, {"score": 1.0})
    return path


def test_shards_are_read_as_any_other_and_are_a_fraction_of_their_size(tmp_path):
    values = {f"clip {number}": noisy_depth() + np.uint16(number) for number in range(3)}
    whole = write(tmp_path / "whole.h5", values)
    small = write(tmp_path / "small.h5", values, **coarse_values.coarse_attrs(8))
    assert coarse_values.coarse_attrs(16) == {}
    task = get_task("depth")
    with ShardReader(whole) as first, ShardReader(small) as second:
        second.verify()
        for name, value in values.items():
            np.testing.assert_array_equal(first.read(name, "depth"), value)
            found = second.read(name, "depth")
            np.testing.assert_array_equal(found, on_grid(value, 8))
            exact, rounded = task.from_storage(value), task.from_storage(found)
            assert np.abs(rounded - exact).max() <= largest_error(8) + 1e-6
            # What is measured of depth hardly sees it.
            assert task.compare(rounded, exact)["depth_delta1"] > 0.999
        np.testing.assert_allclose(second.mean()[0], first.mean()[0], atol=65535 * largest_error(8))
    written = {path: len(path.read_bytes()) for path in (whole, small)}
    raw = 3 * noisy_depth().nbytes
    assert written[small] < 0.45 * written[whole] and written[whole] > 0.5 * raw


def test_damage_is_found_and_a_stopped_writer_goes_on(tmp_path):
    values = {f"clip {number}": noisy_depth() for number in range(3)}
    attrs = coarse_values.coarse_attrs(10)
    whole = write(tmp_path / "whole.h5", values, **attrs)
    stopped = tmp_path / "stopped.h5"
    with pytest.raises(KeyboardInterrupt), ShardWriter(stopped, "depth", attrs, resume=True) as shard:
        shard.add("clip 0", {"depth": values["clip 0"]}, {"score": 1.0})
        raise KeyboardInterrupt
    write(stopped, values, **attrs)
    with ShardReader(whole) as first, ShardReader(stopped) as second:
        assert first.sha256 == second.sha256
    damaged = whole.read_bytes()
    place = damaged.index(b"FFV1") + 1500
    whole.write_bytes(damaged[:place] + bytes(64) + damaged[place + 64 :])
    with pytest.raises(StorageError, match="snakemake"), ShardReader(whole) as shard:
        shard.verify()


def test_clips_of_one_shard_have_one_shape(tmp_path):
    with (
        pytest.raises(ValueError, match="as in the shard's first clip"),
        ShardWriter(tmp_path / "0.h5", "depth", coarse_values.coarse_attrs(8)) as shard,
    ):
        shard.add("a", {"depth": noisy_depth()})
        shard.add("b", {"depth": noisy_depth(5)})
