"""Tables 1-9 of the paper as data: what it printed, digit by digit, in its own units and order.

Consistencies and smoothness are VBench scores x 100, FVD and RMSE as printed (lower is better), run time in seconds for
one 49-frame video of 50 steps on one A100-80G.

Source: Yang et al., Unified Dense Prediction of Video Diffusion, CVPR 2025, tables 1-9.
"""

from __future__ import annotations

from dataclasses import dataclass

SC, BC, MS = "subject_consistency", "background_consistency", "motion_smoothness"


@dataclass(frozen=True)
class PaperTable:
    """title: what the caption says it shows; heading: of the first column; rows: label -> metric -> printed value.

    Labels are the paper's; those of table 7 say what its two numbers are, which the paper leaves to the caption.
    """

    title: str
    heading: str
    rows: dict[str, dict[str, float]]
    notes: dict[str, str] | None = None


def _vbench(sc: float, bc: float, ms: float, **more: float) -> dict[str, float]:
    return {SC: sc, BC: bc, MS: ms} | more


PAPER_TABLES: dict[int, PaperTable] = {
    1: PaperTable(
        "Consistency and smoothness in single task models",
        "Model",
        {
            "CogVideoX 5B": _vbench(94.57, 95.80, 97.67),
            "UDPDiff (segmentation)": _vbench(94.98, 95.92, 98.62),
            "UDPDiff (depth estimation)": _vbench(95.91, 96.24, 98.10),
        },
    ),
    2: PaperTable(
        "Consistency and smoothness in multitask models",
        "Model",
        {
            "CogVideoX 5B": _vbench(94.57, 95.80, 97.67, fvd=343.92),
            "UDPDiff (seg)": _vbench(95.21, 95.69, 98.24, fvd=316.76),
            "UDPDiff (depth)": _vbench(97.07, 96.89, 99.23, fvd=302.55),
        },
    ),
    3: PaperTable(
        "Depth estimation",
        "Model",
        {
            "Depth Anything V2": {"delta1": 0.5808, "rmse": 0.0907},
            "UDPDiff (multi-depth)": {"delta1": 0.4176, "rmse": 0.1634},
        },
        notes={"Depth Anything V2": "62.6 M", "UDPDiff (multi-depth)": "300 K"},
    ),
    4: PaperTable(
        "Model inference speed",
        "Model",
        {
            "CogVideoX 5B": {"runtime_seconds": 204.46},
            "Ours (single task)": {"runtime_seconds": 205.75},
            "Ours (multi task)": {"runtime_seconds": 205.81},
        },
    ),
    5: PaperTable(
        "Ablation: task embedding",
        "Method",
        {
            "Text prompt": _vbench(95.17, 95.78, 98.67, fvd=321.43),
            "Task embedding": _vbench(97.07, 96.89, 99.23, fvd=302.55),
        },
    ),
    6: PaperTable(
        "Pixelplanes against the location-aware colormap of UniGS",
        "Method",
        {
            "Location-aware colormap": _vbench(81.26, 79.33, 88.79),
            "Pixelplanes": _vbench(94.98, 95.92, 98.62),
        },
    ),
    7: PaperTable(
        "Partition of the data between segmentation and depth",
        "Partition",
        {
            "(0.3 segmentation, 0.7 depth)": _vbench(95.89, 96.54, 98.16),
            "(0.7 segmentation, 0.3 depth)": _vbench(96.72, 96.37, 96.97),
            "(0.5 segmentation, 0.5 depth)": _vbench(97.07, 96.89, 99.23),
        },
    ),
    8: PaperTable(
        "Depth estimation method for Panda-Dense",
        "Method",
        {
            "Depth Anything V2": _vbench(94.87, 96.29, 96.13),
            "DepthCrafter": _vbench(95.91, 96.24, 98.10),
        },
    ),
    9: PaperTable(
        "Initial prompts of SAM 2 for Panda-Dense",
        "Method",
        {
            "8×8": _vbench(93.12, 93.73, 96.18),
            "12×12": _vbench(92.96, 93.59, 96.35),
            "EntitySeg": _vbench(94.98, 95.92, 98.62),
        },
    ),
}
