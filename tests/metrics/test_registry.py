"""The registry of figures: every key that a table or page can show is described, with what it must say."""

from __future__ import annotations

from pathlib import Path

import pytest

from udpdiff.metrics.registry import FIGURES, REFUSED, as_markdown, describe, label_figures, labeller_figures, subject
from udpdiff.tables.specs import TABLES
from udpdiff.tasks import TASKS, labels_control


def test_every_figure_has_words_and_a_heading():
    for group, figures in FIGURES.items():
        for key, figure in figures.items():
            assert figure.key == key and describe(f"{group}.{key}") == figure
            assert figure.label and figure.words.endswith(".") and figure.direction in ("higher", "lower", "neither")
            assert len(figure.text(0.12345)) > 0


def test_every_source_of_every_table_is_described():
    sources = {
        source for spec in TABLES.values() for metric in (*spec.metrics, *spec.extra) for source in metric.sources
    }
    prefixes = {row.prefix for spec in TABLES.values() for row in spec.rows}
    assert prefixes == {"", "depth_anything_"}
    for source in sources:
        assert describe(source).key == source
    for metric in TABLES[3].metrics:
        assert describe(f"depth_anything_{metric.sources[0]}").label == f"{metric.label}, of depth_anything"


@pytest.mark.parametrize("name", TASKS)
def test_controls_are_bars_and_gains_are_to_be_high(name):
    main, controls = TASKS[name].main_figure, ["shuffled"] + ["constant"] * TASKS[name].has_constant
    for control in controls:
        assert describe(f"{main}_{control}").direction == "neither"
        assert describe(f"{main}_over_{control}").direction == "higher"
        assert describe(f"{main}_{control}").scale == describe(main).scale
    for key in TASKS[name].ceilings:
        assert describe(labels_control(key)).direction == "neither"
        assert describe(f"{key}_normalised").direction == "higher"
    assert "left out" in describe(main).words and "n says" in describe(main).words


def test_keys_of_one_name_are_told_apart_by_their_group():
    assert describe("labels.depth_delta1").words != describe("generated.depth_delta1").words
    assert describe("labels.grid8.entity_miou") == describe("labels.entity_miou")
    assert describe("labellers.coverage").direction == "neither" and describe("labels.coverage").direction == "higher"


def test_figures_that_only_a_users_configuration_knows():
    assert describe("fvd_depth").label == "Frechet video distance, depth"
    assert describe("motion_smoothness_blend_seg").scale == 100
    assert describe("motion_smoothness_mine").label == "Motion smoothness, by mine"
    assert describe("generated.motion_smoothness_my_net_seg").label == "Motion smoothness, by my_net, seg"
    assert describe("motion_smoothness_mine_real").direction == describe("motion_smoothness_mine_real_seg").direction
    assert describe("motion_smoothness_mine_real_seg").label == "Motion smoothness, by mine, real videos, seg"
    assert describe("motion_smoothness_seg").label == "Motion smoothness, seg", "VBench's, of one task"
    assert describe("cost.train_seconds").unit == "s"
    for unknown in ("sharpness", "labels.fvd", "depth_delta1_reversed", "cost.disk"):
        with pytest.raises(ValueError, match="does not describe"):
            describe(unknown)


def test_figures_are_printed_with_digits_and_unit():
    assert describe("subject_consistency").text(0.9457) == "94.57"
    assert describe("labels.depth_flicker").text(0.0123) == "1.23 %"
    assert describe("labels.entity_miou").text(0.5) == "0.500"


def test_only_vbenchs_share_of_moving_videos_is_called_its_dynamic_degree():
    """A mean length of flow under that name would be set beside VBench's percentages of videos."""
    assert describe("dynamic_degree").label == "Motion (mean flow)"
    assert describe("dynamic_degree_real_seg").label == "Motion (mean flow), real videos, seg"
    share = describe("dynamic_share")
    assert "VBench publishes as dynamic degree" in share.words and "raft_large" in share.words


def test_figures_of_a_kind_of_labels():
    keys = [figure.key for figure in label_figures("depth")]
    assert keys[0] == "depth_delta1" and "normals_ceiling_degrees" in keys and keys[-1] == REFUSED["depth"].key
    assert [figure.key for figure in labeller_figures("entities")] == ["coverage", "entities"]
    assert labeller_figures("depth") == ()


def test_the_page_about_figures_is_the_registrys():
    page = Path(__file__).parents[2] / "docs" / "figures.md"
    assert page.read_text() == as_markdown(), "write it anew: python -m udpdiff.metrics.registry > docs/figures.md"


@pytest.mark.parametrize(
    ("key", "about"),
    [
        ("motion_smoothness_by_net", "video"),
        ("subject_consistency", "video"),
        ("entity_flow_iou_labels", "entity segmentation"),
        ("depth_anything_depth_delta1", "depth estimation, of depth_anything"),
    ],
)
def test_a_figure_of_generated_videos_says_what_it_is_about(key, about):
    assert subject(key) == about
