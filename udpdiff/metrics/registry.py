"""Every figure once: its key, its name for people, how it is printed and what it means."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measured number.

    Attributes:
        key: In json files.
        label: Its name for people.
        unit: As printed.
        scale: The printed number is the measured one times this.
        digits: After the point.
        better: "higher", "lower" or "" for neither.
        words: What it means.
    """

    key: str
    label: str
    unit: str = ""
    scale: float = 1.0
    digits: int = 3
    better: str = "higher"
    words: str = ""


_FIGURES = (
    Figure("entity_miou", "mean IoU", words="Take every pixel of an entity over the whole clip, its tube. Pair true and labelled tubes one to one so that they overlap best; the IoU of a pair is what both share divided by what either covers, 0 for an entity without partner. Mean over the true entities, ground and backdrop included."),
    Figure("solid_miou", "mean IoU, solids", words="The same over the solids alone. Ground and backdrop are large and easy, and lift the first figure."),
    Figure("entity_precision", "precision", words="Of the labelled entities, the share that is a true one: tubes with an IoU above 0.5."),
    Figure("entity_recall", "recall", words="Of the true entities, the share that was found: tubes with an IoU above 0.5."),
    Figure('entity_j_and_f', 'J&F', words="The score of the DAVIS benchmark: J is the IoU of an entity frame by frame, F how well its outline lies on the true one (within 0.8 % of the picture's diagonal); their mean."),
    Figure("id_switches", "ID switches", better="lower", words="How often the id that covers most of a true entity becomes another one, per entity and clip. 0 means that every entity keeps its identity."),
    Figure("coverage", "coverage", words="Share of the pixels that carry any label. In these scenes every pixel belongs to some entity, so 1 is right."),
    Figure("refused_share", "refused", better="lower", words="Share of the clips that got no labels, because too little was covered or the labeller failed. They are in no training set and in no other figure."),
    Figure("depth_delta1", "δ1", digits=4, words="Share of the pixels whose depth is within a factor of 1.25 of the true one. Depth labels have no scale of their own, so one scale and one shift per clip are fitted first."),
    Figure("depth_abs_rel", "AbsRel", digits=4, better="lower", words="Mean error of depth as a share of the true depth, after the same fit."),
    Figure('depth_rmse', 'RMSE', better='lower', words="Root of the mean squared error, in the scenes' unit of length; a solid is about 1 to 2 units wide."),
    Figure("depth_flicker", "flicker", unit="%", scale=100.0, digits=2, better="lower", words="Follow each surface point from one frame to the next along its true motion. Flicker is how much its labelled depth changes beyond its true change, in percent of depth per frame. An error that stays with the surface does not count, an error that comes and goes does. The fit is one per clip, for estimators of single frames and of videos alike."),
    Figure("depth_true_change", "true change", unit="%", scale=100.0, digits=2, better="", words="How much the true depths change along the same motions: the flicker of labels that give each surface point one depth for good. Read flicker beside it."),
    Figure("depth_refused_share", "failed", better="lower", words="Share of the clips on which the estimator failed."),
    Figure("entities", "entities per clip", digits=2, better="", words="How many entities the labeller tells apart in a clip."),
)  # fmt: skip
_BY_KEY = {figure.key: figure for figure in _FIGURES}


def describe(key: str) -> Figure:
    """Return the figure of that key.

    Raises:
        ValueError: There is none.
    """
    if key not in _BY_KEY:
        raise ValueError(f"Unknown figure: got {key!r}; add it to udpdiff/metrics/registry.py.")
    return _BY_KEY[key]
