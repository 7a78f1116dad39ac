"""The mini tokenizer: one token per scene word, nothing lost of other text, the same every time."""

from __future__ import annotations

import pytest

from udpdiff.mini.tokenizer import build_tokenizer, count_vocabulary

CAPTIONS = [
    "A large shiny red ball rolls left and a small cube stays. The floor is grey, the backdrop a night sky.",
    "A yellow cone and a white cylinder on a wooden floor.",
]


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(CAPTIONS)


def test_scene_words_are_single_tokens(tokenizer):
    assert tokenizer.tokenize("A red cube on a grey floor.") == [
        "▁A", "▁red", "▁cube", "▁on", "▁a", "▁grey", "▁floor", ".",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["A café's zebra jumps; 3 quick foxes!", "entity segmentation: A red ball."])
def test_other_text_survives(tokenizer, text):
    token_ids = tokenizer(text).input_ids
    assert tokenizer.unk_token_id not in token_ids
    assert tokenizer.decode(token_ids, skip_special_tokens=True) == text


def test_unknown_script_does_not_fail(tokenizer):
    assert tokenizer("日本").input_ids[-1] == tokenizer.eos_token_id


def test_empty_prompt_is_end_and_padding(tokenizer):
    assert tokenizer("", padding="max_length", max_length=4).input_ids == [1, 0, 0, 0]


def test_vocabulary_is_deterministic_and_free_of_repeats():
    first, second = count_vocabulary(CAPTIONS), count_vocabulary(list(reversed(CAPTIONS)))
    assert first == second
    pieces = [piece for piece, _ in first]
    assert len(pieces) == len(set(pieces)) and pieces[:3] == ["<pad>", "</s>", "<unk>"]


def test_survives_saving(tokenizer, tmp_path):
    from transformers import AutoTokenizer, T5TokenizerFast

    tokenizer.save_pretrained(tmp_path)
    for kind in (AutoTokenizer, T5TokenizerFast):
        again = kind.from_pretrained(tmp_path)
        assert again(CAPTIONS).input_ids == tokenizer(CAPTIONS).input_ids
