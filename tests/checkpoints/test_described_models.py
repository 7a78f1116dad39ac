"""A model of the hub is asked for by `udpdiff generate`: what is refused costs no weights, and what is recorded is its commit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from small_hub import SmallHub, serve

from udpdiff.checkpoints import resolve

ROOT = Path(__file__).parents[2]
FILES = ("model_index.json", "run.json", "transformer/config.json", "transformer/diffusion_pytorch_model.safetensors")
DESCRIBE = """
import argparse, json
from udpdiff.command import generate
parser = argparse.ArgumentParser()
generate.add_arguments(parser)
words = parser.parse_args(["A ball.", "--task", "seg", "--model", "lab/model@main"])
model = generate.described(words.model)
request = generate.outputs(words, model, generate.resolved(words, model)).request
print(json.dumps([request["model"], generate._pinned(words.model, model), model.tasks, model.num_frames]))
"""


def test_a_model_of_the_hub_is_judged_by_its_small_files(tmp_path):
    folder = Path(resolve("mini:udpdiff"))
    files = {name: (folder / name).read_bytes() for name in FILES}

    def told(*words: str, endpoint: str) -> subprocess.CompletedProcess:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "CHECKPOINTS"))}
        environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
        line = [sys.executable, "-m", "udpdiff", "generate", *words] if words else [sys.executable, "-c", DESCRIBE]
        return subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=environment)

    with serve(SmallHub({"lab/model": files})) as small:
        refused = told("A ball.", "--model", "lab/model", "--frames", "10", endpoint=small.endpoint)
        last = refused.stderr.splitlines()[-1]  # behind the bar of what is fetched
        assert refused.returncode == 1 and last.startswith("Got --frames 10"), refused.stderr
        unknown = told("A ball.", "--model", "lab/modle", endpoint=small.endpoint)
        assert "lab/modle: there is no such model" in unknown.stderr and len(unknown.stderr.splitlines()) == 1, (
            unknown.stderr
        )
        commit = small.commit("lab/model")
        assert [path for path in small.asked if path.endswith(".json")]
        assert not [path for path in small.asked if path.endswith(".safetensors")]
    expected = [{"name": "lab/model", "base": "mini:cogvideox", "commit": commit}, f"lab/model@{commit}"]
    found = told(endpoint="http://127.0.0.1:9")  # the hub is not reached, and the cache has it
    assert json.loads(found.stdout or "[]")[:2] == expected, found.stderr
