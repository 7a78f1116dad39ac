"""The real workflow in a work directory of an awkward name, and the report's page on what it made there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml
from page_elements import Elements

from udpdiff import preflight
from udpdiff.report.inputs import Inputs
from udpdiff.report.render import render
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.storage.summaries import write_summary
from udpdiff.workflow import jobs as workflow_jobs

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
SPLITS = ("train", "evaluation")


class Work:
    """A work directory with its configuration. Calls of the stand-in and temporary files lie beside it."""

    def __init__(self, folder: Path, configuration: dict) -> None:
        self.parent, self.folder = folder, folder / 'it\'s a "work" folder; $(touch pwned)'
        self.configuration, self.calls_file = configuration, folder / "calls"
        self.folder.mkdir()
        (folder / "tmp").mkdir()

    def snakemake(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        config = self.folder / "mine.yaml"
        config.write_text(yaml.safe_dump(self.configuration))
        environment |= {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}",
            "PANDA_STAND_IN_CALLS": str(self.calls_file),
            "PANDA_STAND_IN_SHARED": str(SHARED),
            "TMPDIR": str(self.parent / "tmp"),
        }
        options = ["--directory", str(self.folder), "--configfile", str(config), *arguments]
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *options],
            cwd=ROOT, env=os.environ | environment, capture_output=True, text=True,
        )  # fmt: skip

    def build(self, targets: list[str]) -> None:
        done = self.snakemake("--cores", "2", "--", *targets)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]

    def left_to_do(self, targets: list[str]) -> dict[str, str]:
        """rule -> number of jobs that a further invocation would run."""
        done = self.snakemake("-n", "--quiet", "rules", "--", *targets)
        assert done.returncode == 0, done.stderr
        return dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, re.M))

    def calls(self) -> list[str]:
        """What the stand-in was asked for, in order."""
        return self.calls_file.read_text().splitlines()

    def shards(self, kind: str) -> list[ShardReader]:
        """The shard of each split."""
        return [ShardReader(self.folder / f"results/{kind}/{split}/0.h5") for split in SPLITS]

    def page(self) -> str:
        """All pages of the report on the clips, with labels of one entity and of flat depth so that it shows them."""
        results = self.folder / "results"
        for split, clips in zip(SPLITS, self.shards("clips"), strict=True):
            _label(results, split, clips.clip_ids)
        raw = yaml.safe_load((ROOT / "config.yaml").read_text()) | {"runs": {"base": {"tasks": {}}}, "models": {}}
        raw["source"] |= self.configuration["source"]
        raw["clips"] |= self.configuration.get("clips", {})
        raw["labels"]["entities"] = {"entityseg": raw["labels"]["entities"]["entityseg"]}
        raw["labels"]["depth"] = {"depthcrafter": raw["labels"]["depth"]["depthcrafter"]}
        raw["labels"]["captions"] |= self.configuration.get("labels", {}).get("captions", {})
        raw["metrics"]["judged_runs"] = {"entities": None, "depth": None}
        raw["report"] |= {"examples": 100, "tables": [], "goals": []}
        flow = preflight.check(raw, [self.folder / "mine.yaml"])
        summaries = [self.folder / path for path in flow.report_summaries()]
        job = workflow_jobs.render_report(flow)
        render(Inputs(job, results, [], summaries, self.folder / "benchmarks"), self.folder / "report")
        return "".join(page.read_text() for page in sorted((self.folder / "report").glob("*.html")))

    def assert_nothing_ran(self) -> None:
        """No file that a hostile text asks for exists, and nothing lies outside the work directory."""
        assert {path.name for path in self.parent.iterdir()} <= {self.folder.name, "calls", "tmp"}
        made = [path.relative_to(self.folder) for path in self.folder.rglob("*")]
        assert not [path for path in (*made, *ROOT.glob("*")) if re.search("^pwned|SENTINEL", path.name)]


def files(*kinds: str) -> list[str]:
    """The single shard of each kind, of both splits."""
    endings = {"captions": "parquet"}
    return [f"results/{kind}/{split}/0.{endings.get(kind, 'h5')}" for kind in kinds for split in SPLITS]


def assert_harmless(page: str) -> None:
    """The page has no tag that texts could have brought, no script but its own, and no address outside its folder."""
    elements = Elements(page)
    assert not {"iframe", "b", "object"} & elements.tags and not elements.foreign
    assert elements.found and not [address for address in elements.found if re.match(r"(?i)\w+:|//", address)]


def _label(results: Path, split: str, clip_ids: list[str]) -> None:
    ones = np.ones((9, 64, 64), np.uint16)
    with (
        ShardWriter(results / f"entities/entityseg/{split}/0.h5", "entities", {}) as entities,
        ShardWriter(results / f"depth/depthcrafter/{split}/0.h5", "depth", {}) as depth,
    ):
        for clip_id in clip_ids:
            entities.add(clip_id, {"entity_ids": ones}, {"coverage": 1.0, "entities": 1.0})
            depth.add(clip_id, {"depth": ones})
    for shard in (entities.path, depth.path):
        write_summary(shard, shard.with_suffix(".json"))
