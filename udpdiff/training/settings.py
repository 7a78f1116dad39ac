"""What one training run is: the values that decide its weights, and beside them those that only decide how it runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from udpdiff.config import Config

# Two trainings that differ in these alone take the same steps, so a checkpoint of one may be resumed by the other.
EXECUTION_FIELDS = (
    "run",
    "base",  # its content counts, not its place
    "gradient_checkpointing",
    "gradient_accumulation_steps",
    "checkpoint_every_steps",
    "log_every_steps",
    "validation_every_steps",
    "validation_clips",
    "export",
    "num_workers",
)


@dataclass(frozen=True)
class TrainingSettings:
    """One run, flat: `Config.runs[run]`, its `training` section and the base checkpoint.

    tasks: share of the samples per task; empty for the unwidened base model. batch_size: samples per optimizer step,
    over all processes and accumulation steps together. Raises ValueError for values that cannot be run.

    Source: UDPDiff, section 4.1 and tables 5 and 7.
    """

    run: str
    base: str  # a checkpoint reference: hub id, folder or mini:NAME
    seed: int
    tasks: dict[str, float]
    steps: int
    batch_size: int
    learning_rate: float
    task_condition: str = "embedding"  # embedding | text
    colormaps: dict[str, str] = field(default_factory=dict)  # of tasks in another than their standard one
    init_in: str = "copy"
    init_out: str = "copy"
    optimizer: str = "adamw"  # adamw | muon: for the matrices inside the blocks, AdamW elsewhere
    warmup_steps: int = 0
    schedule: str = "constant"  # constant | cosine, after the warm-up
    weight_decay: float = 1e-4
    max_grad_norm: float = 1.0
    ema_decay: float | None = None
    objective: str = "v"  # v | eps_weighted
    dense_weight: float = 1.0  # weight of the dense half of the loss beside the video half
    detailed_share: float = 0.8
    caption_dropout: float = 0.1
    mixed_precision: str = "no"  # no | bf16 | fp16
    lora_rank: int | None = None
    gradient_checkpointing: bool = False
    gradient_accumulation_steps: int = 1
    checkpoint_every_steps: int = 200
    log_every_steps: int = 10
    validation_every_steps: int = 300
    validation_clips: int = 8  # held back from training when no evaluation clips are given
    export: str = "pipeline"  # pipeline | transformer
    num_workers: int = 0  # 0: batches are prepared by one thread of this process

    def __post_init__(self) -> None:
        self._one_of("task_condition", ("embedding", "text"))
        self._one_of("optimizer", ("adamw", "muon"))
        self._one_of("schedule", ("constant", "cosine"))
        self._one_of("objective", ("v", "eps_weighted"))
        self._one_of("export", ("pipeline", "transformer"))
        self._one_of("mixed_precision", ("no", "bf16", "fp16"))
        for name in ("steps", "batch_size", "learning_rate", "checkpoint_every_steps", "log_every_steps"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected more than 0.")
        if self.tasks and abs(sum(self.tasks.values()) - 1) > 1e-6:
            raise ValueError(f"tasks: the shares {self.tasks} add up to {sum(self.tasks.values()):g}, expected 1.")
        if self.batch_size % self.gradient_accumulation_steps:
            raise ValueError(
                f"batch_size: got {self.batch_size}, expected a multiple of gradient_accumulation_steps"
                f" ({self.gradient_accumulation_steps}): it counts the samples of one optimizer step."
            )

    def _one_of(self, name: str, allowed: tuple[str, ...]) -> None:
        if getattr(self, name) not in allowed:
            raise ValueError(f"{name}: got {getattr(self, name)!r}, expected one of {allowed}.")

    @classmethod
    def from_config(cls, config: Config, run: str) -> TrainingSettings:
        """Return the settings of one entry of `config.runs`, its own overrides applied."""
        entry = config.runs[run]
        return cls(
            run=run,
            base=config.model.base,
            init_in=config.model.init_in,
            init_out=config.model.init_out,
            seed=config.seed,
            tasks=dict(entry.tasks),
            task_condition=entry.task_condition,
            colormaps={"seg": entry.colormap} if "seg" in entry.tasks else {},
            **config.run_training(run).model_dump(),
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingSettings:
        """Return settings from a json-able dict; ValueError for a key that does not exist."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"Unknown training setting {unknown[0]!r}; allowed: {', '.join(known)}.")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return all values, json-able."""
        return asdict(self)

    def deciding(self) -> dict[str, Any]:
        """Return the values that decide the weights; `steps` counts only where the schedule looks at the end."""
        values = {name: value for name, value in self.to_dict().items() if name not in EXECUTION_FIELDS}
        if self.schedule == "constant":
            del values["steps"]
        # The order of the tasks decides which of them owns the first clip order; json digests would sort it away.
        values["tasks"] = [list(share) for share in self.tasks.items()]
        return values
