"""Graphs that several modules look at, built once."""

from __future__ import annotations

import numpy as np
import pytest
from rule_graphs import PANDA, SCENES, VIDEOS, graph

from udpdiff.sources import panda70m_table
from udpdiff.video_io import write_mp4


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> list[dict]:
    measured = ("results/throughput.json", "results/memory.json")
    targets = ("all", "plan", "mini_checkpoints", "panda_dense", "show_labels", "paper_figures", *measured)
    return graph(tmp_path_factory.mktemp("scenes"), SCENES, *targets)


@pytest.fixture(scope="session")
def panda(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("panda")
    (folder / "table.csv").write_text(",".join(panda70m_table.COLUMNS) + "\n")
    return graph(folder, PANDA, "all", "prefetch")


@pytest.fixture(scope="session")
def videos(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("videos")
    (folder / "videos").mkdir()
    names = [f"video {index}.mp4" for index in range(9)]
    for index, name in enumerate(names):
        (folder / "videos" / name).write_bytes(bytes(index))
    write_mp4(folder / "videos" / names[0], np.zeros((40, 16, 16, 3), np.uint8), 8.0)
    (folder / "captions.csv").write_text("clip,caption\n" + "".join(f"{name},A {name}.\n" for name in names))
    return graph(folder, VIDEOS, "show_labels")


@pytest.fixture(scope="session")
def every_graph(scenes, panda, videos) -> list[dict]:
    return [*scenes, *panda, *videos]
