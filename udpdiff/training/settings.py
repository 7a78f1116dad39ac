"""What one training run is: the values that decide its weights, and beside them those that only decide how it runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from udpdiff.config.training import Training, TrainingExecution
from udpdiff.config_values import SEED_LIMIT

if TYPE_CHECKING:
    from udpdiff import jobs

# Two trainings that differ in these alone take the same steps, so a checkpoint of one may be resumed by the other. Of the
# base its content counts, not its place.
NOT_DECIDING = ("run", "base", "export", *TrainingExecution.model_fields)


@dataclass(frozen=True)
class TrainingSettings:
    """One run, flat: a `jobs.Train` without its folders, and how it is carried out.

    Attributes:
        run: Its name.
        base: A checkpoint reference: hub id, folder or mini:NAME.
        seed: Of everything that is drawn, 0 or more.
        tasks: Share of the samples by task, in the order of the rows of the task embedding; empty for the base model.
        batch_size: Samples per optimizer step, over all processes and accumulation steps together.
        colormaps: The colour encoding of each task, where it is not the standard one.
        optimizer: adamw; adamw_8bit, its averages in 8 bits; or muon for the matrices inside the blocks and AdamW
            elsewhere.
        schedule: constant or cosine, after the warm-up.
        dense_weight: Weight of the dense stream's loss beside the video's.
        validation_clips: How many clips are validated on, and held back from training when no evaluation clips are given.

    Raises:
        ValueError: Values that cannot be run.

    Source: UDPDiff, section 4.1 and tables 5 and 7.
    """

    run: str
    base: str
    seed: int
    tasks: dict[str, float]
    steps: int
    batch_size: int
    learning_rate: float
    task_condition: str = "embedding"  # embedding | text
    colormaps: dict[str, str] = field(default_factory=dict)
    init_in: str = "copy"
    init_out: str = "copy"
    optimizer: str = "adamw"
    warmup_steps: int = 0
    schedule: str = "constant"
    weight_decay: float = 1e-4
    max_grad_norm: float = 1.0
    ema_decay: float | None = None
    objective: str = "v"  # v | eps_weighted
    dense_weight: float = 1.0
    detailed_share: float = 0.8
    caption_dropout: float = 0.1
    mixed_precision: str = "no"  # no | bf16 | fp16
    lora_rank: int | None = None
    validation_clips: int = 8
    sharding: str = "none"  # none | full
    gradient_checkpointing: bool = False
    gradient_accumulation_steps: int = 1
    compile: bool = False
    offload_optimizer: bool = False
    checkpoint_every_steps: int = 200
    log_every_steps: int = 10
    validation_every_steps: int = 300
    keep_optimizer: bool = False
    trackers: tuple[str, ...] = ()  # tensorboard | wandb | trackio
    export: str = "pipeline"  # pipeline | transformer

    def __post_init__(self) -> None:
        # The bounds are those of the configuration; its error names the field, what was got and what is allowed.
        Training(**{name: getattr(self, name) for name in Training.model_fields})
        if not 0 <= self.seed < SEED_LIMIT:
            raise ValueError(f"seed: got {self.seed}, expected 0 to {SEED_LIMIT - 1}.")
        if self.task_condition not in ("embedding", "text"):
            raise ValueError(f"task_condition: got {self.task_condition!r}, expected 'embedding' or 'text'.")
        if self.tasks and abs(sum(self.tasks.values()) - 1) > 1e-6:
            raise ValueError(f"tasks: the shares {self.tasks} add up to {sum(self.tasks.values()):g}, expected 1.")
        if self.batch_size % self.gradient_accumulation_steps:
            raise ValueError(
                f"batch_size: got {self.batch_size}, expected a multiple of gradient_accumulation_steps"
                f" ({self.gradient_accumulation_steps}): it counts the samples of one optimizer step."
            )

    @classmethod
    def from_job(cls, job: jobs.Train, execution: TrainingExecution) -> TrainingSettings:
        """Return the settings of a run of the workflow."""
        names = ("run", "seed", "tasks", "task_condition", "colormaps")
        sections = (job.model, job.recipe, execution)
        return cls(
            **{name: getattr(job, name) for name in names},
            **{name: value for section in sections for name, value in section.model_dump().items()},
        )

    def deciding(self) -> dict[str, Any]:
        """Return the values that decide the weights; `steps` counts only where the schedule looks at the end."""
        values = {name: value for name, value in asdict(self).items() if name not in NOT_DECIDING}
        if self.schedule == "constant":
            del values["steps"]
        # The order of the tasks decides which of them owns the first clip order; json digests would sort it away.
        values["tasks"] = [list(share) for share in self.tasks.items()]
        return values
