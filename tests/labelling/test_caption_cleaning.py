"""Answers of captioners become captions, are refused, or are cut, case by case."""

from __future__ import annotations

import pytest

from udpdiff.clip import RejectedClip
from udpdiff.labelling.caption_cleaning import clean_caption, cut_to_tokens, find_loop, split_sentences, usable_caption

CLEANED = [
    ("The video shows a man riding a horse.", "A man riding a horse."),
    ("This video features two dogs on a beach.", "Two dogs on a beach."),
    ("the short video clip depicts a red car.", "A red car."),
    ("The footage captures waves.", "Waves."),
    ("In this video, we can see a woman cooking.", "A woman cooking."),
    ("In the video, a boy jumps.", "A boy jumps."),
    ("The video begins with a close-up of a hand.", "A close-up of a hand."),
    ("The video appears to be a lesson on knots.", "A lesson on knots."),
    ("The video is a tour of a house.", "A tour of a house."),
    ("The video is dark.", "The video is dark."),
    ("A video of a cat asleep.", "A cat asleep."),
    ("A film of dust covers the table.", "A film of dust covers the table."),
    ("Sure! Here is a detailed description of the video: a cat sleeps.", "A cat sleeps."),
    ("Sure-footed goats climb a cliff.", "Sure-footed goats climb a cliff."),
    ("**Description:** A `red` ball __rolls__.", "A red ball rolls."),
    ("ASSISTANT: The video shows\na tree", "A tree"),
    ("## Summary\n\nA man walks. He sits.", "A man walks. He sits."),
    ("- a dog\n- a cat\n\n1. They run.", "A dog. a cat. They run."),
    ('"A dog runs."', "A dog runs."),
    ("A dog\t runs\u200b  <|im_end|>fast</s>.\0", "A dog runs fast."),
    ("<b>A dog</b> where x < 3.", "A dog where x < 3."),
    ("A man walks. Then the camera pans to the", "A man walks."),
    ("A man walks without end mark", "A man walks without end mark"),
    ('He says "stop." The dog stops."', 'He says "stop." The dog stops."'),
    ("The video shows", ""),
    (" \n ", ""),
    ("Katze auf dem Dach – schön.", "Katze auf dem Dach – schön."),
]


@pytest.mark.parametrize("said, caption", CLEANED)
def test_lead_ins_and_markup_go(said, caption):
    assert clean_caption(said) == caption


@pytest.mark.parametrize("caption", [caption for _, caption in CLEANED])
def test_what_is_clean_stays(caption):
    assert clean_caption(caption) == caption


NATURAL = (
    "A man in a red coat walks along a wet street at night while cars pass him. The camera follows him from behind, then "
    "turns to the shop windows, where a woman in a blue dress waves at a dog. The dog runs to the man, and the man walks on."
)


@pytest.mark.parametrize(
    "text, loops",
    [
        (NATURAL, False),
        ("Round and round and round it goes, very very very fast.", False),
        ("A red ball, a blue ball, a green ball and a grey ball lie near a red wall.", False),
        ("", False),
        ("the the the the", True),
        ("A dog runs and runs and runs and runs and runs.", True),
        ("The man walks. The man walks! the man walks", True),
        (
            f"{NATURAL} The sun sets slowly over the sea. The sun sets slowly over the sea. The sun sets slowly over",
            False,
        ),
        (f"{NATURAL} {'The sun sets slowly over the sea. ' * 3}", True),
        # The same sentence with a changing word, as models count things.
        (" ".join(f"There is a tree on the left side of frame {n}." for n in "abcdefgh"), True),
        ("hahahahahahahahahaha", True),
        ("A cat. ___________________ !", True),
        ("狗狗狗狗狗狗狗狗狗", True),
    ],
)
def test_loops_are_found(text, loops):
    assert bool(find_loop(text)) == loops, find_loop(text)


def test_a_loop_is_told_in_words():
    assert find_loop("A dog. The cat sits, the cat sits, the cat sits") == "'the cat sits' 3 times in a row"


@pytest.mark.parametrize(
    "said, reason",
    [
        ("", "empty caption: ''"),
        ("The video shows", "empty caption"),
        ("!?..", "empty caption"),
        ("A dog.", "empty caption: 'A dog.', 3 words needed"),
        ("A dog. It runs it runs it runs it runs", "looping caption: 'it runs' 4 times in a row"),
    ],
)
def test_useless_answers_are_refused(said, reason):
    with pytest.raises(RejectedClip, match=reason.replace("?", r"\?")):
        usable_caption(said)


def test_a_usable_answer_comes_back_clean():
    assert usable_caption("The video shows a dog that runs.") == "A dog that runs."


def words(text: str) -> int:
    """Stands for a tokenizer: a token per word and the end mark."""
    return len(text.split()) + 1


@pytest.mark.parametrize(
    "text, limit, cut",
    [
        ("One two. Three four. Five.", 6, ("One two. Three four. Five.", 6, 0)),
        ("One two. Three four. Five.", 5, ("One two. Three four.", 5, 1)),
        ("One two. Three four. Five.", 4, ("One two.", 3, 3)),
        ("One two three four.", 3, ("One two", 3, 2)),
        ("One two.", 1, ("", 1, 2)),
        ("", 1, ("", 1, 0)),
    ],
)
def test_captions_are_cut_between_sentences_else_words(text, limit, cut):
    assert cut_to_tokens(text, words, limit) == cut


def test_words_without_gaps_are_cut_between_letters():
    assert cut_to_tokens("abcdef", lambda text: len(text) + 1, 4) == ("abc", 4, 3)


def test_a_limit_that_nothing_meets_is_refused():
    with pytest.raises(ValueError, match="max_tokens=0"):
        cut_to_tokens("One", words, 0)


@pytest.mark.parametrize(
    "text, sentences",
    [
        ("A dog. It runs! Why? Now", ["A dog.", "It runs!", "Why?", "Now"]),
        ("Mr. Smith and J. Doe sit. They eat 3.5 pies.", ["Mr. Smith and J. Doe sit.", "They eat 3.5 pies."]),
        ('He says "stop." She stops.', ['He says "stop."', "She stops."]),
        ("", [""]),
    ],
)
def test_sentences_are_told_apart(text, sentences):
    assert split_sentences(text) == sentences
