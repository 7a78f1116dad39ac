"""The mini Depth Anything on frames of procedural scenes.

The network regresses disparity in one fixed scale, so that the frames of a clip agree with each other. The second stage
goes on with a checkpoint's weights on scenes as the default run's: fewer and bigger solids.
"""

from __future__ import annotations

import torch

from udpdiff.labelling.depth_anything import DepthAnything
from udpdiff.labelling.image_preparation import ImagePreparation
from udpdiff.mini.labeller import SIDE, LabellerTrainer, draw_frames, normalise, preprocessor
from udpdiff.mini.quality import depth_quality
from udpdiff.mini.scenes import DEFAULT_SCENES, VARIED_SCENES
from udpdiff.mini.training import Budget, Options, Recipe
from udpdiff.sources.scenes import SceneSettings

PATCH = 8
BATCH_SIZE = 16
DISPARITY_SCALE = 4.0  # target = DISPARITY_SCALE / z, about 0.2 (backdrop) to 1.4 (close by)
PREPROCESSOR = preprocessor("DPTImageProcessor", keep_aspect_ratio=True, ensure_multiple_of=PATCH)
PREPARATION = ImagePreparation.from_config(PREPROCESSOR, PATCH)


def build_model(hidden_size: int = 128, num_layers: int = 4):
    """The published architecture at mini size, with random weights."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    backbone = Dinov2Config(
        image_size=SIDE,
        patch_size=PATCH,
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=hidden_size // 32,
        out_indices=[max(1, round(num_layers * (index + 1) / 4)) for index in range(4)],
        reshape_hidden_states=False,
        mlp_ratio=3,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=PATCH,
        reassemble_hidden_size=hidden_size,
        neck_hidden_sizes=[16, 24, 32, 48],
        fusion_hidden_size=32,
        head_hidden_size=16,
    )
    model = DepthAnythingForDepthEstimation(config)
    # The last ReLU must start alive everywhere.
    torch.nn.init.constant_(model.head.conv3.bias, 0.4)
    return model


def disparity_loss(predicted: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """Relative L1 plus L1 of the gradients at two scales; predicted and z: (B, H, W)."""
    target = DISPARITY_SCALE / z
    loss = ((predicted - target).abs() / (target + 0.1)).mean()
    error = predicted - target
    for step in (1, 2):
        across = (error[:, :, step:] - error[:, :, :-step]).abs().mean()
        loss = loss + 0.5 * (across + (error[:, step:] - error[:, :-step]).abs().mean())
    return loss


class DepthAnythingTrainer(LabellerTrainer):
    """Depth Anything on single frames."""

    name = "depth_anything"
    build = staticmethod(build_model)
    processor = PREPROCESSOR
    truth = "exact metric depth"
    recipe = Recipe(1.5e-3)

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.model = self.model.to(memory_format=torch.channels_last)
        self.data += f"; before, of {VARIED_SCENES}" if self.second else ""

    @property
    def settings(self) -> SceneSettings:
        return DEFAULT_SCENES if self.second else VARIED_SCENES

    def loss(self, budget: Budget) -> torch.Tensor:
        images, z = draw_frames(self.scenes.video, self.scenes.z, BATCH_SIZE, self.generator)
        pixel_values = normalise(images, PREPARATION).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            predicted = self.model(pixel_values=pixel_values).predicted_depth
        return disparity_loss(predicted.float(), z.float())

    def measure(self, model, finished: bool) -> dict[str, float]:
        estimator = DepthAnything(model, PREPARATION)
        return depth_quality(estimator.estimate, self.held_out if finished else self.held_out[:32])
