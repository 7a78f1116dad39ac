"""The architecture of the mini SAM 2: the sam2 package's own model, shrunk by hydra overrides."""

from __future__ import annotations

import torch

from udpdiff.labelling.sam2_checkpoint import build_predictor

CONFIG = "configs/sam2.1/sam2.1_hiera_t.yaml"
# Masks come at a quarter of the image size: one mask pixel per pixel of a 64 x 64 clip.
IMAGE_SIZE, EMBED_DIM, WIDTH, MEMORY_WIDTH = 256, 24, 96, 48
MASK_DECODER_MLP_DIM = 256
# Every entity of a clip is tracked, so an entity that leaves loses its pixels to the others: neither object
# scores (which replace masks by a constant) nor object pointers are needed. Several candidate masks answer a single
# point, as in the published models, but not while tracking.
SWITCHED_OFF = (
    "use_obj_ptrs_in_encoder",
    "proj_tpos_enc_in_obj_ptrs",
    "add_tpos_enc_to_obj_ptrs",
    "use_signed_tpos_enc_to_obj_ptrs",
    "use_mlp_for_obj_ptr_proj",
    "pred_obj_scores",
    "pred_obj_scores_mlp",
    "fixed_no_obj_ptr",
    "no_obj_embed_spatial",
    "multimask_output_for_tracking",
    "use_multimask_token_for_obj_ptr",
)
_GRID = IMAGE_SIZE // 16
_ATTENTION = {
    "embedding_dim": WIDTH,
    "dropout": 0.0,
    "feat_sizes": f"[{_GRID},{_GRID}]",
    "rope_theta": 100.0,  # the stock one, 10,000, is for 64 x 64 places; with 16 x 16 most of its waves would be flat
}
# What differs from sam2.1_hiera_t, by the part of the model.
CHANGES = {
    "": {
        "image_size": IMAGE_SIZE,
        "num_maskmem": 3,
        "non_overlap_masks_for_mem_enc": True,  # competing masks enter the memory without overlap
        **dict.fromkeys(SWITCHED_OFF, False),
    },
    "image_encoder.": {"scalp": 0},
    "image_encoder.trunk.": {
        "embed_dim": EMBED_DIM,
        "stages": "[1,2,2]",
        "window_spec": f"[8,8,{_GRID}]",
        "q_pool": 2,
        "global_att_blocks": "[]",
        "window_pos_embed_bkg_spatial_size": f"[{_GRID},{_GRID}]",
    },
    "image_encoder.neck.": {
        "d_model": WIDTH,
        "position_encoding.num_pos_feats": WIDTH,
        "backbone_channel_list": f"[{4 * EMBED_DIM},{2 * EMBED_DIM},{EMBED_DIM}]",
        "fpn_top_down_levels": "[0,1,2]",
    },
    "memory_attention.": {"d_model": WIDTH, "num_layers": 2},
    "memory_attention.layer.": {
        "d_model": WIDTH,
        "dim_feedforward": 2 * WIDTH,
        "dropout": 0.0,
        "cross_attention.kv_in_dim": MEMORY_WIDTH,
    },
    "memory_attention.layer.self_attention.": _ATTENTION,
    "memory_attention.layer.cross_attention.": _ATTENTION,
    "memory_encoder.": {
        "in_dim": WIDTH,
        "out_dim": MEMORY_WIDTH,
        "position_encoding.num_pos_feats": MEMORY_WIDTH,
        "mask_downsampler.embed_dim": WIDTH,
        "mask_downsampler.kernel_size": 4,
        "mask_downsampler.stride": 4,
        "mask_downsampler.padding": 0,
        "fuser.num_layers": 1,
        "fuser.layer.dim": WIDTH,
        "fuser.layer.layer_scale_init_value": 0.1,
    },
}


def model_overrides() -> list[str]:
    """Hydra overrides that shrink sam2.1_hiera_t to about 1.1 M parameters, with mask decoders of `MASK_DECODER_MLP_DIM`."""
    return [
        f"++model.{part}{name}={str(value).lower() if isinstance(value, bool) else value}"
        for part, changes in CHANGES.items()
        for name, value in changes.items()
    ]


def build_model(seed: int):
    """The mini predictor with random weights; memory attention starts by looking at the same place."""
    torch.manual_seed(seed)
    model = build_predictor(CONFIG, model_overrides(), mask_decoder_mlp_dim=MASK_DECODER_MLP_DIM)
    for layer in model.memory_attention.layers:
        # Equal constant biases make the rotary score largest where query and memory positions agree.
        torch.nn.init.constant_(layer.cross_attn_image.q_proj.bias, 1.0)
        torch.nn.init.constant_(layer.cross_attn_image.k_proj.bias, 1.0)
    return model
