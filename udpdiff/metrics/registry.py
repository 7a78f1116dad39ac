"""Every figure once: its key, its name for people, how it is printed and what it means."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What people need to know of one measured number."""

    key: str
    label: str
    direction: str
    digits: int
    words: str
    unit: str = ""
    scale: float = 1.0

    def scaled(self, value: float) -> float:
        """Return a stored value in the unit that is printed."""
        return self.scale * value

    def text(self, value: float) -> str:
        """Return a stored value as it is printed, with digits and unit."""
        return f"{self.scaled(value):.{self.digits}f}{self.unit and ' ' + self.unit}"


_LABELS = {
    "entities": (
        Figure('entity_miou', 'mean IoU', 'higher', 3, 'Take every pixel of an entity over the whole clip, its tube. Pair true and labelled tubes one to one so that they overlap best; the IoU of a pair is what both share divided by what either covers, 0 for an entity without partner. Mean over the true entities, ground and backdrop included.'),
        Figure('solid_miou', 'mean IoU, solids', 'higher', 3, 'The same over the solids alone. Ground and backdrop are large and easy, and lift the first figure.'),
        Figure('entity_precision', 'precision', 'higher', 3, 'Of the labelled entities, the share that is a true one: tubes with an IoU above 0.5.'),
        Figure('entity_recall', 'recall', 'higher', 3, 'Of the true entities, the share that was found: tubes with an IoU above 0.5.'),
        Figure('entity_j_and_f', 'J&F', 'higher', 3, "The score of the DAVIS benchmark: J is the IoU of an entity frame by frame, F how well its outline lies on the true one (within 0.8 % of the picture's diagonal); their mean."),
        Figure('id_switches', 'ID switches', 'lower', 3, 'How often the id that covers most of a true entity becomes another one, per entity and clip. 0 means that every entity keeps its identity.'),
        Figure('coverage', 'coverage', 'higher', 3, 'Share of the pixels that carry any label. In these scenes every pixel belongs to some entity, so 1 is right.'),
        Figure('refused_share', 'refused', 'lower', 3, 'Share of the clips that got no labels, because too little was covered or the labeller failed. They are in no training set and in no other figure.'),
    ),
    "depth": (
        Figure('depth_delta1', 'δ1', 'higher', 4, 'Share of the pixels whose depth is within a factor of 1.25 of the true one. Depth labels have no scale of their own, so one scale and one shift per clip are fitted first.'),
        Figure('depth_abs_rel', 'AbsRel', 'lower', 4, 'Mean error of depth as a share of the true depth, after the same fit.'),
        Figure('depth_rmse', 'RMSE', 'lower', 3, "Root of the mean squared error, in the scenes' unit of length; a solid is about 1 to 2 units wide."),
        Figure('depth_flicker', 'flicker', 'lower', 2, 'Follow each surface point from one frame to the next along its true motion. Flicker is how much its labelled depth changes beyond its true change, in percent of depth per frame. An error that stays with the surface does not count, an error that comes and goes does. The fit is one per clip, for estimators of single frames and of videos alike.', '%', 100.0),
        Figure('depth_true_change', 'true change', 'neither', 2, 'How much the true depths change along the same motions: the flicker of labels that give each surface point one depth for good. Read flicker beside it.', '%', 100.0),
        Figure('depth_refused_share', 'failed', 'lower', 3, 'Share of the clips on which the estimator failed.'),
    ),
}  # fmt: skip
_LABELLERS = {
    "entities": (
        Figure('coverage', 'coverage', 'neither', 2, 'Share of the pixels that carry any label. It says how much was labelled, not how well.'),
        Figure('entities', 'entities per clip', 'neither', 2, 'How many entities the labeller tells apart in a clip.'),
    ),
    "depth": (),
}  # fmt: skip


def label_figures(kind: str) -> tuple[Figure, ...]:
    """Return the figures of labels of a kind against truth, in the order of a page."""
    return _LABELS[kind]


def labeller_figures(kind: str) -> tuple[Figure, ...]:
    """Return what the labellers of a kind say of their own work, where there is no truth."""
    return _LABELLERS[kind]


def describe(key: str) -> Figure:
    """Return the figure of a key.

    Raises:
        ValueError: There is no such figure.
    """
    name = key.rpartition(".")[2]
    for figure in (*_LABELS["entities"], *_LABELS["depth"], *_LABELLERS["entities"]):
        if figure.key == name:
            return figure
    raise ValueError(f"Figure: got {key!r}, which udpdiff.metrics.registry does not describe; add it there.")
