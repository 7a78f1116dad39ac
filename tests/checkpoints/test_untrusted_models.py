"""Folders of models may come from anyone: no code in them runs, whatever is answered, and nothing is unpickled."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from udpdiff.checkpoints import resolve

ROOT = Path(__file__).parents[2]
SOURCES = [path for room in ("udpdiff", "scripts", "benchmarks") for path in sorted((ROOT / room).rglob("*.py"))]
# Ours, which load by the others.
OURS = {
    "Captioner", "CropFormer", "DepthAnything", "DepthCrafter", "EntityLabeller", "EntitySegmenter", "ImageEncoder",
    "ImagePreparation", "MaskTracker", "PointGridSegmenter", "PromptEncoder", "PromptLength", "SubjectEncoder",
    "UDPDiffPipeline", "VideoMAE", "kind", "KINDS[kind]",
}  # fmt: skip
# Single classes of diffusers, which look for no code and do not know the word.
SINGLE = {
    "AutoencoderKLCogVideoX", "AutoencoderKLTemporalDecoder", "CogVideoXDDIMScheduler", "CogVideoXTransformer3DModel",
    "DepthCrafterUNet", "EulerDiscreteScheduler", "network",
}  # fmt: skip


def calls(*names: str):
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
                yield pytest.param(node, id=f"{path.relative_to(ROOT)}:{node.lineno}")


def said(call: ast.Call, name: str):
    return next((ast.unparse(word.value) for word in call.keywords if word.arg == name), None)


@pytest.mark.parametrize("call", calls("from_pretrained"))
def test_every_loading_call_says_that_it_trusts_no_code(call):
    if ast.unparse(call.func.value) not in OURS | SINGLE:
        assert said(call, "trust_remote_code") == "False", ast.unparse(call)


def test_no_pipeline_of_somebody_s_own_is_asked_for():
    text = "".join(path.read_text() for path in SOURCES)
    assert "trust_remote_code=True" not in text and "custom_pipeline" not in text and "import pickle" not in text


@pytest.mark.parametrize("call", calls("load"))
def test_nothing_is_unpickled(call):
    loader = ast.unparse(call.func)
    if loader == "torch.load":
        assert said(call, "weights_only") == "True"
    if loader == "np.load":
        assert said(call, "allow_pickle") == "False"


EVIL = """
from pathlib import Path
Path({mark!r}).touch()
class Evil:
    @classmethod
    def from_pretrained(cls, *arguments, **options):
        return cls()
"""
AUTO = (
    "AutoConfig",
    "AutoModel",
    "AutoModelForImageTextToText",
    "AutoProcessor",
    "AutoImageProcessor",
    "AutoTokenizer",
)
LOADERS = {
    "subject_encoder": "from udpdiff.metrics.features import SubjectEncoder as Kind",
    "image_encoder": "from udpdiff.metrics.features import ImageEncoder as Kind",
    "video_encoder": "from udpdiff.metrics.video_encoders import VideoMAE as Kind",
    "depth_anything": "from udpdiff.labelling.depth_anything import DepthAnything as Kind",
    "cropformer": "from udpdiff.labelling.cropformer import CropFormer as Kind",
    "segmenter": "from udpdiff.labelling.segmenter import EntitySegmenter as Kind",
    "captioner": "from udpdiff.labelling.captioner import Captioner as Kind",
    "depthcrafter": "from udpdiff.labelling.depthcrafter import DepthCrafter as Kind",
    "text": "from udpdiff.model.text import PromptEncoder as Kind",
    "length": "from udpdiff.model.text import PromptLength as Kind",
    "pipeline": "from udpdiff import UDPDiffPipeline as Kind",
    "run": "from udpdiff.model.loading import load_run as load; Kind = type('Run', (), dict(from_pretrained=staticmethod(load)))",
    "vae": "from udpdiff.model.loading import load_vae as load; Kind = type('Vae', (), dict(from_pretrained=staticmethod(load)))",
}
SHIPPED = {"segmenter": "cropformer", "captioner": "cropformer"} | dict.fromkeys(
    ("text", "length", "pipeline", "run", "vae"), "cogvideox"
)


def poison(folder: Path, name: str, mark: Path) -> Path:
    """A copy of a mini checkpoint with code in every part, which every description names."""
    copy = folder / name
    shutil.copytree(
        resolve(f"mini:{SHIPPED.get(name, name)}"), copy, ignore=shutil.ignore_patterns("training*", "*.svg")
    )
    for place in {copy, *(path.parent for path in copy.rglob("*.json"))}:
        (place / "evil.py").write_text(EVIL.format(mark=str(mark)))
        (place / "custom_generate").mkdir()
        (place / "custom_generate" / "generate.py").write_text(EVIL.format(mark=str(mark)))
    for path in copy.rglob("*config.json"):
        described = json.loads(path.read_text())
        described["auto_map"] = dict.fromkeys(AUTO, "evil.Evil")
        if name == "captioner":
            described["model_type"] = "evil"
        path.write_text(json.dumps(described))
    if name == "run":
        (copy / "run.json").write_text(json.dumps({"tasks": {}, "export": "pipeline"}))
    if name in ("run", "pipeline", "text"):
        parts = json.loads((copy / "model_index.json").read_text())
        parts |= {"_class_name": ["evil", "Evil"], "scheduler": ["evil", "Evil"], "text_encoder": ["evil", "Evil"]}
        (copy / "model_index.json").write_text(json.dumps(parts))
    return copy


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """What became of each, loaded one after the other in a process that answers yes to every question."""
    folder = tmp_path_factory.mktemp("untrusted")
    lines = ["import sys, traceback"]
    for name, source in LOADERS.items():
        place = poison(folder, name, folder / f"{name}.ran")
        lines += [source, "try:", f"    Kind.from_pretrained({str(place)!r}); print({name!r}, 'loaded')"]
        lines += ["except Exception as error:", f"    print({name!r}, type(error).__name__, *str(error).split())"]
    command = [sys.executable, "-c", "\n".join(lines)]
    environment = {
        "PYTHONPATH": str(ROOT),
        "HF_HOME": str(folder / "hub"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(command, capture_output=True, text=True, input="y\n" * 100, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    told = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.split(" ", 1)[0] in LOADERS)
    return folder, told


@pytest.mark.parametrize("name", LOADERS)
def test_code_beside_weights_is_not_run(loaded, name):
    folder, told = loaded
    assert not (folder / f"{name}.ran").exists(), told[name]
    if name not in ("captioner", "pipeline", "run", "text"):
        assert told[name] == "loaded", "the weights are good"
    else:
        assert "loaded" not in told[name], "what cannot be had without the code is refused"
