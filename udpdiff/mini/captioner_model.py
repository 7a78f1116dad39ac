"""The mini captioner's parts: Video-LLaVA's own class and processor at small size, and its tokenizer of whole words.

The vision towers have the sizes of `mini:image_encoder`, whose weights they start from. It knows nothing of the training.
"""

from __future__ import annotations

from pathlib import Path

import torch
from einops import rearrange
from torch.nn import functional

from udpdiff.labelling.captioner import INSTRUCTION
from udpdiff.mini.feature_models import caption_words, vision_sizes

# 36 patches a frame: the language model reads those of eight frames, and patches of 8 px would cost twice as much.
IMAGE_SIDE, PATCH = 60, 10
NUM_FRAMES = 8  # that Video-LLaVA is shown, see `captioner.uniform_frames`
FRAME_TOKENS = (IMAGE_SIDE // PATCH) ** 2 + 1  # patches, and the class token in front of them
_SPECIAL = ("<unk>", "<pad>", "</s>", "<image>", "<video>")
_HIDDEN, _LAYERS = 128, 4
_SPACE = "▁"


def build_model():
    """The published architecture at mini size, with random weights."""
    from transformers import CLIPVisionConfig, LlamaConfig, VideoLlavaConfig, VideoLlavaForConditionalGeneration

    tokenizer = build_tokenizer()
    words = dict(zip(_SPECIAL, tokenizer.convert_tokens_to_ids(list(_SPECIAL)), strict=True))
    vision = CLIPVisionConfig(
        **vision_sizes(), image_size=IMAGE_SIDE, patch_size=PATCH, hidden_act="gelu", layer_norm_eps=1e-6
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=_HIDDEN,
        intermediate_size=2 * _HIDDEN,
        num_hidden_layers=_LAYERS,
        num_attention_heads=2,
        max_position_embeddings=1024,
        bos_token_id=None,
        eos_token_id=words["</s>"],
        pad_token_id=words["<pad>"],
    )
    config = VideoLlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=words["<image>"],
        video_token_index=words["<video>"],
        vision_feature_layer=-1,
        image_seq_length=FRAME_TOKENS - 1,
        video_seq_length=NUM_FRAMES * FRAME_TOKENS,
    )
    return VideoLlavaForConditionalGeneration(config)


def start_towers(model, folder: Path) -> None:
    """Copy the vision tower of a CLIPModel of the same width into both towers; patches may be of another size."""
    from transformers import CLIPModel

    clip = CLIPModel.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False)
    weights = clip.vision_model.state_dict()
    kernel, positions = "embeddings.patch_embedding.weight", "embeddings.position_embedding.weight"
    scale = (clip.config.vision_config.patch_size / PATCH) ** 2  # of a flat patch the same sum
    weights[kernel] = functional.interpolate(weights[kernel], (PATCH, PATCH), mode="bicubic") * scale
    whole, grid = (
        weights[positions][:1],
        rearrange(
            weights[positions][1:],
            "(h w) c -> 1 c h w",
            h=clip.config.vision_config.image_size // clip.config.vision_config.patch_size,
        ),
    )
    grid = functional.interpolate(grid, (IMAGE_SIDE // PATCH,) * 2, mode="bicubic")
    weights[positions] = torch.cat([whole, rearrange(grid, "1 c h w -> (h w) c")])
    for tower in (model.model.video_tower, model.model.image_tower):
        tower.load_state_dict(weights)


def build_processor():
    """Video-LLaVA's processor for frames of IMAGE_SIDE x IMAGE_SIDE px."""
    from transformers import VideoLlavaProcessor
    from transformers.models.video_llava.image_processing_video_llava import VideoLlavaImageProcessor
    from transformers.models.video_llava.video_processing_video_llava import VideoLlavaVideoProcessor

    size = {"size": {"shortest_edge": IMAGE_SIDE}, "crop_size": {"height": IMAGE_SIDE, "width": IMAGE_SIDE}}
    return VideoLlavaProcessor(
        image_processor=VideoLlavaImageProcessor(**size),
        video_processor=VideoLlavaVideoProcessor(**size),
        tokenizer=build_tokenizer(),
        patch_size=PATCH,
    )


def build_tokenizer():
    """A token for every word of the scenes' captions, capitalised or not, and for those of the captioner's instruction."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    marks = [word for word in caption_words() if not word.isalpha()]
    words = [word for word in caption_words() if word.isalpha()]
    instruction_words = "".join(c if c.isalpha() else " " for c in f"USER ASSISTANT {INSTRUCTION}").split()
    pieces = [*marks, ":", *(_SPACE + word for word in [*words, *map(str.capitalize, words), *instruction_words])]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys([*_SPECIAL, *pieces]))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace("\n", "")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
    tokenizer.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        pad_token="<pad>",
        eos_token="</s>",
        additional_special_tokens=["<image>", "<video>"],
    )
