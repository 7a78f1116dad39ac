"""Lines that libraries print and no user can use stay out of logs and terminals; other warnings do not."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from udpdiff import quiet_libraries
from udpdiff.labelling.point_grid import PointGridSegmenter

ROOT = Path(__file__).parents[1]


def test_a_grid_of_points_is_loaded_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PointGridSegmenter.from_pretrained("mini:sam2", device="cpu")


def test_what_pictures_are_read_without_is_not_said():
    quiet_libraries.leave_out_hints()
    log, heard = logging.getLogger("transformers.models.auto.image_processing_auto"), []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())
    log.addHandler(handler)
    log.warning("Requested torchvision backend is not available. Falling back to pil backend.")
    log.warning("heard")
    log.removeHandler(handler)
    assert heard == ["heard"]


def test_other_warnings_are_given():
    with pytest.warns(UserWarning, match="heard"), quiet_libraries.without_warnings_of_torchscript():
        warnings.warn("`torch.jit.script` is deprecated", FutureWarning, stacklevel=1)
        warnings.warn("heard", UserWarning, stacklevel=1)


@pytest.mark.parametrize(
    "starts", ["import scripts", "from udpdiff import command; command.main(['workflow', '--path'])"]
)
def test_hints_of_bitsandbytes_are_left_out_and_its_errors_are_not(starts):
    code = f"{starts}; import logging; log = logging.getLogger('bitsandbytes.backends.cpu.ops'); log.warning('hint'); log.error('fault')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.strip() == "fault" and not logging.getLogger("udpdiff").level
