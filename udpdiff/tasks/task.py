"""What a dense prediction task is: one class per task, registered in `udpdiff.tasks`.

A task says how its prediction is stored, coloured, decoded, drawn and compared. It knows arrays only: no model, no file,
no labeller beyond the name of the kind that makes its labels.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from udpdiff.measures.optical_flow import FollowedFlow
from udpdiff.tasks.curve import Coding, Curve, CurveValues
from udpdiff.tasks.figure import Figure


class TaskOptions(BaseModel):
    """The section `tasks.NAME` of the configuration: what a task lets a user choose, with its defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def labels_control(figure: str) -> str:
    """Return the key of the control of a figure that exchanges labels: `entity_labels_shuffled` of `entity_tube_iou`."""
    return f"{figure.partition('_')[0]}_labels_shuffled"


def known(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the figures that have a value: those that are nan are of nothing, and no clip's."""
    return {name: value for name, value in figures.items() if not math.isnan(value)}


class Task(ABC):
    """One dense prediction task.

    Attributes:
        name: Key in configurations, folder names and calls.
        phrase: How a prompt names the task in the task-as-text variant.
        legend: What the colours of `picture` say, for people.
        labels: Kind of labeller whose shards hold its labels, a key of the configuration's `labels`.
        dataset: Name of the labels in those shards.
        derived: Whether its labels are computed from those of another task of the same kind.
        colormaps: Names of its colour encodings; the first is the standard one.
        random_colormaps: Those that draw colours, so that a clip may have several encodings.
        Options: What a user may choose, see `TaskOptions`.
        label_options: Names of the options that `from_labels` and `constant` read.
        colormap_options: Names of the options that `encode` reads, by colormap.
        figures: What its comparisons measure: `generated` by `compare`, `follow` and `inspect`, `labels` by
            `compare_with_truth`, `codec` by `compare_round_trip`; `labeller`: the scores that its labeller stores beside the
            labels.
        main_figure: Key of the generated figure that stands for all, the first of `ceilings`.
        ceilings: Key of each generated figure that controls (exchanged and constant predictions, exchanged labels) are
            taken of -> key of the codec figure that is the most it can reach. Higher is better.
        has_constant: Whether a model that looks at nothing has a best guess, see `constant`.
        min_depth_bits: Of labels of depth that it is derived from (`storage.depth_bits`); fewer would show in it.
        curve: What `curve_values` measures, over which axes; None for a task without curves.
        drawn_clips: How many predictions `drawn` gives.
        is_continuous: Whether what is stored is a quantity over the range of uint16, which may be kept in fewer bits.

    Source: UDPDiff, sections 3.2 and 3.4.
    """

    name: ClassVar[str]
    phrase: ClassVar[str]
    legend: ClassVar[str]
    labels: ClassVar[str]
    dataset: ClassVar[str]
    derived: ClassVar[bool] = False
    colormaps: ClassVar[tuple[str, ...]]
    random_colormaps: ClassVar[tuple[str, ...]] = ()
    Options: ClassVar[type[TaskOptions]] = TaskOptions
    label_options: ClassVar[tuple[str, ...]] = ()
    colormap_options: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    figures: ClassVar[Mapping[str, tuple[Figure, ...]]]
    main_figure: ClassVar[str]
    ceilings: ClassVar[Mapping[str, str]]
    has_constant: ClassVar[bool] = False
    min_depth_bits: ClassVar[int] = 8
    is_continuous: ClassVar[bool] = False
    curve: ClassVar[Curve | None] = None
    drawn_clips: ClassVar[int] = 0

    @abstractmethod
    def from_labels(self, stored: np.ndarray, options: TaskOptions) -> np.ndarray:
        """Return the prediction (T, H, W, ...) that a clip's stored labels stand for."""

    @abstractmethod
    def to_storage(self, prediction: np.ndarray) -> np.ndarray:
        """Return a prediction as shards store it: small and without further loss."""

    @abstractmethod
    def from_storage(self, stored: np.ndarray) -> np.ndarray:
        """Return a prediction from its stored form; the inverse of `to_storage`."""

    def encodings(self, colormap: str, options: TaskOptions) -> int:
        """Return how many colour encodings of a clip are made: more than 1 only where colours are drawn."""
        return 1

    @abstractmethod
    def encode(
        self, prediction: np.ndarray, colormap: str, options: TaskOptions, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """Return one colour encoding of a prediction, uint8 (T, H, W, 3).

        Args:
            prediction: As `from_labels` returns it.
            colormap: One of `colormaps`.
            options: The task's options.
            rng: Draws the colours of a random colormap.
        """

    @abstractmethod
    def decode(self, colormap: np.ndarray) -> np.ndarray:
        """Return the prediction of a colormap uint8 (T, H, W, 3) in its standard encoding."""

    @abstractmethod
    def picture(self, prediction: np.ndarray) -> np.ndarray:
        """Return a prediction in colours for people, uint8 (T, H, W, 3)."""

    @abstractmethod
    def compare(self, prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        """Return the figures of a prediction against a reference of the same clip; empty where it shows nothing."""

    def compare_main(self, prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        """Return the figures in `ceilings`, and others where that costs no more; for controls, of which there are many."""
        return self.compare(prediction, reference)

    def follow(self, prediction: np.ndarray, motion: FollowedFlow) -> dict[str, float]:
        """Return the figures of a prediction along the motion of its video; empty where nothing can be followed."""
        return {}

    def inspect(self, prediction: np.ndarray, colormap: np.ndarray | None = None) -> dict[str, float]:
        """Return the figures of a prediction alone.

        Args:
            prediction: As `decode` returns it.
            colormap: That it was decoded from, uint8 (T, H, W, 3); None for labels, which have none.
        """
        return {}

    @abstractmethod
    def compare_with_truth(
        self, prediction: np.ndarray, truth: Mapping[str, np.ndarray], options: TaskOptions
    ) -> dict[str, float]:
        """Return the figures of labels against a scene's exact truth.

        Args:
            prediction: As `from_labels` returns it.
            truth: The datasets of a truth shard, by name.
            options: The task's options.
        """

    @abstractmethod
    def compare_round_trip(self, prediction: np.ndarray, exact: np.ndarray, coded: np.ndarray) -> dict[str, float]:
        """Return what its standard colormap loses by itself and through the VAE.

        Args:
            prediction: What was encoded.
            exact: Decoded from the colormap as it was painted.
            coded: Decoded from the colormap after the VAE's encoder and decoder.
        """

    def curve_codings(self, options: TaskOptions) -> Mapping[str, Coding]:
        """Return the colour encodings that curves are measured of, by name."""
        return {}

    def curve_values(self, prediction: np.ndarray, colormap: np.ndarray, decoded: np.ndarray) -> CurveValues:
        """Return what one clip adds to the task's curves.

        Args:
            prediction: What was encoded.
            colormap: As it was painted.
            decoded: Decoded from it, as it was or after the VAE.
        """
        raise NotImplementedError(f"{self.name} has no curves.")

    def drawn(self, shape: tuple[int, int, int], rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Return predictions (T, H, W, ...) drawn for the curves, of what labels hold too little; none by default."""
        return iter(())

    def constant(self, mean: np.ndarray, num_frames: int, options: TaskOptions) -> np.ndarray:
        """Return the prediction (T, H, W, ...) of a model that looks at nothing, for tasks with `has_constant`.

        Args:
            mean: Mean of the stored training labels over clips and frames, float (H, W).
            num_frames: T.
            options: The task's options.
        """
        raise NotImplementedError(f"{self.name} has no constant prediction: has_constant is False.")
