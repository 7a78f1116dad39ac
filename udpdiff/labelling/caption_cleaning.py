"""From what a captioner says to a caption: lead-ins and markup removed, useless answers refused, cut to a token limit.

Works on text alone; it knows no model, and the tokenizer only as a function that counts.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from udpdiff.clip import RejectedClip, Rejection

MIN_WORDS = 3
# A piece said this often in a row is a loop; pieces of one or two words may come more often ("on and on and on").
REPEATS, REPEATS_OF_SHORT = 3, 4
# Loops with small changes: in a text of some length, this share of the runs of four words must differ.
MIN_DISTINCT_SHARE, MEASURED_WORDS = 0.6, 24

_FILM = r"(?:\w+ ){0,2}(?:video|clip|footage|film|scene|sequence)"
_SHOWS = (
    r"(?:(?:appears|seems) to )?(?:be(?= an? )|is(?= an? )|shows?|features?|depicts?|captures?|displays?|presents?|"
    r"portrays?|showcases?|illustrates?|consists of|focus(?:es)? on|(?:begins|starts|opens)(?: with| on| by showing)?)"
)
# At the start of an answer, case ignored; each may follow another.
_LEAD_INS = [
    re.compile(pattern + r"(?:[\s,:]+|$)", re.IGNORECASE)
    for pattern in (
        r"assistant:",
        r"(?:sure|certainly|of course)[.!,]",
        r"here(?: is|'s|’s) (?:a|the|my) [^.:\n]*[.:]",
        r"(?:\w+ ){0,2}(?:description|caption|summary):",
        rf"(?:in|throughout) (?:the|this) {_FILM}\b",
        rf"(?:the|this) {_FILM} {_SHOWS}(?: that)?\b",
        r"(?:this is )?an? (?:\w+ ){0,2}(?:video|clip|footage) (?:of|showing|that shows)\b",
        r"(?:we|you|one)(?: can)? see",
    )
]
_HEADING = re.compile(r"^\s*#+\s.*$", re.MULTILINE)
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+", re.MULTILINE)
_TAG = re.compile(r"</?[a-zA-Z|][^<>\n]{0,60}>")
_EMPHASIS = re.compile(r"[*`]+|__+")
# Items of a list and lines that begin like a sentence; other line breaks are blanks.
_LINE_END = re.compile(r"(?<=[\w)\"'])\s*\n\s*(?=[-*•]\s|\d+[.)]\s|[A-Z])")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!\bMr\.)(?<!\bMrs\.)(?<!\bDr\.)(?<!\b[A-Z]\.)[\"')\]”’]*\s+")
_FINISHED = re.compile(r"[.!?][\"')\]”’]*$")
_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_LETTER_LOOP = re.compile(r"(\S{1,8}?)\1{7,}")


class CutCaption(NamedTuple):
    """text; tokens: how long it is; cut_tokens: how much longer it was."""

    text: str
    tokens: int
    cut_tokens: int


def usable_caption(text: str) -> str:
    """The caption in a captioner's answer; RejectedClip for an answer that says nothing or loops."""
    # An answer that loops often ends inside a sentence, which cleaning would drop together with the evidence.
    if loop := find_loop(text):
        raise RejectedClip(Rejection.LOOPING_CAPTION, loop)
    caption = clean_caption(text)
    if len(_WORD.findall(caption)) < MIN_WORDS:
        raise RejectedClip(Rejection.EMPTY_CAPTION, f"{text[:60]!r}, {MIN_WORDS} words needed")
    return caption


def clean_caption(text: str) -> str:
    """One paragraph without markup, lead-ins ("The video shows") and an unfinished last sentence."""
    text = unicodedata.normalize("NFC", text)
    text = "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else " " for c in text)
    for pattern, put in ((_HEADING, ""), (_TAG, ""), (_LINE_END, ".\n"), (_BULLET, ""), (_EMPHASIS, "")):
        text = pattern.sub(put, text)
    text = " ".join(text.split())
    if len(text) > 1 and text[0] + text[-1] in ('""', "''", "“”"):
        text = text[1:-1].strip()
    text = _drop_lead_ins(text)
    *finished, last = split_sentences(text)
    if finished and not _FINISHED.search(last):
        text = " ".join(finished)
    return text[:1].upper() + text[1:]


def find_loop(text: str) -> str:
    """What a text says over and over, in words for people; "" where it does not loop."""
    if letters := _LETTER_LOOP.search(text):
        return f"{letters[1]!r} without end"
    words = _WORD.findall(text.casefold())
    for length in range(1, len(words) // REPEATS + 1):
        limit = REPEATS_OF_SHORT if length < 3 else REPEATS
        start, matches = 0, 0
        for index in range(len(words) - length):
            if words[index] != words[index + length]:
                start, matches = index + 1, 0
                continue
            matches += 1
            if matches >= (limit - 1) * length:
                return f"{' '.join(words[start : start + length])[:80]!r} {limit} times in a row"
    runs = list(zip(words, words[1:], words[2:], words[3:], strict=False))
    share = len(set(runs)) / max(1, len(runs))
    if len(words) >= MEASURED_WORDS and share < MIN_DISTINCT_SHARE:
        return f"{share:.0%} of the runs of four words differ, {MIN_DISTINCT_SHARE:.0%} needed"
    return ""


def cut_to_tokens(text: str, count_tokens: Callable[[str], int], max_tokens: int) -> CutCaption:
    """As many whole sentences from the start as fit; where not one does, whole words, else letters.

    count_tokens: the tokens of a text, end mark included. ValueError where not even the empty text fits.
    """
    whole = count_tokens(text)
    if whole <= max_tokens:
        return CutCaption(text, whole, 0)
    if count_tokens("") > max_tokens:
        raise ValueError(f"Got max_tokens={max_tokens}. Expected more than {count_tokens('')}, which no text needs.")
    for pieces, glue in ((split_sentences(text), " "), (text.split(), " "), (list(text), "")):

        def tokens_of(count: int, pieces=pieces, glue=glue) -> int:
            return count_tokens(glue.join(pieces[:count]))

        fitting = bisect_right(range(1, len(pieces) + 1), max_tokens, key=tokens_of)
        if fitting:
            cut = glue.join(pieces[:fitting])
            return CutCaption(cut, count_tokens(cut), whole - count_tokens(cut))
    return CutCaption("", count_tokens(""), whole - count_tokens(""))


def split_sentences(text: str) -> list[str]:
    """The sentences of a paragraph, at least one, by their end marks; a few abbreviations are known."""
    ends = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    return [text[start:end].strip() for start, end in pairwise(ends) if end > start] or [""]


def _drop_lead_ins(text: str) -> str:
    while True:
        matches = (pattern.match(text) for pattern in _LEAD_INS)
        lead_in = next((match for match in matches if match), None)
        if lead_in is None:
            return text
        text = text[lead_in.end() :]
