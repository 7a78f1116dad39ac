"""Tables from strangers take bounded memory: endless lines, huge literals and archives that swell are listed or refused."""

from __future__ import annotations

import csv
import itertools
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from test_panda70m import record, write

from udpdiff.sources.captions_csv import read_clip_table
from udpdiff.sources.panda70m_table import PandaVideo, RowFault, read_table

ROOT = Path(__file__).parents[2]
# Judges a table in a process that may hold no more than this.
READ = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (800 << 20, 800 << 20))
from udpdiff.sources.panda70m_table import read_table
for row in read_table(sys.argv[1]):
    print(row.number, getattr(row, "video_id", None) or row.fault.value)
"""
CAPTIONS = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (800 << 20, 800 << 20))
from udpdiff.sources.captions_csv import read_clip_table
read_clip_table(sys.argv[1], ["a.mp4"])
"""


def run(code: str, path: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True)


def judged(path: Path) -> list[str]:
    done = run(READ, path)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def zipped(path: Path, *pieces: str, times: int = 1) -> Path:
    """A zip whose csv is the first piece, the second so many times, and the rest."""
    first, middle, *rest = pieces
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("table.csv", "w", force_zip64=True) as file,
    ):
        file.write(first.encode())
        for _ in range(times):
            file.write(middle.encode())
        for piece in rest:
            file.write(piece.encode())
    return path


def lines(tmp_path, *records) -> list[str]:
    """The header and each record as the text of a line."""
    return write(tmp_path / "lines.csv", list(records)).read_bytes().decode().splitlines(keepends=True)


def test_an_endless_line_in_a_zip_is_one_record_that_is_listed(tmp_path):
    header, good, last = lines(tmp_path, record("A" * 11), record("B" * 11))
    path = zipped(tmp_path / "table.zip", header + good, "x" * (1 << 20), "\r\n" + last, times=200)
    assert path.stat().st_size < 5 << 20
    assert judged(path) == [f"1 {'A' * 11}", f"2 {RowFault.TOO_LONG.value}", f"3 {'B' * 11}"]


def test_a_quote_that_is_never_closed_takes_no_more(tmp_path):
    header, good = lines(tmp_path, record("A" * 11))
    path = zipped(tmp_path / "table.zip", header + good + '"', "x," * 500 + "\n", times=10_000)
    rows = judged(path)
    assert rows[0] == f"1 {'A' * 11}" and RowFault.TOO_LONG.value in rows[1]


@pytest.mark.parametrize("literal", ["[" + "0," * 7_500_000 + "]", "[" + "[]," * 5_000_000 + "]", "[" * 15_000_000])
def test_a_huge_literal_is_listed(tmp_path, literal):
    rows = [record("A" * 11), record("B" * 11, matching_score=literal), record("C" * 11)]
    path = write(tmp_path / "table.csv", rows)
    assert judged(path) == [f"1 {'A' * 11}", f"2 {RowFault.TOO_LONG.value}", f"3 {'C' * 11}"]


def test_a_literal_of_many_short_values_is_listed(tmp_path):
    rows = [record("B" * 11, matching_score="[" + "0," * 400_000 + "]"), record("C" * 11)]
    assert judged(write(tmp_path / "table.csv", rows))[1] == f"2 {'C' * 11}"


def test_long_videos_are_no_fault(tmp_path):
    path = write(tmp_path / "table.csv", [record("A" * 11, clips=1)])
    count = 3000
    times = [[f"{i // 720}:{i // 12 % 60:02d}:{5 * (i % 12):02d}.000"] * 2 for i in range(count + 1)]
    times = [[one[0], other[0]] for one, other in itertools.pairwise(times)]
    shots = [[["0:00:00.000", "0:00:04.960"]] for _ in range(count)]
    columns = {
        "timestamp": times,
        "caption": ["A person speaks to a camera. " * 4] * count,
        "matching_score": [0.5] * count,
    }
    columns |= {"desirable_filtering": ["desirable"] * count, "shot_boundary_detection": shots}
    write(path, [record("A" * 11, **{name: repr(value) for name, value in columns.items()})])
    (row,) = read_table(path)
    assert isinstance(row, PandaVideo) and len(row.clips) == count


def test_a_damaged_archive_is_one_sentence(tmp_path):
    header, good = lines(tmp_path, record("A" * 11))
    path = zipped(tmp_path / "table.zip", header, good, times=2000)
    data = bytearray(path.read_bytes())
    data[200:260] = bytes(60)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"Panda-70M table.*cannot be unpacked"):
        list(read_table(path))


def test_what_archives_of_other_systems_add_is_no_second_table(tmp_path):
    path = tmp_path / "table.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("table.csv", "".join(lines(tmp_path, record("A" * 11))))
        archive.writestr("__MACOSX/._table.csv", b"\0\5\x16\7")
    assert [row.video_id for row in read_table(path)] == ["A" * 11]


def test_records_after_a_long_line_are_read(tmp_path):
    """Line ends of every kind, at the limit too."""
    from udpdiff.sources.bounded_lines import BoundedLines

    for end in ("\n", "\r\n"):
        path = tmp_path / "text.csv"
        path.write_bytes(end.join(["a,b", "x" * 10, "y" * 11, "z" * 30, "c,d"]).encode())
        with open(path, newline="") as file:
            reader, rows = csv.reader(BoundedLines(file, longest=10)), []
            while True:
                try:
                    rows.append(next(reader))
                except StopIteration:
                    break
                except csv.Error as error:
                    rows.append(str(error)[:4])
        assert rows == [["a", "b"], ["x" * 10], "line", "line", ["c", "d"]]


def test_an_endless_line_of_captions_is_refused(tmp_path):
    path = tmp_path / "captions.csv"
    with path.open("w") as file:
        file.write("clip,caption\na,x\n")
        for _ in range(200):
            file.write("y" * (1 << 20))
    done = run(CAPTIONS, path)
    path.unlink()
    assert "ValueError" in done.stderr and "line 3" in done.stderr.splitlines()[-1]


def test_a_long_caption_is_refused_by_its_line(tmp_path):
    path = tmp_path / "captions.csv"
    path.write_text(f"clip,caption\na,{'x' * 200_000}\n")
    with pytest.raises(ValueError, match="line 2"):
        read_clip_table(path, ["a.mp4"])
