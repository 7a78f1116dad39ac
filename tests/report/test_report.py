"""The report from a small results folder: complete, escaped, and without a word to the network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml

from udpdiff.report import costs, quality
from udpdiff.report.render import render
from udpdiff.storage.captions import Caption, CaptionWriter
from udpdiff.storage.shards import ShardWriter
from udpdiff.video_io import encode_mp4

ROOT = Path(__file__).parents[2]
HOSTILE = "<script>alert('x')</script> & \"quoted\" <img src=http://example.com/x.png>"
SIZE = {"height": 32, "width": 32, "num_frames": 5, "fps": 8}


def write_results(results: Path) -> None:
    rng = np.random.default_rng(0)
    video = rng.integers(0, 255, (5, 32, 32, 3), dtype=np.uint8)
    ids = np.ones((5, 32, 32), np.uint16)
    ids[:, 8:20, 8:20] = 2
    depth = np.tile(np.linspace(0, 65535, 32).astype(np.uint16), (5, 32, 1))
    for split in ("train", "evaluation"):
        words = {"brief": HOSTILE, "detailed": HOSTILE, "source_id": "clip"}
        with ShardWriter(results / f"clips/{split}/0.h5", "clips", SIZE | {"source": "scenes"}) as shard:
            shard.add(f"{split} <b>clip</b>", {"video_mp4": encode_mp4(video, 8)} | words, {"motion": 1.0})
            shard.reject("<i>bad</i>.mp4", "broken: <b>no</b>")
        with ShardWriter(results / f"entities/entityseg/{split}/0.h5", "entities", {}) as shard:
            shard.add(f"{split} <b>clip</b>", {"entity_ids": ids}, {"coverage": 1.0, "entities": 2.0})
        with ShardWriter(results / f"depth/depth_anything/{split}/0.h5", "depth", {}) as shard:
            shard.add(f"{split} <b>clip</b>", {"depth": depth})
        with CaptionWriter(results / f"captions/{split}/0.parquet", {}) as table:
            table.add(f"{split} <b>clip</b>", Caption(HOSTILE, "x", 9), Caption(HOSTILE, "x", 9))
            table.reject(f"{split} <i>wordless</i>", "looping caption: <b>no</b>")
    attrs = {"fps": 8, "task": "video", "run": "base"}
    with ShardWriter(results / "samples/base/video/samples.h5", "videos", attrs) as shard:
        shard.add("clip", {"video": video, "prompt": HOSTILE})
    for task, prediction in (("seg", ids), ("depth", depth)):
        attrs = {"fps": 8, "task": task, "run": "multi"}
        with ShardWriter(results / f"samples/multi/{task}/samples.h5", "predictions", attrs) as shard:
            shard.add("clip", {"video": video, "dense": video, "prediction": prediction, "prompt": HOSTILE})
    log = [
        {"step": step, "loss": 1 / step, "loss_video": 0.5, "loss_timestep": [0.4, 0.3, 0.2, 0.1]} for step in (1, 2, 3)
    ]
    (results / "training/base").mkdir(parents=True)
    (results / "training/base/train.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in log))
    (results / "table1.csv").write_text(
        "model,run,task,subject_consistency_ours,subject_consistency_ours_low,subject_consistency_ours_high,"
        "subject_consistency_paper,n_videos,subject_consistency_extractor\n"
        "CogVideoX 5B,base,video,88.5,87.1,89.9,94.57,1,mini:subject_encoder\n"
    )


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    results = tmp_path_factory.mktemp("work") / "results"
    write_results(results)
    settings = yaml.safe_load((ROOT / "config.yaml").read_text())
    settings["runs"] = {"base": {"tasks": {}}, "multi": {"tasks": {"seg": 0.5, "depth": 0.5}}}
    measured = results / "labels.json"
    measured.write_text(json.dumps({"metrics": {"entity_miou": {"value": 0.9, "low": 0.85, "high": 0.95, "n": 3}}}))
    benchmark = results.parent / "benchmarks/train/base.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\th:m:s\tmax_rss\n12.5\t0:00:12\t2048.0\n")
    page = results / "report/index.html"
    figures = render(settings, results, results.parent / "benchmarks", [measured], page, results / "report/media")
    return page, figures


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.tags = [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.found += [value for name, value in attrs if name in ("src", "href", "poster", "data")]


def test_hostile_text_stays_text_and_nothing_is_fetched(rendered):
    page, _ = rendered
    links = Links()
    links.feed(page.read_text())
    assert not links.tags & {"script", "i", "iframe", "object", "link"}
    assert "&lt;script&gt;" in page.read_text()
    assert "looping caption: &lt;b&gt;no" in page.read_text()
    assert links.found and not [link for link in links.found if re.match(r"(?i)\w+:|//", link)]
    for link in links.found:
        assert link.startswith("#") or (page.parent / link).is_file(), link


def test_goals_are_judged_by_what_was_measured(rendered):
    page, figures = rendered
    assert figures["labels.entity_miou"] == 0.9 and figures["labels.entity_miou_low"] == 0.85
    assert figures["cost.train_seconds"] == 12.5 and figures["cost.peak_rss_gb"] == 2.0
    verdicts = {verdict["key"]: verdict["met"] for verdict in quality.judge(figures)}
    assert verdicts["labels.entity_miou"] is True
    assert verdicts["labels.depth_delta1"] is None, "what was not measured is not met"
    assert quality.judge(figures | {"labels.entity_miou": 0.79})[0]["met"] is False
    assert "not measured" in page.read_text()


def test_above_a_control_means_a_gain_that_is_no_chance():
    figures = {"generated.depth_delta1": 0.8, "generated.depth_delta1_shuffled": 0.7}
    figures |= {"generated.depth_delta1_over_shuffled_low": 0.02, "generated.depth_delta1_over_shuffled_high": 0.18}

    def met(control: str):
        goal = f"> generated.depth_delta1_{control}"
        return [v["met"] for v in quality.judge(figures) if v["goal"].split(" (")[0] == goal]

    assert (met("shuffled"), met("constant")) == ([True], [None])
    figures["generated.depth_delta1_over_shuffled_low"] = -0.02
    assert met("shuffled") == [False]


def test_paper_and_ours_stand_in_columns_of_their_own(rendered):
    text = rendered[0].read_text()
    row = re.search(r"CogVideoX 5B</td>(.*?)</tr>", text, re.S).group(1)
    assert [re.sub(r"\s+", " ", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.S)][1] == "94.57"


def test_wall_time_counts_invocations_and_not_the_pause_between(tmp_path):
    log = tmp_path / "invocations.jsonl"
    events = [("start", 0), ("end", 10), ("start", 100), ("end", 105)]
    log.write_text("".join(json.dumps({"event": event, "time": time}) + "\n" for event, time in events))
    assert costs.Invocations(tmp_path).total_seconds() == 15


def test_memory_adds_up_over_jobs_side_by_side():
    job = lambda end, seconds, gb: costs.JobCost("rule", "job", end, seconds, gb)  # noqa: E731
    assert costs.peak_rss_gb([job(10, 10, 1.0), job(12, 5, 2.0), job(30, 5, 2.5)]) == 3.0


@pytest.mark.parametrize("width", [1280, 390])
def test_page_opens_from_disk_in_a_browser(rendered, tmp_path, width):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    shot = tmp_path / "page.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]
    dump = subprocess.run(
        [browser, *flags, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900",
         f"--screenshot={shot}", "--dump-dom", rendered[0].as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "UDPDiff" in dump.stdout and shot.stat().st_size > 10_000
