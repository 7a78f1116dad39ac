"""Lengths of prompts agree with what the pipeline's encoder makes of them."""

from __future__ import annotations

import pytest

from udpdiff.checkpoints import resolve
from udpdiff.model.text import PromptLength
from udpdiff.tasks import TASKS, task_prompt

BASE = resolve("mini:cogvideox")


@pytest.fixture(scope="module")
def length():
    return PromptLength.from_pretrained(BASE, named_tasks=list(TASKS))


def test_words_and_the_end_mark_are_counted_without_a_cut(length):
    assert length.count("") == 1
    assert length.count("A red ball.") == 5
    assert length.count("A red ball. " * 40) == 161


def test_a_caption_within_the_limit_is_never_cut_by_the_encoder(length):
    from transformers import T5Tokenizer

    caption = "ball " * (length.limit - 1)
    assert length.count(caption) == length.limit
    tokenizer = T5Tokenizer.from_pretrained(BASE, subfolder="tokenizer")
    for prompt in (caption, *(task_prompt(caption, task) for task in TASKS)):
        assert len(tokenizer(prompt).input_ids) <= 48
    assert max(length.count(task_prompt(caption, task)) for task in TASKS) == 48, "no room is wasted"


def test_a_limit_beyond_what_the_base_reads_is_refused():
    assert PromptLength.from_pretrained(BASE, 20).limit == 20
    assert PromptLength.from_pretrained(BASE, 20, ["seg", "depth"]).limit == 17
    with pytest.raises(ValueError, match=r"max_tokens=49\. Expected at most 48"):
        PromptLength.from_pretrained(BASE, 49)
