"""A run's adapter: read by diffusers' own loader, and by ours together with the layers trained in full; never half of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from diffusers import CogVideoXPipeline, CogVideoXTransformer3DModel
from safetensors.torch import load_file, save_file

from udpdiff.model.loading import load_run, widened_pipeline
from udpdiff.training.loop import train
from udpdiff.training.network import starting_transformer

pytest.importorskip("peft", reason="LoRA needs peft, the extra `lora`")

CALL = {
    "height": 64,
    "width": 64,
    "num_frames": 9,
    "num_inference_steps": 2,
    "output_type": "latent",
    "max_sequence_length": 48,
}
TASKS = {"seg": "pixelplanes", "depth": "spectral"}
ADAPTER, WIDENED = "pytorch_lora_weights.safetensors", "widened.safetensors"


@pytest.fixture(scope="module")
def make_run(base, streams, tmp_path_factory):
    """Factory of exported runs, each trained once."""
    from udpdiff.storage.dataset import LatentSource
    from udpdiff.training.settings import TrainingSettings

    runs = {}

    def make(tasks=("seg", "depth"), ema_decay=None, task_condition="embedding"):
        key = (tasks, ema_decay, task_condition)
        if key not in runs:
            folder = tmp_path_factory.mktemp("run")
            settings = TrainingSettings(
                run="multi",
                base=base,
                seed=5,
                tasks={task: 1 / len(tasks) for task in tasks},
                steps=2,
                batch_size=2,
                learning_rate=1e-2,
                lora_rank=4,
                ema_decay=ema_decay,
                task_condition=task_condition,
                validation_clips=0,
            )
            dense = {task: [streams[task]] for task in tasks}
            styles = tasks if task_condition == "text" else ("plain",)
            source = LatentSource([streams["video"]], dense, {style: [streams["plain"]] for style in styles})
            train(settings, source, folder / "state", folder / "run")
            runs[key] = folder / "run"
        return runs[key]

    return make


def test_low_rank_updates_start_from_the_seed(base, make_settings):
    """Further trainings of a run are others from the first step on."""
    starts = [
        dict(starting_transformer(make_settings(seed=seed, lora_rank=4), base).named_parameters()) for seed in (5, 5, 6)
    ]
    first, same, other = ({n: v for n, v in each.items() if "lora_A" in n} for each in starts)
    assert first and all(torch.equal(first[name], same[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)
    assert len({value.flatten()[0].item() for value in first.values()}) == len(first)


def sample(pipeline, task="depth"):
    """Return latents of all streams, side by side."""
    pipeline.set_progress_bar_config(disable=True)
    with_task = {"task": task} if task else {}
    output = pipeline("a red ball", generator=torch.Generator().manual_seed(0), **with_task, **CALL)
    return torch.cat((output.frames, output.dense_frames), dim=2) if task else output.frames


@pytest.mark.parametrize(
    "options", [{}, {"ema_decay": 0.5}, {"tasks": ("depth",)}, {"task_condition": "text"}], ids=lambda each: str(each)
)
def test_fused_into_a_freshly_widened_base_it_is_the_merged_export_bit_for_bit(base, make_run, options):
    run = make_run(**options)
    tasks = {task: TASKS[task] for task in options.get("tasks", TASKS)}
    merged, loaded = load_run(run), widened_pipeline(base, tasks, options.get("task_condition", "embedding"))
    untrained = sample(loaded)
    loaded.load_lora_weights(run / "adapter")
    torch.testing.assert_close(sample(loaded), sample(merged), rtol=0, atol=1e-5)
    loaded.fuse_lora()
    expected = merged.transformer.state_dict()
    fused = {name.replace(".base_layer", ""): value for name, value in loaded.transformer.state_dict().items()}
    assert all(torch.equal(fused[name], value) for name, value in expected.items())
    assert torch.equal(sample(loaded), sample(merged))
    assert not torch.allclose(sample(merged), untrained, atol=1e-3)


def test_unloading_leaves_the_pipeline_as_it_was(base, make_run):
    pipeline = widened_pipeline(base, TASKS)
    before, state = sample(pipeline), {name: value.clone() for name, value in pipeline.transformer.state_dict().items()}
    pipeline.load_lora_weights(str(make_run() / "adapter"), adapter_name="multi")
    assert not torch.equal(sample(pipeline), before)
    with pytest.raises(ValueError, match=r"second adapter(.|\n)*unload_lora_weights\(\) first"):
        pipeline.load_lora_weights(make_run() / "adapter")
    pipeline.unload_lora_weights()
    after = pipeline.transformer.state_dict()
    assert after.keys() == state.keys() and all(torch.equal(after[name], value) for name, value in state.items())
    assert torch.equal(sample(pipeline), before)
    pipeline.load_lora_weights(make_run() / "adapter")


def test_its_parts_can_be_switched_by_diffusers_own_calls(base, make_run):
    pipeline = widened_pipeline(base, TASKS)
    pipeline.load_lora_weights(make_run() / "adapter", adapter_name="multi")
    whole = sample(pipeline)
    pipeline.set_adapters("multi", 0.0)
    without = sample(pipeline)
    pipeline.set_adapters("multi", 1.0)
    assert torch.equal(sample(pipeline), whole) and not torch.equal(without, whole)


def test_stock_diffusers_reads_the_adapter_file(base, make_run):
    stock = CogVideoXPipeline.from_pretrained(base)
    before = sample(stock, None)
    stock.load_lora_weights(make_run() / "adapter", weight_name=ADAPTER)
    assert not torch.equal(sample(stock, None), before)
    layers = load_file(make_run() / "adapter" / ADAPTER)
    assert all("lora" in name and value.dtype == torch.float32 for name, value in layers.items())
    names = dict(stock.transformer.named_parameters())
    assert all(torch.equal(names[f"{name[12:-7]}.default_0.weight"], value) for name, value in layers.items())


def test_a_run_of_the_base_widens_nothing_and_its_adapter_is_whole(base, make_run):
    run = make_run(tasks=())
    assert {path.name for path in (run / "adapter").iterdir()} == {ADAPTER}
    merged, stock = load_run(run), CogVideoXPipeline.from_pretrained(base)
    stock.scheduler = merged.scheduler
    stock.load_lora_weights(run / "adapter")
    stock.fuse_lora()
    assert torch.equal(sample(stock, None), sample(merged, None))
    trained, untrained = merged.transformer.state_dict(), stock.transformer.state_dict()
    assert torch.equal(trained["proj_out.weight"], untrained["proj_out.weight"])


def test_a_widened_pipeline_takes_the_bases_adapter_when_told_so(base, make_run):
    pipeline = widened_pipeline(base, TASKS)
    with pytest.raises(ValueError, match=r"got no widened.safetensors(.|\n)*pass widened=False"):
        pipeline.load_lora_weights(make_run(tasks=()) / "adapter")
    stock = CogVideoXPipeline.from_pretrained(base)
    stock.scheduler = pipeline.scheduler
    for each, options in ((pipeline, {"widened": False}), (stock, {})):
        each.load_lora_weights(make_run(tasks=()) / "adapter", **options)
    assert torch.allclose(sample(pipeline)[:, :, :16], sample(stock, None), atol=1e-6)
    pipeline.unload_lora_weights()


def test_in_bfloat16_it_is_near_the_merged_export(base, make_run):
    merged = load_run(make_run(), torch.bfloat16)
    loaded = widened_pipeline(base, TASKS, dtype=torch.bfloat16)
    untrained = sample(loaded)
    loaded.load_lora_weights(make_run() / "adapter")
    assert loaded.transformer.proj_out.weight.dtype == torch.bfloat16
    away = (sample(loaded) - sample(merged)).float().norm(), (untrained - sample(merged)).float().norm()
    assert away[0] < 0.2 * away[1]


@pytest.mark.parametrize("revision", ["", "@main", "@" + 8 * "01234"])
def test_a_hub_id_loads_like_a_folder(base, make_run, tmp_path, revision):
    repository = tmp_path / "models--someone--adapter"  # the hub's cache layout, as after a download
    shutil.copytree(make_run() / "adapter", repository / "snapshots" / (8 * "01234") / "multi")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(8 * "01234")
    pipeline, expected = widened_pipeline(base, TASKS), widened_pipeline(base, TASKS)
    options = {"subfolder": "multi", "cache_dir": tmp_path, "local_files_only": True}
    pipeline.load_lora_weights(f"someone/adapter{revision}", **options)
    expected.load_lora_weights(make_run() / "adapter")
    assert torch.equal(sample(pipeline), sample(expected))


@pytest.mark.parametrize("missing", [ADAPTER, WIDENED])
def test_one_file_without_the_other_is_refused(base, make_run, tmp_path, missing):
    folder = tmp_path / "adapter"
    shutil.copytree(make_run() / "adapter", folder)
    (folder / missing).unlink()
    refuse(widened_pipeline(base, TASKS), folder, rf"got no {missing}(.|\n)*neither is of use without the other")


def test_files_of_two_trainings_are_refused(base, make_run, tmp_path):
    folder = tmp_path / "adapter"
    shutil.copytree(make_run() / "adapter", folder)
    shutil.copy2(make_run(ema_decay=0.5) / "adapter" / ADAPTER, folder / ADAPTER)
    refuse(widened_pipeline(base, TASKS), folder, "of different trainings, expected both of one")


@pytest.mark.parametrize(
    ("tasks", "condition", "message"),
    [
        ({"depth": "spectral", "seg": "pixelplanes"}, "embedding", "adapter with tasks"),
        ({"seg": "location", "depth": "spectral"}, "embedding", "adapter with tasks"),
        ({"depth": "spectral"}, "embedding", "adapter with tasks"),
        (TASKS, "text", "adapter with task_condition embedding, expected text"),
    ],
)
def test_an_adapter_of_other_tasks_is_refused(base, make_run, tasks, condition, message):
    refuse(widened_pipeline(base, tasks, condition), make_run() / "adapter", message)


def test_an_adapter_of_other_streams_is_refused(base, make_run, make_tiny_transformer):
    from udpdiff.model.expansion import expand_transformer
    from udpdiff.model.pipeline import UDPDiffPipeline

    parts = CogVideoXPipeline.from_pretrained(base).components
    parts["transformer"] = expand_transformer(parts["transformer"], 0, num_streams=3)
    pipeline = UDPDiffPipeline(**parts, tasks=TASKS, streams={"seg": ["seg"], "depth": ["depth"]})
    refuse(pipeline, make_run() / "adapter", r"adapter with streams(.|\n)*expected .'video': \[\], 'seg'")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_layers": 1}, r"transformer_blocks\.1(.|\n)*expected None"),
        ({"num_attention_heads": 4}, "of another size"),
        ({"patch_size": 2}, "patch_embed.proj.weight"),
        ({}, r"of another base: frozen weights(.|\n)*Load it into its own base"),
    ],
)
def test_an_adapter_of_another_base_is_refused(base, make_run, changes, message, tmp_path):
    shutil.copytree(base, tmp_path / "base")
    config = CogVideoXTransformer3DModel.load_config(base, subfolder="transformer")
    torch.manual_seed(77)
    CogVideoXTransformer3DModel.from_config(config | changes).save_pretrained(tmp_path / "base" / "transformer")
    refuse(widened_pipeline(str(tmp_path / "base"), TASKS), make_run() / "adapter", message)


def test_an_adapter_of_another_rank_than_it_says_is_refused(base, make_run, tmp_path):
    folder = tmp_path / "adapter"
    shutil.copytree(make_run() / "adapter", folder)
    layers = {
        name: value[:2] if "lora_A" in name else value[:, :2] for name, value in load_file(folder / ADAPTER).items()
    }
    save_file({name: value.contiguous() for name, value in layers.items()}, folder / ADAPTER)
    described(folder)
    refuse(widened_pipeline(base, TASKS), folder, r"of shape \(2, 32\), expected \(4, 32\) for rank 4")


def described(folder):
    """Write the adapter's digest into the description beside it, as one who had changed both would."""
    import hashlib
    import json

    from safetensors import safe_open

    with safe_open(folder / WIDENED, "pt") as file:
        description = json.loads(file.metadata()["udpdiff"])
    description["adapter_sha256"] = hashlib.sha256((folder / ADAPTER).read_bytes()).hexdigest()
    save_file(load_file(folder / WIDENED), folder / WIDENED, metadata={"udpdiff": json.dumps(description)})


def refuse(pipeline, folder, message):
    """Check that loading raises, and changes nothing."""
    state = {name: value.clone() for name, value in pipeline.transformer.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        pipeline.load_lora_weights(folder)
    after = pipeline.transformer.state_dict()
    assert after.keys() == state.keys() and all(torch.equal(after[name], value) for name, value in state.items())


def test_state_dicts_missing_folders_and_hotswapping_are_refused(base, make_run):
    pipeline = widened_pipeline(base, TASKS)
    with pytest.raises(ValueError, match="expected a folder or a hub id"):
        pipeline.load_lora_weights(load_file(make_run() / "adapter" / ADAPTER))
    with pytest.raises(ValueError, match="where no folder is"):
        pipeline.load_lora_weights(make_run() / "adaptor")
    with pytest.raises(ValueError, match="hotswap=True"):
        pipeline.load_lora_weights(make_run() / "adapter", hotswap=True)


def test_weights_that_lie_elsewhere_are_refused(base, make_run):
    pipeline = widened_pipeline(base, TASKS)
    pipeline.transformer.to("meta")
    with pytest.raises(ValueError, match=r"before enable_sequential_cpu_offload\(\)"):
        pipeline.load_lora_weights(make_run() / "adapter")


def test_the_page_about_it_says_what_works(base, make_run):
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    code = page.split("```python")[1].split("```")[0].replace("num_inference_steps=25", "num_inference_steps=2")
    assert "THUDM/CogVideoX-2b" in code and "results/runs/multi/adapter" in code
    code = code.replace("THUDM/CogVideoX-2b", base).replace("results/runs/multi/adapter", str(make_run() / "adapter"))
    variables = {}
    exec(code, variables)
    assert variables["output"].prediction.shape == (1, 9, 64, 64)
