"""Which words of a captioner become which caption."""

from __future__ import annotations

from types import SimpleNamespace

from udpdiff.labelling.caption_cleaning import CutCaption
from udpdiff.labelling.captions import described_captions

WORDS = "A red ball rolls left. It meets a cube. The camera is still."


def test_the_first_sentence_is_the_brief_caption_where_the_source_has_none():
    def captions(of_source: str, prompt: str = ""):
        words = {"brief": of_source, "detailed": prompt}
        clips = SimpleNamespace(read=lambda clip_id, name: words[name], attrs={"source": "films"})
        return described_captions(clips, "clip", WORDS, "mine", lambda text: CutCaption(text, len(text.split()), 0))

    brief, detailed, prompt = captions("")
    assert prompt == WORDS
    assert (brief.text, brief.source) == ("A red ball rolls left.", "first sentence of detailed caption")
    assert (detailed.text, detailed.source, detailed.tokens) == (WORDS, "mine", 13)
    brief, again, prompt = captions("A ball.", "A red ball, a cube.")
    assert prompt == "A red ball, a cube.", "the source's words are what is asked for"
    assert (brief.text, brief.source) == ("A ball.", "films") and again == detailed
