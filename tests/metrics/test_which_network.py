"""Each figure of a video comes from the network that it is named after."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from udpdiff.metrics.extractors import Extractors
from udpdiff.metrics.feature_shards import measure_video
from udpdiff.metrics.flow import FlowEstimator
from udpdiff.metrics.interpolation import Interpolator

VIDEO = np.zeros((3, 4, 4, 3), np.uint8)
VIDEO[1] = 51
STEADY, TURNING = np.float32([[1, 0]] * 3), np.float32([[1, 0], [0, 1], [1, 0]])


def extractors(**parts) -> Extractors:
    return Extractors(SimpleNamespace(name="videos", batch_videos=1, encode_videos=None), **parts)


@pytest.mark.parametrize(("subject", "image"), [(STEADY, TURNING), (TURNING, STEADY)])
def test_subject_background_and_smoothness(subject, image):
    networks = extractors(
        subject=SimpleNamespace(name="one", encode=lambda video: subject),
        image=SimpleNamespace(
            name="two", encode=lambda video: image, encode_text=lambda text: (np.float32([1, 0]), text == "long")
        ),
        flow=FlowEstimator("moved", lambda video: np.full((len(video) - 1, 4, 4, 2), 3.0)),
        interpolator=Interpolator("mine", "motion_smoothness_mine", lambda before, after: (before + after) / 2),
    )
    consistency = {id(STEADY): 1.0, id(TURNING): 0.25}  # to the frame before 0 and 0, to the first 0 and 1
    fidelity = {id(STEADY): 1.0, id(TURNING): 2 / 3}
    found = measure_video(VIDEO, networks, fps=8, prompt="short")
    assert found == {
        "subject_consistency": pytest.approx(consistency[id(subject)]),
        "background_consistency": pytest.approx(consistency[id(image)]),
        "motion_smoothness_mine": pytest.approx(1 - 51 / 255),
        "prompt_fidelity": pytest.approx(fidelity[id(image)]),
        "dynamic_degree": pytest.approx(3 * np.sqrt(2) / 4),
        "dynamic_share": 1.0,
    }
    assert measure_video(VIDEO, networks, fps=8, prompt="long") == found | {"cut_prompt": 1.0}
    assert set(measure_video(VIDEO, networks, fps=8)) == set(found) - {"prompt_fidelity"}
    assert networks.names == {
        "video": "videos", "subject": "one", "image": "two", "interpolator": "mine", "flow": "moved",
    }  # fmt: skip


def test_what_has_no_network_has_no_figure():
    assert measure_video(VIDEO, extractors(), fps=8, prompt="anything") == {}
