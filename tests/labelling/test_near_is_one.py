"""On a plane that comes nearer downwards, every labeller's depth grows downwards: near is 1, whatever a network gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

from udpdiff.clip import GROUND_ID
from udpdiff.config.labels import DepthAnythingEstimator, DepthCrafterEstimator
from udpdiff.labelling.depth import depth_steps, load_estimator
from udpdiff.labelling.depth_anything import DepthAnything
from udpdiff.labelling.depthcrafter import DepthCrafter
from udpdiff.labelling.image_preparation import ImagePreparation
from udpdiff.sources.scenes import SceneSettings, render_clip
from udpdiff.tasks import get_task
from udpdiff.tasks.depth import aligned_to_truth

ESTIMATORS = {
    "depth_anything": DepthAnythingEstimator(model="depth_anything", checkpoint="mini:depth_anything"),
    "depthcrafter": DepthCrafterEstimator(model="depthcrafter", checkpoint="mini:depthcrafter", num_inference_steps=2),
}


@pytest.fixture(scope="module")
def scene():
    """A plane, with one small solid on it."""
    return render_clip(SceneSettings(64, 64, 9, 8.0, min_solids=1, max_solids=1), seed=10_000_300)


def rise(depth: np.ndarray, scene) -> float:
    """Correlation of depth (T, H, W) on the plane with the row, which grows downwards."""
    plane = scene.entity_ids == GROUND_ID
    rows = np.broadcast_to(np.arange(64)[:, None], depth.shape)
    return float(np.corrcoef(depth[plane], rows[plane])[0, 1])


def test_the_truth_of_the_scenes(scene):
    assert rise(1 / scene.z, scene) > 0.95 and rise(scene.z, scene) < -0.8
    exact = (1 / scene.z - 1 / scene.z.max()) / (1 / scene.z.min() - 1 / scene.z.max())
    np.testing.assert_allclose(aligned_to_truth(exact, scene.z), scene.z, rtol=5e-3)
    truth = {"z": scene.z, "flow": scene.flow, "entity_ids": scene.entity_ids}
    task = get_task("depth")
    assert task.compare_with_truth(exact, truth, task.Options())["depth_delta1"] > 0.999
    # A fit turns what is upside down, with a scale below 0; figures without one do not.
    assert (
        task.compare(exact, exact)["depth_delta1_unaligned"]
        == 1
        > 2 * task.compare(1 - exact, exact)["depth_delta1_unaligned"]
    )


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_and_what_is_stored_of_them(scene, name):
    steps = depth_steps(load_estimator(ESTIMATORS[name], "cpu"))
    stored = steps.finish(steps.model(steps.prepare(scene.video))).arrays["depth"]
    assert stored.dtype == np.uint16 and rise(stored, scene) > 0.8
    assert rise(get_task("depth").from_labels(stored, None), scene) > 0.8


def plane_network(kind: str) -> DepthAnythingForDepthEstimation:
    """A network that gives nothing; what a checkpoint of its kind would give is put in its place."""
    backbone = Dinov2Config(image_size=28, patch_size=7, hidden_size=8, num_hidden_layers=4, num_attention_heads=1,
                            out_indices=[1, 2, 3, 4], reshape_hidden_states=False)  # fmt: skip
    sizes = {"patch_size": 7, "reassemble_hidden_size": 8, "neck_hidden_sizes": [8] * 4, "fusion_hidden_size": 8}
    config = DepthAnythingConfig(
        backbone_config=backbone, head_hidden_size=8, depth_estimation_type=kind, max_depth=80, **sizes
    )
    return DepthAnythingForDepthEstimation(config)


def test_a_network_of_distances_is_refused_from_a_folder_and_from_hand(tmp_path):
    message = r"depth_estimation_type='metric', which gives distances. Expected a relative one"
    model = plane_network("metric")
    with pytest.raises(ValueError, match=message):
        DepthAnything(model, ImagePreparation(multiple=7))
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=message):
        DepthAnything.from_pretrained(tmp_path, device="cpu")
    with pytest.raises(ValueError, match=message):
        load_estimator(DepthAnythingEstimator(model="depth_anything", checkpoint=str(tmp_path)), "cpu")
    DepthAnything(plane_network("relative"), ImagePreparation(multiple=7))


def test_an_image_encoder_of_another_size_is_shown_that_size(monkeypatch):
    """The published one takes 224 pixels."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    crafter = DepthCrafter.from_pretrained("mini:depthcrafter", device="cpu", dtype=torch.float32)
    own = crafter.image_encoder.config.to_dict() | {"image_size": 96}
    crafter.image_encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**own)).eval()
    embeddings, _ = crafter.condition(torch.rand(2, 3, 64, 64), torch.zeros(2, 3, 64, 64))
    assert embeddings.shape == (2, own["projection_dim"])
