"""The benchmark of dense figures at a tiny size."""

from __future__ import annotations

from benchmarks import dense_figures


def test_the_command_sets_j_and_f_against_the_plain_definition(tmp_path):
    path = tmp_path / "results.md"
    words = "--height 48 --width 64 --entities 6 --repeats 1 --num-frames 3"
    dense_figures.main([*words.split(), "--output", str(path)])
    text = path.read_text()
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `measures.boundary`")]
    assert len(rows) == 1 and float(rows[0][2].strip(" |")) > 0
    (said,) = [line for line in text.splitlines() if "the values differ by" in line]
    assert float(said.split("by ")[1].split()[0]) <= 1e-12
    parts = text.split("| part |")[1].splitlines()[2:]
    assert len(parts) == 7 and all(float(line.split(" | ")[1]) >= 0 for line in parts)
