"""Silences messages of libraries that no user can act on, one by one; all others are shown."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


def leave_out_hints() -> None:
    """Leave out hints about optional packages that are done without. Imports nothing, so every process begins with it."""
    # bitsandbytes, which libraries import where it is installed, names a package of kernels that it has not found.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    # Pictures are read without torchvision, which nothing here needs.
    logging.getLogger("transformers.models.auto.image_processing_auto").addFilter(_is_no_fallback)


def _is_no_fallback(record: logging.LogRecord) -> bool:
    return "backend is not available. Falling back to" not in record.getMessage()


def leave_out_loading_bars() -> None:
    """Leave out the bars that diffusers, transformers and the hub draw while they load, for this process."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    of_diffusers.disable_progress_bar()
    of_transformers.disable_progress_bar()


def leave_out_truncated_text() -> None:
    """Leave out what the stock pipeline and the tokenizer say of too long prompts; for whoever says it in plain words."""
    for name in ("diffusers.pipelines.cogvideo.pipeline_cogvideox", "transformers.tokenization_utils_base"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def without_warnings_of_torchscript() -> Iterator[None]:
    """While inside, torch does not warn that a library still compiles a part of itself by `torch.jit.script`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.script`")
        yield
