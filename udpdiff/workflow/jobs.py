"""From the configuration to each job: one function per rule, which takes the workflow and the rule's wildcards.

What stands in a job is what a change of the configuration reruns it for; see `udpdiff.jobs`. Those that make clips, labels and
captions are in `data_jobs`, those of tables in `tables`.
"""

from __future__ import annotations

from udpdiff import jobs
from udpdiff.config.data import Fetching
from udpdiff.config.schema import LABEL_KINDS
from udpdiff.metrics.registry import CAPTIONER, CAPTIONS
from udpdiff.storage.coarse_values import FULL_BITS
from udpdiff.tasks import get_task
from udpdiff.workflow.data_jobs import estimate_depth, segment_entities
from udpdiff.workflow.tables import trained_on
from udpdiff.workflow.workflow import PLAIN_TEXT, VIDEO, Workflow


def execution(workflow: Workflow) -> jobs.Execution:
    """How all jobs are carried out."""
    config = workflow.config
    return jobs.Execution(
        device=config.device,
        max_failed_share=config.labels.max_failed_share,
        fetching=Fetching(**config.panda70m.model_dump(include=set(Fetching.model_fields))),
        training={run: config.training_execution(run) for run in config.trainings()},
        offload=config.sampling.offload,
    )


def encode_latents(workflow: Workflow, stream: str) -> jobs.EncodeLatents:
    config = workflow.config
    encoding = config.encoding
    common = {"base": config.model.base, "dtype": encoding.vae_dtype, "batch_clips": encoding.batch_clips}
    if stream == VIDEO:
        return jobs.EncodeLatents(**common)
    name, colormap, _ = stream.split("-")
    return jobs.EncodeLatents(
        **common,
        task=name,
        colormap=colormap,
        options=workflow.task_options(name, colormap),
        encodings=get_task(name).encodings(colormap, config.task_options(name)),
        seed=config.seed if colormap in get_task(name).random_colormaps else None,
    )


def encode_text(workflow: Workflow, style: str) -> jobs.EncodeText:
    config = workflow.config
    task = None if style == PLAIN_TEXT else style
    return jobs.EncodeText(base=config.model.base, dtype=config.encoding.text_dtype, task=task)


def train(workflow: Workflow, run: str) -> jobs.Train:
    config, spec = workflow.config, workflow.config.run(run)
    return jobs.Train(
        run=run,
        seed=workflow.training_seed(run),
        tasks=spec.tasks,
        task_condition=spec.task_condition,
        colormaps={task: spec.colormap(task) for task in spec.tasks},
        streams=workflow.run_streams(run),
        model=config.run_model(run),
        recipe=config.recipe(run),
        text_dtype=config.encoding.text_dtype if config.encoding.text == "live" else None,
        data=trained_on(workflow, run),
    )


def take_model(workflow: Workflow, run: str) -> jobs.TakeModel:
    """run: the name of the model, which stands among the runs."""
    model = workflow.config.models[run]
    return jobs.TakeModel(model=run, checkpoint=model.checkpoint, tasks=tuple(model.tasks))


def sample(workflow: Workflow, run: str, task: str, shard: int) -> jobs.Sample:
    sampling = workflow.config.sampling
    first = shard * sampling.shard_prompts
    names = {"caption", "num_inference_steps", "guidance_scale", "seed", "batch_size", "dtype", "codec", "acceleration"}
    if sampling.acceleration in ("first_block_cache", "mag_cache"):
        names |= {"acceleration_threshold"}
    continuous = task != VIDEO and get_task(task).is_continuous
    return jobs.Sample(
        run=run,
        task=task,
        prediction_bits=workflow.config.storage.depth_bits if continuous else FULL_BITS,
        first=first,
        count=min(sampling.shard_prompts, workflow.prompt_count - first),
        size=workflow.config.clip_size(),
        **sampling.model_dump(include=names),
    )


def extract_features(workflow: Workflow) -> jobs.ExtractFeatures:
    """Real clips are measured as generated ones are: their figures are what those of a model are to be read beside."""
    return jobs.ExtractFeatures(**workflow.config.extractors().model_dump(), caption=workflow.config.sampling.caption)


def compare_samples(workflow: Workflow, run: str, task: str) -> jobs.CompareSamples:
    return jobs.CompareSamples(
        task=task,
        options=workflow.task_options(task),
        judge=workflow.judge_of(run, task),
        comparators=workflow.comparators_of(run, task),
    )


def evaluate_samples(workflow: Workflow, run: str, task: str) -> jobs.EvaluateSamples:
    config = workflow.config
    return jobs.EvaluateSamples(
        run=run,
        task=task,
        seed=config.seed,
        bootstrap_samples=config.metrics.bootstrap_samples,
        judge=workflow.judge_of(run, task),
        comparators=workflow.comparators_of(run, task),
    )


def compare_with_base(workflow: Workflow) -> jobs.CompareWithBase:
    pairs = tuple(workflow.pairs_against_base())
    return jobs.CompareWithBase(base=workflow.base_run() or "", pairs=pairs)


def label_quality(workflow: Workflow) -> jobs.LabelQuality:
    config = workflow.config
    return jobs.LabelQuality(
        seed=config.seed,
        bootstrap_samples=config.metrics.bootstrap_samples,
        judges={kind: getattr(config.metrics.judges, kind) for kind in LABEL_KINDS}
        | ({CAPTIONS: CAPTIONER} if config.labels.captions.captioner else {}),
        tasks={name: workflow.task_options(name) for name in workflow.measured_tasks()},
    )


def codec_quality(workflow: Workflow) -> jobs.CodecQuality:
    config = workflow.config
    return jobs.CodecQuality(
        base=config.model.base,
        dtype=config.encoding.vae_dtype,
        max_clips=config.metrics.codec_clips,
        batch_clips=config.encoding.batch_clips,
        seed=config.seed,
        bootstrap_samples=config.metrics.bootstrap_samples,
        tasks={
            name: {
                key: value
                for colormap in get_task(name).colormaps
                for key, value in workflow.task_options(name, colormap).items()
            }
            for name in workflow.measured_tasks()
        },
    )


def measure_runtime(workflow: Workflow) -> jobs.MeasureRuntime:
    config = workflow.config
    return jobs.MeasureRuntime(
        runs=tuple(workflow.runtime_pairs()),
        seed=config.seed,
        repeats=config.metrics.runtime_repeats,
        size=config.clip_size(),
        **config.sampling.model_dump(include={"num_inference_steps", "guidance_scale", "dtype"}),
    )


def measure_throughput(workflow: Workflow) -> jobs.MeasureThroughput:
    labels = workflow.config.labels
    return jobs.MeasureThroughput(
        labellers={f"entities/{name}": segment_entities(workflow, name) for name in labels.entities}
        | {f"depth/{name}": estimate_depth(workflow, name) for name in labels.depth}
    )


def measure_memory(workflow: Workflow) -> jobs.MeasureMemory:
    """The first training of the report, in batches up to what a process has at once, and twice that."""
    runs = workflow.config.runs
    run = next((run for run, _ in workflow.shown_pairs() if run in runs and runs[run].tasks), None)
    training = train(workflow, run or next(iter(runs))).model_copy(update={"data": None})  # any clips take as much
    most = 2 * max(4, training.recipe.batch_size)
    batches = tuple(2**power for power in range(most.bit_length()) if 2**power <= most)
    return jobs.MeasureMemory(train=training, size=workflow.config.clip_size(), batches=batches)


def render_report(workflow: Workflow) -> jobs.RenderReport:
    return jobs.RenderReport(
        config=workflow.config,
        shown=tuple(workflow.shown_pairs()),
        tables=tuple(workflow.report_tables()),
        sheet=workflow.sheet_clips,
    )


def show_labels(workflow: Workflow) -> jobs.ShowLabels:
    return jobs.ShowLabels(config=workflow.config, shown=(), tables=(), sheet=workflow.sheet_clips)
