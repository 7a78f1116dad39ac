"""Words for a scene: a brief caption and a detailed one, written from its description.

These are the mini scale's captions; they are named so (`scene`) wherever a caption's origin is recorded.
"""

from __future__ import annotations

import numpy as np

_MOST_DESCRIBED = 3


def brief(scene: dict, rng: np.random.Generator) -> str:
    """One short clause: up to two solids and the ground, e.g. `A red ball and a blue cube on a grey floor.`"""
    solids = scene["solids"]
    chosen = sorted(rng.choice(len(solids), size=min(2, len(solids)), replace=False))
    names = [f"{_article(solids[i]['color'])} {solids[i]['color']} {solids[i]['shape']}" for i in chosen]
    rest = len(solids) - len(chosen)
    if rest:
        names.append(f"{_NUMBERS[rest]} more solid{'s' if rest > 1 else ''}")
    ground = scene["ground"]["color"]
    return _sentence(f"{_join(names)} on {_article(ground)} {ground} floor")


def detailed(scene: dict) -> str:
    """Each solid with its look and its motion (the first three), the floor, the backdrop and the camera."""
    clauses = [f"{_describe(solid)} {_act(solid)}" for solid in scene["solids"][:_MOST_DESCRIBED]]
    rest = len(scene["solids"]) - _MOST_DESCRIBED
    if rest > 0:
        clauses.append(f"{_NUMBERS[rest]} more solid{'s' if rest > 1 else ''} follow{'s' if rest == 1 else ''}")
    ground = scene["ground"]
    pattern = "" if ground["pattern"] == "plain" else f"{ground['pattern']} "
    camera = "The camera is still" if scene["camera"] == "still" else f"The camera moves {scene['camera']}"
    return (
        f"{_sentence(_join(clauses))} The floor is {pattern}{ground['color']}, the backdrop {_BACKDROP[scene['backdrop']]}. "
        f"{camera}."
    )


_NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
_BACKDROP = {"blue": "blue sky", "sunset": "a sunset", "grey": "a grey wall", "night": "a night sky"}


def _describe(solid: dict) -> str:
    pattern = "" if solid["pattern"] == "plain" else solid["pattern"]
    words = ["a", solid["size"], "shiny" if solid["shiny"] else "", pattern, solid["color"], solid["shape"]]
    return " ".join(word for word in words if word)


def _act(solid: dict) -> str:
    if solid["action"] == "moves":
        verb = "rolls" if solid["shape"] == "ball" else "slides"
        return f"{verb} {solid['heading']}"
    return {"stays": "stays", "spins": "spins", "bounces": "bounces"}[solid["action"]]


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
