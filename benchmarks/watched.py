"""Runs another project's training script as it is and writes down when its optimizer stepped, and its peak memory.

    python -m benchmarks.watched RECORD.json STEPS SCRIPT.py ARGUMENTS...

Ends the process after so many steps: what the script would do then, save and sample, is not its training.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from itertools import pairwise
from pathlib import Path

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook


def main() -> None:
    record, steps, script, *arguments = sys.argv[1:]
    moments: list[float] = []

    def stepped(*_: object) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        moments.append(time.perf_counter())
        if len(moments) > int(steps):
            peak = torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else None
            seconds = [later - earlier for earlier, later in pairwise(moments)]
            Path(record).write_text(json.dumps({"step_seconds": seconds, "peak_gpu_gb": peak}))
            raise SystemExit(0)

    register_optimizer_step_post_hook(stepped)
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")
    raise SystemExit(f"{script}: ended before its optimizer had stepped {int(steps) + 1} times.")


if __name__ == "__main__":
    main()
