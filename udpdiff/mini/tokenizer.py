"""The tokenizer of `mini:cogvideox`: a T5 tokenizer with a small unigram vocabulary counted from captions of scenes.

Words of scene captions, and some common words of other captions, become one token each; any other Latin-script text
falls apart into smaller pieces, down to single characters, so that real captions are encoded too.

The vocabulary is counted, not fitted by expectation maximisation: over a hundred distinct words the fit of `tokenizers`
splits most of them into letters (97 tokens for a caption that must fit 48), and its result varies from run to run.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter

TEXT_LENGTH = 48
_SPACE = "▁"
_SPECIAL_TOKENS = ("<pad>", "</s>", "<unk>")  # T5's order
_LATIN_1 = [chr(code) for code in range(0xA1, 0x100)]
_CHARACTERS = sorted(set(string.printable) - set(string.whitespace)) + _LATIN_1 + [_SPACE]
_SUFFIXES = """
s es ed ing er ers ly y 's tion ion al en est ment ness able ful th in an on re or ar at it is
"""
_TASK_WORDS = "entity segmentation depth estimation video"
_COMMON_WORDS = """
the an in of to with at by from as his her their its it he she they is are was be has have this that there while
and or not up down out over under into onto off near front behind next between around through across top side
man woman person people boy girl child children baby group crowd player team hand hands face head hair eyes body
dog cat horse bird fish animal cow elephant bear car truck bus train boat ship plane bike motorcycle road street
city town building house room kitchen table chair door window wall screen camera phone computer book food water
plate bowl cup bottle glass tree trees grass flower forest mountain river lake sea ocean beach sky sun snow rain
fire light field park stage shirt suit dress hat shoes black brown gray gold silver bright dark big little long
short tall young old new many several some other one two three four five wearing holding sitting standing walking
running talking speaking looking playing driving flying eating cooking making using showing riding working moving
dancing singing jumping swimming smiling cutting talks walks runs plays looks stands sits drives flies shows view
close scene background shot game music news show interview day night time outdoor indoor
"""


def build_tokenizer(captions: list[str]):
    """The tokenizer whose vocabulary is counted from these captions; the same captions give the same tokenizer."""
    from transformers import T5Tokenizer

    return T5Tokenizer(vocab=count_vocabulary(captions), extra_ids=0, model_max_length=TEXT_LENGTH)


def count_vocabulary(captions: list[str]) -> list[tuple[str, float]]:
    """(piece, log-probability) of special tokens, words by falling count, then suffixes and characters."""
    counts = Counter(word for caption in captions for word in re.findall(r"[A-Za-z]+|[.,]", caption))
    total = sum(counts.values())
    known = sorted(counts, key=lambda word: (-counts[word], word))
    extra = [word for word in (_TASK_WORDS + _COMMON_WORDS).split() if word not in counts]
    pieces = dict.fromkeys(_SPECIAL_TOKENS, 0.0)
    for word in known:
        piece = word if word in ".," else _SPACE + word
        pieces.setdefault(piece, math.log(counts[word] / total))
    rare = math.log(0.1 / total)
    for word in extra:
        pieces.setdefault(_SPACE + word, rare)
        pieces.setdefault(_SPACE + word.capitalize(), rare - 1)
    # Below any word: a word must never be cheaper in parts.
    pieces |= {piece: 2 * rare for piece in _SUFFIXES.split() if piece not in pieces}
    pieces |= {character: 3 * rare for character in _CHARACTERS if character not in pieces}
    return list(pieces.items())
