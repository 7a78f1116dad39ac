"""Libraries that say nothing while they load, so that a command's own words stand alone."""

from __future__ import annotations

import logging
import os


def quiet_libraries() -> None:
    """Leave out bars of loading and hints about optional packages; to be called before networks are imported."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # names optional kernels that it does not find
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    of_diffusers.disable_progress_bar()
    of_transformers.disable_progress_bar()
