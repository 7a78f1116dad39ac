"""Real components at tiny size, shared by all tests: no network, no mocks, seconds on one core."""

from __future__ import annotations

import json
import os
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from workers import ByGroup, longest_first, number_of_workers

CAPTIONS = """a an the and of is with on over near red green blue yellow white black grey large small ball box cube
cylinder cone sphere floor wall moves rolls falls entity segmentation depth estimation :"""


# CI installs all that tests need, so there a skip is a failure, but for GPUs and for what lies beside some checkouts.
MISSING_IN_CI = ("../shared", "beside the checkout", "no GPU")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if not any(words in reason for words in MISSING_IN_CI):
            report.outcome, report.longrepr = "failed", f"CI skips no test for this reason: {reason}"
    return report


def pytest_xdist_auto_num_workers(config) -> int:
    return number_of_workers(config)


def pytest_xdist_make_scheduler(config, log) -> ByGroup:
    return ByGroup(config, log)


def pytest_collection_modifyitems(config, items) -> None:
    if hasattr(config, "workerinput"):  # in one process, what fails soon should fail soon
        longest_first(items)


def pytest_terminal_summary(terminalreporter) -> None:
    """Say what tests recorded of the machine; only their reports reach this process from the others."""
    reports = (report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, []))
    for name, value in dict.fromkeys(pair for report in reports for pair in report.user_properties):
        terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(scope="session")
def forked_jobs() -> Iterator[dict[str, str]]:
    """Environment variables with which the jobs of a workflow are forked from one process that has imported everything."""
    here = Path(__file__).parent
    folder = str(here / "job_start")
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))}
    places = {"PYTHONPATH": os.pathsep.join([paths["PYTHONPATH"], str(here.parent), str(here)])}
    # A socket's path is a hundred letters at most.
    with tempfile.TemporaryDirectory(prefix="jobs", dir="/tmp") as place:
        server = subprocess.Popen(
            [sys.executable, f"{folder}/forked_jobs.py", f"{place}/socket"],
            env=os.environ | places | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        )
        while not Path(place, "socket").exists():
            assert server.poll() is None, "the server of jobs ended"
            time.sleep(0.1)
        yield paths | {"UDPDIFF_TESTS_FORK_JOBS": f"{place}/socket"}
        server.terminate()
        server.wait()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tests share few cores with each other and with other work."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_vae():
    """AutoencoderKLCogVideoX, 3 levels: 4x spatial, 4x temporal, 16 latent channels."""
    import torch
    from diffusers import AutoencoderKLCogVideoX

    torch.manual_seed(0)
    return AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 3,
        up_block_types=("CogVideoXUpBlock3D",) * 3,
        block_out_channels=(8, 8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        sample_height=64,
        sample_width=64,
        scaling_factor=0.7,
    ).eval()


@pytest.fixture(scope="session")
def tiny_tokenizer():
    """T5Tokenizer over whole words of captions, with single characters as the fallback."""
    from transformers import T5Tokenizer

    words = [(f"▁{word}", -1.0) for word in CAPTIONS.split()]
    characters = [(character, -5.0) for character in string.ascii_lowercase + string.punctuation]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    return T5Tokenizer(vocab=special + words + characters, extra_ids=0)


@pytest.fixture(scope="session")
def tiny_text_encoder(tiny_tokenizer):
    """T5EncoderModel of width 32."""
    import torch
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(1)
    config = T5Config(
        vocab_size=len(tiny_tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=1,
        num_heads=4,
        dropout_rate=0.0,
    )
    return T5EncoderModel(config).eval()


@pytest.fixture
def tiny_scheduler():
    """CogVideoXDDIMScheduler as CogVideoX-5b uses it."""
    from diffusers import CogVideoXDDIMScheduler

    return CogVideoXDDIMScheduler(
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        snr_shift_scale=1.0,
        timestep_spacing="trailing",
        clip_sample=False,
    )


# The three published families at tiny size: what differs between them is what the tests must cover.
TRANSFORMER_FAMILIES = {
    "2b_sincos": {"use_rotary_positional_embeddings": False, "patch_size": 4},
    "5b_rope": {"use_rotary_positional_embeddings": True, "patch_size": 4},
    "1.5_rope": {
        "use_rotary_positional_embeddings": True,
        "patch_size": 4,
        "patch_size_t": 2,
        "patch_bias": False,
    },
}


def build_tiny_transformer(family: str = "2b_sincos", seed: int = 2, num_attention_heads: int = 2):
    """Return a CogVideoXTransformer3DModel of one family, every parameter random (none left at its zero start)."""
    import torch
    from diffusers import CogVideoXTransformer3DModel

    torch.manual_seed(seed)
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=num_attention_heads,
        attention_head_dim=16,
        in_channels=16,
        out_channels=16,
        time_embed_dim=16,
        text_embed_dim=32,
        num_layers=2,
        sample_width=16,
        sample_height=16,
        sample_frames=9,
        max_text_seq_length=48,
        spatial_interpolation_scale=1.0,
        **TRANSFORMER_FAMILIES[family],
    )
    return transformer.eval()


@pytest.fixture
def make_tiny_transformer() -> Callable:
    """Factory of tiny CogVideoX transformers: `make_tiny_transformer(family, seed)`."""
    return build_tiny_transformer


@pytest.fixture(params=sorted(TRANSFORMER_FAMILIES))
def family(request) -> str:
    """Each published transformer family in turn."""
    return request.param


@pytest.fixture
def tiny_transformer():
    """CogVideoXTransformer3DModel of the 2B family."""
    return build_tiny_transformer()


@pytest.fixture
def tiny_components(tiny_vae, tiny_text_encoder, tiny_tokenizer, tiny_scheduler) -> dict:
    """All components of a CogVideoX pipeline but the transformer."""
    return {
        "vae": tiny_vae,
        "text_encoder": tiny_text_encoder,
        "tokenizer": tiny_tokenizer,
        "scheduler": tiny_scheduler,
    }


class Golden:
    """Reference values of the metrics, which lie beside the project; tests that need them are skipped without them."""

    folder = Path(__file__).resolve().parents[2] / "shared" / "golden" / "metrics"

    def json(self, part: str, name: str = "expected.json") -> dict:
        path = self.folder / part / name
        if not path.exists():
            pytest.skip(f"no reference values at ../shared/golden/metrics/{part}/{name}")
        return json.loads(path.read_text())

    def tensors(self, part: str, name: str) -> dict:
        from safetensors.numpy import load_file

        return load_file(self.folder / part / name)


@pytest.fixture(scope="session")
def golden() -> Golden:
    return Golden()
