"""Gives every pixel of a degraded frame one of the clip's colours: the nearest among those that lie near it for sure.

Most pixels lie where only one colour is; they take it without a look at their own. Distances are computed for the others
alone, and likewise for votes: a table over colours says of most pixels which colour they are surely of, if any.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from udpdiff.representations.smoothing import flatness, smooth

# Of the table, in ninths of a step of 1/255, as the sum over 3 x 3 pixels has them.
_LEAST_CELL = 16
_TOP = 9 * 255
# A frame of fewer pixels is compared with all colours sooner than a table is made.
_TABLE_PIXELS = 1 << 14
_MARGIN = 0.5  # on squared distances, far more than they are rounded by
_NOBODY, _UNKNOWN = -1, -2
_BLOCK = 1 << 20  # distances computed at once


@dataclass(frozen=True)
class Votes:
    """Which colours are near, and how near is near; colours in steps of 1/255.

    sure_distance: a pixel's smoothed colour is at most this far from a colour that it votes for. tile: votes are of squares
    of so many pixels a side. reach: how many tiles a vote carries. flat_gradient: see `smoothing.flatness`.
    """

    sure_distance: float
    tile: int
    reach: int
    flat_gradient: float


class PixelAssignment:
    """Assigns pixels frame by frame; keeps the memory for one frame.

    votes: the settings.
    """

    def __init__(self, votes: Votes) -> None:
        self.votes = votes
        self._cell = max(_LEAST_CELL, round(2 * votes.sure_distance))
        self._radius = int(np.ceil(9 * votes.sure_distance / self._cell)) + 1
        self._side = _TOP // self._cell + 1
        self._table = np.zeros(0, np.int32)

    def __call__(self, frame: np.ndarray, centers: np.ndarray) -> np.ndarray:
        """Return the number of each pixel's colour: intp (H,W) for a frame uint8 (H,W,3) and centers float32 (K,3)."""
        height, width = frame.shape[:2]
        smoothed = smooth(frame)
        tiles = self._tile_votes(self._sure(frame, smoothed, centers))
        settled, open_tiles = self._settle(tiles, len(centers))
        tile = self.votes.tile
        ids = settled.repeat(tile, axis=0)[:height].repeat(tile, axis=1)[:, :width]
        if len(open_tiles):
            allowed = self._allowed(tiles, open_tiles, len(centers))
            rows, columns = np.divmod(open_tiles, settled.shape[1])
            inside = np.arange(tile)
            # A tile cut off by the frame's end has its last pixels twice.
            rows = np.minimum(rows[:, None, None] * tile + inside[:, None], height - 1)
            columns = np.minimum(columns[:, None, None] * tile + inside, width - 1)
            places = (rows * width + columns).reshape(len(open_tiles), -1)
            ids.flat[places] = self._nearest_allowed(frame, smoothed, centers, places, allowed)
        return ids

    def _sure(self, frame: np.ndarray, smoothed: np.ndarray, centers: np.ndarray) -> np.ndarray:
        """Which colour each pixel votes for, or nobody: int32 (H,W)."""
        if frame.shape[0] * frame.shape[1] < _TABLE_PIXELS:
            sure = np.full(frame.shape[:2], _UNKNOWN, np.int32)
        else:
            sure = self._look_up(frame, centers)
        unknown = np.flatnonzero(sure == _UNKNOWN)
        norms, doubled = _norms(centers), (2 * centers).T
        pixels = smoothed.reshape(-1, 3)
        for block in _blocks(unknown, len(centers)):
            colors = pixels[block]
            gaps = norms - colors @ doubled
            nearest = gaps.argmin(axis=1)
            distance = np.take_along_axis(gaps, nearest[:, None], axis=1)[:, 0]
            distance += np.einsum("nc,nc->n", colors, colors)
            sure.flat[block] = np.where(distance <= self.votes.sure_distance**2, nearest, _NOBODY)
        return sure

    def _look_up(self, frame: np.ndarray, centers: np.ndarray) -> np.ndarray:
        """As `_sure`, and unknown where the table does not tell."""
        if not len(self._table):
            self._table = np.full(self._side**3, _NOBODY, np.int32)
        cells = self._write_table(centers)
        place = np.zeros(frame.shape[:2], np.int32)
        for channel in range(3):
            place *= self._side
            place += _sums(frame[..., channel]) // self._cell
        sure = np.take(self._table, place, mode="clip")
        self._table[cells] = _NOBODY
        return sure

    def _write_table(self, centers: np.ndarray) -> np.ndarray:
        """Write the cells near the colours, and return which."""
        steps = np.arange(-self._radius, self._radius + 1)
        axes = np.floor(centers * 9 / self._cell).astype(np.intp)[..., None] + steps  # (K,3,S)
        low = axes * self._cell / 9
        below, above = low - centers[..., None], centers[..., None] - low - (self._cell - 1) / 9
        nearest = np.maximum(np.maximum(below, above), 0) ** 2
        farthest = np.maximum(-below, -above) ** 2
        nearest, farthest = (
            each[:, 0, :, None, None] + each[:, 1, None, :, None] + each[:, 2, None, None, :]
            for each in (nearest, farthest)
        )
        bound = self.votes.sure_distance**2
        inside = (axes >= 0) & (axes < self._side)
        touched = inside[:, 0, :, None, None] & inside[:, 1, None, :, None] & inside[:, 2, None, None, :]
        touched &= nearest <= bound + _MARGIN
        cells = (axes[:, 0, :, None] * self._side + axes[:, 1, None, :])[..., None] * self._side
        cells = (cells + axes[:, 2, None, None, :])[touched]
        owners = np.nonzero(touched)[0].astype(np.int32)
        self._table[cells] = owners
        # A cell that two colours touch is of neither; the one that was written first finds the other's number.
        shared = (self._table[cells] != owners) | (farthest[touched] > bound - _MARGIN)
        self._table[cells[shared]] = _UNKNOWN
        return cells

    def _tile_votes(self, sure: np.ndarray) -> np.ndarray:
        """The votes inside each tile, one per pixel: int32 (pixels of a tile, tiles down, tiles across)."""
        tile = self.votes.tile
        height, width = (-(-size // tile) for size in sure.shape)
        padded = np.full((height * tile, width * tile), _NOBODY, np.int32)
        padded[: sure.shape[0], : sure.shape[1]] = sure
        return padded.reshape(height, tile, width, tile).transpose(1, 3, 0, 2).reshape(-1, height, width)

    def _settle(self, tiles: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The one colour near each tile, int32 (tiles down, tiles across), and the flat indices of those with no or several."""
        reach, (height, width) = self.votes.reach, tiles.shape[1:]
        low, high = np.where(tiles == _NOBODY, count, tiles).min(axis=0), tiles.max(axis=0)
        low, high = np.pad(low, reach, constant_values=count), np.pad(high, reach, constant_values=_NOBODY)
        shifts = range(2 * reach + 1)
        low = np.minimum.reduce([low[i : i + height] for i in shifts])
        low = np.minimum.reduce([low[:, j : j + width] for j in shifts])
        high = np.maximum.reduce([high[i : i + height] for i in shifts])
        high = np.maximum.reduce([high[:, j : j + width] for j in shifts])
        return low, np.flatnonzero(low != high)

    def _allowed(self, tiles: np.ndarray, chosen: np.ndarray, count: int) -> np.ndarray:
        """The votes near chosen tiles (n,), all where there are none: bool (n,K)."""
        reach, (height, width) = self.votes.reach, tiles.shape[1:]
        votes = np.zeros((height + 2 * reach, width + 2 * reach, count), bool)
        inside = votes[reach : reach + height, reach : reach + width]
        for part in tiles:
            rows, columns = np.nonzero(part != _NOBODY)
            inside[rows, columns, part[rows, columns]] = True
        rows, columns = np.divmod(chosen, width)
        allowed = np.zeros((len(chosen), count), bool)
        for down in range(2 * reach + 1):
            for right in range(2 * reach + 1):
                allowed |= votes[rows + down, columns + right]
        allowed |= ~allowed.any(axis=1, keepdims=True)
        return allowed

    def _nearest_allowed(
        self, frame: np.ndarray, smoothed: np.ndarray, centers: np.ndarray, places: np.ndarray, allowed: np.ndarray
    ) -> np.ndarray:
        """The nearest allowed colour of pixels (n,P), P in each of n tiles: intp (n,P)."""
        norms, doubled = _norms(centers), (2 * centers).T
        found = np.empty(places.shape, np.intp)
        for block in _blocks(np.arange(len(places)), len(centers) * places.shape[1]):
            colors = self._sharpened(frame, smoothed, places[block].ravel())
            gaps = (norms - colors @ doubled).reshape(len(block), -1, len(centers))
            np.copyto(gaps, np.inf, where=~allowed[block, None])
            found[block] = gaps.argmin(axis=-1)
        return found

    def _sharpened(self, frame: np.ndarray, smoothed: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Colours of pixels (n,), smoothed as far as the place is flat: float32 (n,3).

        Smoothing fights noise inside an entity and blurs its border.
        """
        height, width = frame.shape[:2]
        rows, columns = np.divmod(places, width)
        pixels = smoothed.reshape(-1, 3)
        before = pixels[np.stack([places - width * (rows > 0), places - (columns > 0)])]
        after = pixels[np.stack([places + width * (rows < height - 1), places + (columns < width - 1)])]
        flat = flatness(before, after, self.votes.flat_gradient)
        own = frame.reshape(-1, 3)[places]
        return own + flat[:, None] * (pixels[places] - own)


def _norms(centers: np.ndarray) -> np.ndarray:
    return (centers**2).sum(axis=1)


def _sums(channel: np.ndarray) -> np.ndarray:
    """Sums over 3 x 3 pixels, uint16 (H,W), of uint8 (H,W); borders count twice."""
    rows = channel.astype(np.uint16)
    down = rows.copy()
    down[1:] += rows[:-1]
    down[0] += rows[0]
    down[:-1] += rows[1:]
    down[-1] += rows[-1]
    total = down.copy()
    total[:, 1:] += down[:, :-1]
    total[:, 0] += down[:, 0]
    total[:, :-1] += down[:, 1:]
    total[:, -1] += down[:, -1]
    return total


def _blocks(items: np.ndarray, width: int) -> list[np.ndarray]:
    """Cut items (n,), each of so many distances, into blocks."""
    size = max(1, _BLOCK // width)
    return [items[start : start + size] for start in range(0, len(items), size)]
