"""The parts of `mini:depthcrafter`: the published classes at mini size, with random weights.

Knows shapes alone; the trainers know objectives and data.
"""

from __future__ import annotations

from pathlib import Path

from udpdiff.labelling.depthcrafter import CLIP_SIDE

SIDE, NUM_FRAMES = 64, 9
LATENT_CHANNELS = 4
VAE_WIDTHS = (32, 32, 32)  # three levels: latents of 16 x 16
UNET_WIDTHS = (32, 64)  # the classes' group norms take multiples of 32
EMBEDDING_WIDTH = 32


def build_vae():
    """4x smaller latents of every frame by itself; the decoder looks across frames."""
    from diffusers import AutoencoderKLTemporalDecoder

    return AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D",) * len(VAE_WIDTHS),
        block_out_channels=VAE_WIDTHS,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        sample_size=SIDE,
        scaling_factor=1.0,
        force_upcast=False,
    )


def load_vae(folder: Path):
    """A trained VAE, in float32."""
    from diffusers import AutoencoderKLTemporalDecoder

    return AutoencoderKLTemporalDecoder.from_pretrained(folder).float()


def build_unet():
    """Two levels; space and time attend in the middle, at 8 x 8."""
    from udpdiff.labelling.depthcrafter_unet import DepthCrafterUNet

    return DepthCrafterUNet(
        sample_size=SIDE // 4,
        in_channels=2 * LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlockSpatioTemporal",) * len(UNET_WIDTHS),
        up_block_types=("UpBlockSpatioTemporal",) * len(UNET_WIDTHS),
        block_out_channels=UNET_WIDTHS,
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=3 * 8,
        layers_per_block=1,
        cross_attention_dim=EMBEDDING_WIDTH,
        num_attention_heads=2,
        num_frames=NUM_FRAMES,
    )


def build_image_encoder():
    """One layer over 7 x 7 patches of the 224 px that DepthCrafter shows its image encoder."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=CLIP_SIDE,
        patch_size=32,
        projection_dim=EMBEDDING_WIDTH,
    )
    return CLIPVisionModelWithProjection(config)


def build_scheduler():
    """The noise levels of Stable Video Diffusion, which DepthCrafter keeps.

    Source: stabilityai/stable-video-diffusion-img2vid-xt, scheduler/scheduler_config.json.
    """
    from diffusers import EulerDiscreteScheduler

    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        use_karras_sigmas=True,
        sigma_min=0.002,
        sigma_max=700.0,
        timestep_spacing="leading",
        timestep_type="continuous",
        steps_offset=1,
    )
