"""Times sampling of several runs against each other (table 4): one prompt, in turns, so that all meet the same machine."""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

from udpdiff.metrics.evaluate import evaluate_runtime, quality_document
from udpdiff.model.latents import default_device
from udpdiff.progress import progress
from udpdiff.training.export import load_run

PROMPT = "A red ball rolls to the right on a grey floor."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--settings", required=True, type=json.loads, help="json: seed, metrics, clips, sampling, labels"
    )
    parser.add_argument("--runs", required=True, nargs="+", type=Path)
    parser.add_argument("--runtimes", required=True, nargs="+", type=Path, help="RUN/TASK/runtime.json, one per run")
    arguments = parser.parse_args()

    import torch

    told = arguments.settings
    hardware = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{platform.machine()} CPU, 1 thread"
    dtype = getattr(torch, told["sampling"]["dtype"])
    pipelines = {path.name: load_run(path, dtype, default_device()) for path in arguments.runs}
    timings: dict[str, list[dict[str, float]]] = {name: [] for name in pipelines}
    for round_number in progress(range(told["metrics"]["runtime_repeats"] + 1), "rounds of timing"):
        for name, pipeline in pipelines.items():
            timing = time_call(pipeline, told, seed=round_number)
            if round_number:  # the first round loads and warms up
                timings[name].append(timing)
    for path, found in zip(arguments.runtimes, timings.values(), strict=True):
        run, task = path.parts[-3:-1]
        document = quality_document(run, task, told["seed"], len(found), evaluate_runtime(found, hardware=hardware))
        path.write_text(json.dumps(document, indent=1) + "\n")


def time_call(pipeline, told: dict, seed: int) -> dict[str, float]:
    """Seconds of one call and of its parts."""
    import torch

    from udpdiff.timing import timed_parts

    pipeline.set_progress_bar_config(disable=True)
    options = {key: told["clips"][key] for key in ("height", "width", "num_frames")}
    options |= {key: told["sampling"][key] for key in ("num_inference_steps", "guidance_scale")}
    options |= {"generator": torch.Generator().manual_seed(seed), "output_type": "np"}
    options["max_sequence_length"] = pipeline.transformer.config.max_text_seq_length
    tasks = list(getattr(pipeline.config, "tasks", None) or {})
    if tasks:
        options |= {"task": tasks[-1], "decode_prediction": False}
    with timed_parts(pipeline) as timings:
        start = time.perf_counter()
        pipeline(prompt=PROMPT, **options)
        timings["total"] = time.perf_counter() - start
    return timings


if __name__ == "__main__":
    main()
