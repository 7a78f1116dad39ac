"""Lines of a text file of unknown origin, none longer than a limit: what a stranger's csv file is read by."""

from __future__ import annotations

import csv
from typing import TextIO


class BoundedLines:
    """Iterator over the lines of a file, which gives them to `csv.reader`; memory stays at one line of the limit.

    Args:
        file: Opened with `newline=""`, as the csv module wants it.
        longest: Characters of a line, its end left out.

    Attributes:
        number: Of the last line, from 1.

    Raises:
        csv.Error: By `next`, for a line that is longer; the one after it comes next.
    """

    def __init__(self, file: TextIO, longest: int) -> None:
        self._file, self._longest = file, longest
        self._cut_in_line_end = False
        self.number = 0

    def __iter__(self) -> BoundedLines:
        return self

    def __next__(self) -> str:
        # Two more, for the end of a line of full length.
        line = self._file.readline(self._longest + 2)
        if self._cut_in_line_end and line == "\n":
            line = self._file.readline(self._longest + 2)
        self._cut_in_line_end = False
        if not line:
            raise StopIteration
        self.number += 1
        if len(line.rstrip("\r\n")) <= self._longest:
            return line
        while line and not line.endswith(("\n", "\r")):
            line = self._file.readline(self._longest + 2)
        self._cut_in_line_end = line.endswith("\r")
        raise csv.Error(f"line of more than {self._longest} characters")
