"""Captioners of the real classes at tiny size, random, written as checkpoint folders without network."""

from __future__ import annotations

from pathlib import Path

import torch

WORDS = """a the dog cat man woman runs walks sits red blue green grass street sky camera moves slowly left right behind
near under over tree house car ball small large bright dark morning evening and with on in is of . ,"""
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_QWEN_TOKENS = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}


def write_checkpoint(kind: str, folder: Path) -> Path:
    """A checkpoint of one model type of `captioner.FAMILIES`."""
    torch.manual_seed(0)
    model, processor = _video_llava() if kind == "video_llava" else _qwen(kind)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Far from a trained model's calm, so that what is seen decides what is said.
            if parameter.ndim > 1 and "norm" not in name:
                parameter.normal_(0, 3 / parameter.shape[-1] ** 0.5)
        model.lm_head.weight[processor.tokenizer.eos_token_id] *= 0.5  # answers of some words
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _tokenizer(special: list[str], end: str):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = dict.fromkeys(["<unk>", "<pad>", end, *special, *WORDS.split()])
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    extra = [token for token in special if token != end]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", eos_token=end, additional_special_tokens=extra
    )


def _video_llava():
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        VideoLlavaConfig,
        VideoLlavaForConditionalGeneration,
        VideoLlavaProcessor,
    )
    from transformers.models.video_llava.image_processing_video_llava import VideoLlavaImageProcessor
    from transformers.models.video_llava.video_processing_video_llava import VideoLlavaVideoProcessor

    tokenizer = _tokenizer(["<image>", "<video>"], "</s>")
    ids = {f"{what}_token_index": tokenizer.convert_tokens_to_ids(f"<{what}>") for what in ("image", "video")}
    ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=3, num_attention_heads=4, image_size=32, patch_size=8
    )
    text = LlamaConfig(vocab_size=len(tokenizer), **_TEXT, **ends)
    model = VideoLlavaForConditionalGeneration(VideoLlavaConfig(vision_config=vision, text_config=text, **ids))
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    processor = VideoLlavaProcessor(
        image_processor=VideoLlavaImageProcessor(**size),
        video_processor=VideoLlavaVideoProcessor(**size),
        tokenizer=tokenizer,
        patch_size=8,
    )
    return model, processor


def _qwen(kind: str):
    import transformers

    names = {"qwen2_5_vl": "Qwen2_5_VL", "qwen3_vl": "Qwen3VL", "qwen3_vl_moe": "Qwen3VLMoe"}
    tokenizer = _tokenizer(_QWEN_TOKENS, "<|im_end|>")
    tokenizer.chat_template = CHAT_TEMPLATE
    places = {"image": "image_pad", "video": "video_pad", "vision_start": "vision_start", "vision_end": "vision_end"}
    ids = {f"{key}_token_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>") for key, token in places.items()}
    ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_heads": 4,
        "out_hidden_size": 32,
        "patch_size": 8,
    }
    text = _TEXT | ends | {"vocab_size": len(tokenizer)}
    if kind == "qwen2_5_vl":
        vision |= {"window_size": 32, "fullatt_block_indexes": [1]}
        text |= {"rope_scaling": {"type": "default", "mrope_section": [1, 1, 2]}}
        video_processor = transformers.Qwen2VLVideoProcessor
    else:
        vision |= {"num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
        text |= {"head_dim": 8, "rope_scaling": {"rope_type": "default", "mrope_section": [2, 1, 1]}}
        video_processor = transformers.Qwen3VLVideoProcessor
    if kind == "qwen3_vl_moe":
        text |= {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    config = getattr(transformers, f"{names[kind]}Config")(vision_config=vision, text_config=text, **ids)
    model = getattr(transformers, f"{names[kind]}ForConditionalGeneration")(config)
    size = {"patch_size": 8, "size": {"shortest_edge": 16 * 16, "longest_edge": 16 * 64 * 64}}
    processor_class = transformers.Qwen2_5_VLProcessor if kind == "qwen2_5_vl" else transformers.Qwen3VLProcessor
    processor = processor_class(
        image_processor=transformers.Qwen2VLImageProcessor(**size),
        tokenizer=tokenizer,
        video_processor=video_processor(**size),
        chat_template=CHAT_TEMPLATE,
    )
    return model, processor
