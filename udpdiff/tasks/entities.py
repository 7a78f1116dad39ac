"""Entity segmentation: every visible surface has an id, the same in all frames; 0 is none.

A prediction is entity_ids, uint16 (T, H, W). Ids are names: only which pixels share one counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from udpdiff.clip import FIRST_SOLID_ID
from udpdiff.config_values import whole
from udpdiff.measures.along_motion import entity_flow_iou
from udpdiff.measures.boundary import j_and_f
from udpdiff.measures.entity_regions import color_purity, fragments_per_entity, unassigned_share
from udpdiff.measures.id_switches import id_switches
from udpdiff.measures.optical_flow import FollowedFlow
from udpdiff.measures.segmentation import tube_mean_iou, tube_panoptic_quality
from udpdiff.measures.surroundings import without_surroundings
from udpdiff.measures.tube_detection import tube_detection
from udpdiff.representations import location_colormap, pixelplanes
from udpdiff.representations.entity_decoding import decode_entities
from udpdiff.tasks.curve import Coding, CurveValues
from udpdiff.tasks.entity_curve import CURVE, DRAWN_CLIPS, MIN_DISTANCES, drawn_entities, entity_values
from udpdiff.tasks.figure import Figure
from udpdiff.tasks.task import Task, TaskOptions, known

MIN_ENTITY_PIXELS = 12  # smaller entities of a reference are a few stray pixels

_FIGURES = {
    "generated": (
        Figure("entity_tube_iou", "tube IoU", "higher", 4, "Mean IoU of whole tubes, all pixels of an entity over the video: the labeller's paired one to one with the generated ones, 0 for one without partner."),
        Figure("entity_tube_pq", "tube panoptic quality", "higher", 4, "Panoptic quality of tubes: the mean IoU of pairs that overlap by more than one half, times the share of entities that have such a partner."),
        Figure("solid_tube_iou", "tube IoU, solids", "higher", 4, "Tube IoU over the labeller's entities that are no surroundings: those that have less than a quarter of the picture's border over the video. Ground and backdrop lie alike in all scenes, and lift the tube IoU over all entities; what is left of a rendered scene are exactly its solids."),
        Figure("entity_j_and_f", "J&F", "higher", 4, "The score of the DAVIS benchmark: J is the IoU of an entity frame by frame, F how well its outline lies on the labeller's (within 0.8 % of the picture's diagonal); their mean. Entities are paired once for the video."),
        Figure("entity_j", "J", "higher", 4, "The IoU of an entity frame by frame, as in the DAVIS benchmark."),
        Figure("entity_f", "F", "higher", 4, "How well an entity's outline lies on the labeller's, frame by frame, as in the DAVIS benchmark."),
        Figure("entity_flow_iou", "IoU along the flow", "higher", 4, "Entities of a frame, carried along the video's optical flow, against themselves one frame later: mean IoU. Entities that flicker, lag behind or exchange their ids lower it.", against="motion"),
        Figure("entity_color_purity", "colour purity", "higher", 4, "Share of entities' pixels whose colour lies within 20 steps of 255 of the entity's own, its median over the video. Mixtures at outlines, noise and colours that drift lower it.", against="colormap"),
        Figure("entity_fragments", "fragments per entity", "lower", 2, "In how many connected pieces an entity lies in a frame, mean over its frames, then over entities. 1 is the least; what is partly covered has more by right.", against="nothing"),
        Figure("entity_unassigned", "unassigned area", "lower", 4, "Share of the pixels that no entity has.", against="nothing"),
    ),
    "labels": (
        Figure("entity_miou", "mean IoU", "higher", 3, "Take every pixel of an entity over the whole clip, its tube. Pair true and labelled tubes one to one so that they overlap best; the IoU of a pair is what both share divided by what either covers, 0 for an entity without partner. Mean over the true entities, ground and backdrop included."),
        Figure("solid_miou", "mean IoU, solids", "higher", 3, "The same over the solids alone. Ground and backdrop are large and easy, and lift the first figure."),
        Figure("entity_precision", "precision", "higher", 3, "Of the labelled entities, the share that is a true one: tubes with an IoU above 0.5."),
        Figure("entity_recall", "recall", "higher", 3, "Of the true entities, the share that was found: tubes with an IoU above 0.5."),
        Figure("entity_j_and_f", "J&F", "higher", 3, "The score of the DAVIS benchmark: J is the IoU of an entity frame by frame, F how well its outline lies on the true one (within 0.8 % of the picture's diagonal); their mean."),
        Figure("entity_j", "J", "higher", 3, "The IoU of an entity frame by frame, as in the DAVIS benchmark."),
        Figure("entity_f", "F", "higher", 3, "How well an entity's outline lies on the true one, frame by frame, as in the DAVIS benchmark."),
        Figure("id_switches", "ID switches", "lower", 3, "How often the id that covers most of a true entity becomes another one, per entity and clip. 0 means that every entity keeps its identity."),
        Figure("coverage", "coverage", "higher", 3, "Share of the pixels that carry any label. In these scenes every pixel belongs to some entity, so 1 is right."),
    ),
    "codec": (
        Figure("pixelplanes_exact_share", "exact share of Pixelplanes", "higher", 4, "Share of the pixels whose entity comes back from the painted colormap."),
        Figure("vae_entity_miou", "mean IoU after the VAE", "higher", 4, "Mean IoU of tubes read from a colormap that went through the VAE, against the entities that were painted."),
        Figure("vae_solid_miou", "mean IoU after the VAE, solids", "higher", 4, "The same over the entities that are no surroundings: those that have less than a quarter of the picture's border over the clip."),
    ),
    "labeller": (
        Figure("coverage", "coverage", "neither", 2, "Share of the pixels that carry any label. It says how much was labelled, not how well."),
        Figure("entities", "entities per clip", "neither", 2, "How many entities the labeller tells apart in a clip."),
    ),
}  # fmt: skip


class EntityOptions(TaskOptions):
    """Options of the colormaps.

    Attributes:
        colourings: Random Pixelplanes colourings per clip.
        min_color_distance: Euclidean, between any two colours and from black, in RGB steps of 1/255.
        location_grid: Cells per side of the location-aware colormap.
    """

    colourings: whole(1, 100) = 3
    min_color_distance: whole(0, 200) = 0
    location_grid: whole(2, 11) = 11


class Entities(Task):
    """Entity segmentation as Pixelplanes (the standard) or as the location-aware colormap."""

    name = "seg"
    phrase = "entity segmentation"
    legend = "one colour for each entity"
    labels = "entities"
    dataset = "entity_ids"
    colormaps = ("pixelplanes", "location")
    random_colormaps = ("pixelplanes",)
    Options = EntityOptions
    colormap_options: ClassVar = {"pixelplanes": ("min_color_distance",), "location": ("location_grid",)}
    figures = _FIGURES
    main_figure = "entity_tube_iou"
    curve = CURVE
    drawn_clips = DRAWN_CLIPS
    ceilings: ClassVar = {"entity_tube_iou": "vae_entity_miou", "solid_tube_iou": "vae_solid_miou"}

    def from_labels(self, stored: np.ndarray, options: EntityOptions) -> np.ndarray:
        return stored

    def to_storage(self, prediction: np.ndarray) -> np.ndarray:
        return prediction.astype(np.uint16)

    def from_storage(self, stored: np.ndarray) -> np.ndarray:
        return stored

    def encodings(self, colormap: str, options: EntityOptions) -> int:
        return options.colourings if colormap in self.random_colormaps else 1

    def encode(
        self, prediction: np.ndarray, colormap: str, options: EntityOptions, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        if colormap == "location":
            return location_colormap.encode_entities(prediction, grid=options.location_grid)
        return pixelplanes.encode_entities(prediction, rng, options.min_color_distance)[0]

    def decode(self, colormap: np.ndarray) -> np.ndarray:
        return decode_entities(colormap)

    def picture(self, prediction: np.ndarray) -> np.ndarray:
        """Fixed, well separated colours, the same id always the same; none is black."""
        golden = 0.61803398875
        ids = np.arange(int(prediction.max()) + 1)
        hue, value = (ids * golden) % 1.0, np.where(ids % 3 == 0, 0.75, np.where(ids % 3 == 1, 1.0, 0.9))
        sector = (hue * 6)[:, None] + np.array([0, 4, 2])
        palette = np.clip(np.abs(sector % 6 - 3) - 1, 0, 1) * 0.75 + 0.25
        palette = (palette * value[:, None] * 255).astype(np.uint8)
        palette[0] = 0
        return palette[prediction]

    def compare(self, prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        """`entity_tube_iou`, mean IoU of tubes over the reference's entities, and `entity_tube_pq`.

        `solid_tube_iou`, over those that are no surroundings (see `measures.surroundings`), where there are any.
        `entity_j`, `entity_f`, `entity_j_and_f`: region and boundary, frame by frame.
        """
        figures = self.compare_main(prediction, reference)
        return figures | _frame_figures(prediction, reference) if figures else {}

    def compare_main(self, prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        """What `compare` returns but for J and F, which take the time."""
        if not _has_entities(reference):
            return {}
        figures = {
            "entity_tube_iou": tube_mean_iou(prediction, reference, min_pixels=MIN_ENTITY_PIXELS).mean,
            "entity_tube_pq": tube_panoptic_quality(prediction, reference).quality,
        }
        solids = without_surroundings(reference)
        if _has_entities(solids):
            figures["solid_tube_iou"] = tube_mean_iou(prediction, solids, min_pixels=MIN_ENTITY_PIXELS).mean
        return figures

    def follow(self, prediction: np.ndarray, motion: FollowedFlow) -> dict[str, float]:
        """`entity_flow_iou`, where an entity of enough pixels can be followed."""
        return known({"entity_flow_iou": entity_flow_iou(prediction, motion, min_pixels=MIN_ENTITY_PIXELS)})

    def inspect(self, prediction: np.ndarray, colormap: np.ndarray | None = None) -> dict[str, float]:
        """`entity_fragments`, `entity_unassigned`, and with a colormap `entity_color_purity`; without entities the second."""
        figures = {
            "entity_fragments": fragments_per_entity(prediction),
            "entity_unassigned": unassigned_share(prediction),
        }
        if colormap is not None:
            figures["entity_color_purity"] = color_purity(colormap, prediction)
        return known(figures)

    def compare_with_truth(
        self, prediction: np.ndarray, truth: Mapping[str, np.ndarray], options: EntityOptions
    ) -> dict[str, float]:
        """All figures of labelled entities against the true ones.

        `entity_miou`, over all true entities, and `solid_miou`, over the solids: mean IoU of whole-clip tubes, matched
        one to one. `entity_precision`, `entity_recall`: tubes at IoU 0.5. `entity_j`, `entity_f`, `entity_j_and_f`:
        region and boundary, frame by frame. `id_switches`: per true entity over the clip. `coverage`: share of pixels
        with any label. True entities of fewer than 12 pixels in the clip (for switches: in the frame) do not count.
        """
        true_ids = truth["entity_ids"]
        figures = {"entity_miou": tube_mean_iou(prediction, true_ids, min_pixels=MIN_ENTITY_PIXELS).mean}
        solids = np.where(true_ids >= FIRST_SOLID_ID, true_ids, 0)
        if _has_entities(solids):
            figures["solid_miou"] = tube_mean_iou(prediction, solids, min_pixels=MIN_ENTITY_PIXELS).mean
        found = tube_detection(prediction, true_ids, min_pixels=MIN_ENTITY_PIXELS)
        figures |= {"entity_precision": found.precision, "entity_recall": found.recall}
        figures |= _frame_figures(prediction, true_ids) | {
            "id_switches": id_switches(prediction, true_ids, min_pixels=MIN_ENTITY_PIXELS).mean,
            "coverage": float((prediction > 0).mean()),
        }
        return known(figures)

    def compare_round_trip(self, prediction: np.ndarray, exact: np.ndarray, coded: np.ndarray) -> dict[str, float]:
        """`pixelplanes_exact_share`, pixels whose entity comes back, and what is left of tubes after the VAE.

        `vae_entity_miou` over all entities, `vae_solid_miou` over those that are no surroundings, where there are any.
        """
        figures = {
            "pixelplanes_exact_share": exact_share(exact, prediction),
            "vae_entity_miou": tube_mean_iou(coded, prediction, min_pixels=MIN_ENTITY_PIXELS).mean,
        }
        solids = without_surroundings(prediction)
        if _has_entities(solids):
            figures["vae_solid_miou"] = tube_mean_iou(coded, solids, min_pixels=MIN_ENTITY_PIXELS).mean
        return known(figures)

    def curve_codings(self, options: EntityOptions) -> dict[str, Coding]:
        """Pixelplanes with and without a least distance between colours, and the location-aware colormap."""
        codings = {
            f"pixelplanes_{distance}": Coding(
                f"Pixelplanes, colours at least {distance} apart" if distance else "Pixelplanes, any colours",
                "pixelplanes",
                options.model_copy(update={"min_color_distance": distance}),
            )
            for distance in MIN_DISTANCES
        }
        return codings | {"location": Coding("location-aware colormap", "location", options)}

    def curve_values(self, prediction: np.ndarray, colormap: np.ndarray, decoded: np.ndarray) -> CurveValues:
        """The IoU of every entity's tube."""
        return entity_values(prediction, colormap, decoded, MIN_ENTITY_PIXELS)

    def drawn(self, shape: tuple[int, int, int], rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Clips of 4 to 64 entities."""
        return drawn_entities(shape, rng)


def _frame_figures(prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """J and F; entities of the reference that are a few stray pixels are void."""
    sizes = np.bincount(reference.ravel())
    small = np.isin(reference, np.flatnonzero(sizes < MIN_ENTITY_PIXELS))
    void = len(sizes)
    region = j_and_f(prediction, np.where(small, void, reference), void=void)
    return {"entity_j": region.j, "entity_f": region.f, "entity_j_and_f": region.j_and_f}


def _has_entities(entity_ids: np.ndarray) -> bool:
    return bool((np.bincount(entity_ids.ravel())[1:] >= MIN_ENTITY_PIXELS).any())


def exact_share(decoded: np.ndarray, ids: np.ndarray) -> float:
    """Return the share of pixels whose decoded id, renamed one to one, is the encoded one; none stays none."""
    pairs, counts = np.unique(np.stack([decoded.ravel(), ids.ravel()]), axis=1, return_counts=True)
    right, renamed, used = 0, {}, set()
    for index in np.argsort(-counts):
        new, old = (int(value) for value in pairs[:, index])
        if (new == 0) != (old == 0) or renamed.get(new, old) != old or (new not in renamed and old in used):
            continue
        renamed[new] = old
        used.add(old)
        right += counts[index]
    return right / ids.size
