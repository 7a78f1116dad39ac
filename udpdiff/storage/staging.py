"""The file that a growing shard lies in, between HDF5 and the disk.

HDF5 cannot survive a disk that fills: closing fails, the process crashes on its way out, and the file is refused from
then on. So it is given this file object, which stops writing at the first error and says nothing, as if the process had
been killed there. Rows before that moment can be read again.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

_ENDLESS = 2**40  # within what file systems can seek to


class StagingFile(io.FileIO):
    """A file object for `h5py.File`.

    Args:
        path: Of the file.
        new: Start with an empty file; otherwise it is read only, and bytes beyond its end, which a writer was still to
            write when it stopped, are zeros.

    Attributes:
        error: The first error of writing; None while all went well.
    """

    def __init__(self, path: Path, new: bool) -> None:
        super().__init__(path, "w+" if new else "r")
        self._new = new
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; the end of a file that is only read lies far behind whatever its writer had planned."""
        return super().seek(offset, whence) if self._new or whence != os.SEEK_END else super().seek(_ENDLESS)

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer, with zeros beyond the end."""
        view, filled = memoryview(buffer), 0
        while count := super().readinto(view[filled:]):
            filled += count
        view[filled:] = bytes(len(view) - filled)
        return len(view)

    def write(self, data: memoryview) -> int:
        """Write all of the data, unless an earlier write failed."""
        view = memoryview(data)
        while len(view) and self.error is None:
            try:
                view = view[super().write(view) :]
            except OSError as error:
                self.error = error
        return len(data)

    def truncate(self, size: int) -> None:
        """Cut or extend the file, unless an earlier write failed or it is only read."""
        try:
            if self.error is None and self._new:
                super().truncate(size)
        except OSError as error:
            self.error = error
