"""Lines on stderr in which a command warns of a request that it can fulfil only in part."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from udpdiff.model.description import Description


def say(sentence: str | None) -> None:
    """Print a line that is no result; nothing for None."""
    if sentence:
        print(sentence, file=sys.stderr, flush=True)


def strange_to_mini(prompt: str, model: str, base: str | None) -> str | None:
    """Return the line for a prompt unlike all that a mini model has read; None for other models and prompts.

    That is, one with words that it has never read, or without what all its captions have (seen at `mini:udpdiff`, four seeds and
    ten steps: "A blue cube spins." shows no cube in three, nor with a described floor; two solids on a floor always show).
    """
    from udpdiff.sources.scene_words import EXAMPLE, lacks_solids_or_floor, unknown_words
    from udpdiff.sources.scenes import SHAPES

    if not (base or model).startswith("mini:"):
        return None
    if not (unknown := unknown_words(prompt)):
        if not lacks_solids_or_floor(prompt):
            return None
        return (
            f"{model} was trained on scenes of two solids or more on a floor, with descriptions such as '{EXAMPLE}' Prompts"
            " that name fewer solids, or no floor, often give an empty or blurred scene."
        )
    shapes = f"{', '.join(f'{shape}s' for shape in SHAPES[:-1])} and {SHAPES[-1]}s"
    return (
        f"{model} is a mini model, whose base learnt from captions of rendered scenes alone ({shapes} on a floor) and has never"
        f" read {_listed(unknown)}: what comes of them means little. `udpdiff generate --help` has its words."
    )


def other_size(model: str, described: Description, height: int, width: int, num_frames: int) -> str | None:
    """Return the line for a size that a model is not for; None for its own, and for models of any size.

    Which is its base's: a run that was trained at another keeps the config.
    """
    own = (described.height, described.width, described.num_frames)
    if not described.one_size or (height, width, num_frames) == own:
        return None
    return (
        f"{model} is for {described.width} x {described.height} pixels and {described.num_frames} frames, as its config has"
        f" it: {width} x {height} and {num_frames} mean little unless it was trained at them."
    )


def cut(prompt: str, tokenizer: Any, most: int) -> str | None:
    """Return the line for a prompt that is longer than a model reads; None for one that is not.

    Args:
        prompt: As the text encoder is given it.
        tokenizer: Of the model.
        most: Tokens that the model reads, the end mark included.
    """
    words = prompt.split()

    def tokens(count: int) -> int:
        return len(tokenizer(" ".join(words[:count]), verbose=False).input_ids)

    if (whole := tokens(len(words))) <= most:
        return None
    lost = words[bisect_right(range(len(words)), most, key=tokens) - 1 :]
    shown = " ".join(lost if len(lost) <= 20 else [*lost[:8], "...", *lost[-4:]])
    return f"The prompt has {whole} tokens, of which the model reads {most}; left out at its end: {shown!r}."


def mini_labellers(used: Mapping[str, str | None], remedies: Mapping[str, str]) -> str | None:
    """Return the line for labels by mini labellers; None where there are none.

    Args:
        used: Checkpoint by the option that names another.
        remedies: Words of a command by option: a real checkpoint.
    """
    mini = {option: name for option, name in used.items() if name and name.startswith("mini:")}
    if not mini:
        return None
    real = " ".join(remedies[option] for option in mini)
    return (
        f"{_listed(mini.values())}: mini labellers, trained on rendered scenes alone; their labels of real videos are crude."
        f" Real ones, see docs/checkpoints.md for their licences: {real}"
    )


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
