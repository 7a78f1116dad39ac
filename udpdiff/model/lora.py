"""Low-rank adaptation: what is trained, the files that it is kept in, and how a pipeline reads them.

Low-rank updates of the attention go into a file that diffusers' own `load_lora_weights` reads, which takes nothing else.
The layers that widening touched are trained in full and lie beside it, with a description of the model that they are of;
neither file is worth anything without the other. A run that widens nothing has the adapter alone.

    from udpdiff.model.loading import widened_pipeline

    pipeline = widened_pipeline("THUDM/CogVideoX-2b", {"seg": "pixelplanes", "depth": "spectral"})
    pipeline.load_lora_weights("results/runs/multi/adapter")
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from diffusers import CogVideoXPipeline, CogVideoXTransformer3DModel
from diffusers.loaders import CogVideoXLoraLoaderMixin
from diffusers.loaders.lora_base import LORA_WEIGHT_NAME_SAFE
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from udpdiff.checkpoints import hub
from udpdiff.files import file_sha256
from udpdiff.model.transformer import UDPDiffTransformer3DModel

ADAPTER_FILE, WIDENED_FILE = LORA_WEIGHT_NAME_SAFE, "widened.safetensors"
# Layers that a low-rank update cannot stand in for: they changed shape, or did not exist.
_WIDENED_LAYERS = ("patch_embed.proj", "proj_out", "task_embedding", "stream_projections")
_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
_DESCRIPTION = "udpdiff"
# Frozen weights that tell bases apart: so many of a matrix in every block, as much alike as fine-tuning leaves them.
_PROBED, _PROBED_VALUES, _MIN_LIKENESS = "ff.net.2.weight", 64, 0.9


def add_lora(transformer: CogVideoXTransformer3DModel, rank: int) -> None:
    """Freeze the transformer but for low-rank updates of its attention and, of a widened one, the layers it changed.

    Raises:
        ValueError: `peft` is not installed.
    """
    try:
        from peft import LoraConfig
    except ImportError:
        raise ValueError(
            f"lora_rank: got {rank}, but LoRA needs the package `peft`, which is not installed. Install it (pip install"
            ' -e ".[lora]"), or set lora_rank to null for full fine-tuning.'
        ) from None
    # The adapter's own start is random, and a resumed run must not depend on what drew numbers before.
    torch.manual_seed(0)
    transformer.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(_TARGETS)))
    trained = widened_names(transformer)
    for name, parameter in transformer.named_parameters():
        parameter.requires_grad_("lora_" in name or name in trained)


def merge_lora(transformer: CogVideoXTransformer3DModel) -> None:
    """Add the low-rank updates to the weights that they are of; what is left is a transformer as any."""
    transformer.fuse_lora()
    transformer.unload_lora()


def widened_names(transformer: CogVideoXTransformer3DModel) -> list[str]:
    """Return the parameters that widening touched; none of a transformer that was not widened."""
    if not isinstance(transformer, UDPDiffTransformer3DModel):
        return []
    return [name for name, _ in transformer.named_parameters() if any(layer in name for layer in _WIDENED_LAYERS)]


def save_adapter(transformer: CogVideoXTransformer3DModel, folder: Path, description: dict[str, Any]) -> None:
    """Write the low-rank updates of a trained transformer and, if it was widened, the layers trained in full; float32.

    Args:
        transformer: With low-rank updates that are not merged.
        folder: Made if need be.
        description: What the pipeline is told about tasks (`task_condition`, `tasks`, `streams`); json-able.
    """
    from peft import get_peft_model_state_dict

    layers = {name: tensor.float() for name, tensor in get_peft_model_state_dict(transformer).items()}
    config = transformer.peft_config["default"]
    options = {name: sorted(value) if isinstance(value, set) else value for name, value in config.to_dict().items()}
    CogVideoXPipeline.save_lora_weights(
        folder, transformer_lora_layers=layers, transformer_lora_adapter_metadata=options
    )
    names = widened_names(transformer)
    if names:
        state = transformer.state_dict()
        layers = {name: state[name].float().cpu().contiguous() for name in names}
        content = {"rank": config.r, "adapter_sha256": file_sha256(folder / ADAPTER_FILE), "probe": _probe(transformer)}
        content["widened_sha256"] = _tensors_sha256(layers)
        metadata = {"format": "pt", _DESCRIPTION: json.dumps(description | content)}
        save_file(layers, folder / WIDENED_FILE, metadata=metadata)


class WidenedLoraLoader(CogVideoXLoraLoaderMixin):
    """Of a pipeline with a widened transformer: `load_lora_weights` and `unload_lora_weights` for both files.

    Fusing, scaling and switching adapters stay diffusers' own, and act on the low-rank updates alone.
    """

    _unadapted: dict[str, torch.Tensor] | None = None

    def load_lora_weights(
        self,
        pretrained_model_name_or_path_or_dict: str | Path | dict[str, torch.Tensor],
        adapter_name: str | None = None,
        hotswap: bool = False,
        widened: bool = True,
        **kwargs: Any,
    ) -> None:
        """Read what `save_adapter` wrote: the low-rank updates and the layers trained in full.

        Args:
            pretrained_model_name_or_path_or_dict: A folder, a hub id, or ID@REVISION.
            widened: False reads low-rank updates of plain CogVideoX, as diffusers does, in any form that it takes.
            kwargs: Those of diffusers, such as `subfolder`, `revision`, `token`.

        Raises:
            ValueError: One of the files is missing, they are not of one training, or of a model other than this one;
                nothing is changed then.
        """
        if not widened:
            return super().load_lora_weights(pretrained_model_name_or_path_or_dict, adapter_name, hotswap, **kwargs)
        if isinstance(pretrained_model_name_or_path_or_dict, dict) or hotswap:
            raise ValueError(
                "Got a state dict or hotswap=True, expected a folder or a hub id with the files"
                f" {ADAPTER_FILE} and {WIDENED_FILE}. Pass widened=False for low-rank updates of plain CogVideoX."
            )
        if any(parameter.is_meta for parameter in self.transformer.parameters()):
            raise ValueError(
                "Got a transformer whose weights lie elsewhere, expected them in place. Load the adapter before"
                " enable_sequential_cpu_offload()."
            )
        if self._unadapted is not None:
            raise ValueError(
                "Got a second adapter, expected one: the layers trained in full cannot be those of two trainings. Call"
                " unload_lora_weights() first."
            )
        folder, kwargs = _local_folder(pretrained_model_name_or_path_or_dict, **kwargs)
        layers = self._read_widened(folder)
        super().load_lora_weights(str(folder), adapter_name, weight_name=ADAPTER_FILE, **kwargs)
        state = self.transformer.state_dict()
        self._unadapted = {name: state[name].clone() for name in layers}
        self.transformer.load_state_dict(layers, strict=False)

    def unload_lora_weights(self) -> None:
        """Take the low-rank updates away, and put back what the layers trained in full were before."""
        super().unload_lora_weights()
        if self._unadapted is not None:
            self.transformer.load_state_dict(self._unadapted, strict=False)
            self._unadapted = None

    def _read_widened(self, folder: Path) -> dict[str, torch.Tensor]:
        """Return the layers trained in full, once all that can be wrong with both files has been looked at."""
        for name in (ADAPTER_FILE, WIDENED_FILE):
            if not (folder / name).is_file():
                raise ValueError(
                    f"{folder}: got no {name}, expected {ADAPTER_FILE} and {WIDENED_FILE} of one training: neither is of"
                    " use without the other. For low-rank updates of plain CogVideoX pass widened=False."
                )
        with safe_open(folder / WIDENED_FILE, "pt") as file:
            description = json.loads((file.metadata() or {}).get(_DESCRIPTION, "{}"))
        if description.get("adapter_sha256") != file_sha256(folder / ADAPTER_FILE):
            raise ValueError(
                f"{folder}: got {ADAPTER_FILE} and {WIDENED_FILE} of different trainings, expected both of one"
                " and undamaged. Copy both files from the run's folder `adapter`."
            )
        self._check_description(folder, description)
        layers = load_file(folder / WIDENED_FILE)
        if description.get("widened_sha256") != _tensors_sha256(layers):
            raise ValueError(
                f"{folder}: {WIDENED_FILE} is damaged: its tensors are not what was written (sha256). Copy both files again"
                " from the run's folder `adapter`, or export the run again."
            )
        _check_shapes(folder, self.transformer, load_file(folder / ADAPTER_FILE), layers, description["rank"])
        _check_base(folder, self.transformer, description["probe"])
        return layers

    def _check_description(self, folder: Path, description: dict[str, Any]) -> None:
        streams = {stream.name: list(stream.tasks) for stream in self.streams.streams}
        own = {"tasks": self.config.tasks, "task_condition": self.config.task_condition, "streams": streams}
        for name, value in own.items():
            given = description.get(name)
            # The order of tasks is that of the rows of their embedding, that of streams is that of the channels.
            if json.dumps(given) != json.dumps(value):
                raise ValueError(
                    f"{folder}: got an adapter with {name} {given}, expected {value}, as this pipeline has. Widen the base"
                    " for those of the adapter: udpdiff.model.loading.widened_pipeline(base, tasks, task_condition)."
                )


def _local_folder(reference: str | Path, **kwargs: Any) -> tuple[Path, dict[str, Any]]:
    """Return the folder with an adapter's files, fetched from the hub if need be, and the arguments that are left."""
    subfolder = kwargs.pop("subfolder", None) or ""
    names = ("cache_dir", "force_download", "local_files_only", "token", "revision")
    options = {name: kwargs.pop(name) for name in names if name in kwargs}
    kwargs.pop("weight_name", None)
    folder = Path(reference)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        if not (found := hub.split(str(reference))):
            raise ValueError(
                f"Got an adapter at {reference}, where no folder is, expected a folder, a hub id or ID@REVISION."
            )
        name, revision = found
        options |= {"revision": revision} if revision else {}
        files = [(Path(subfolder) / name).as_posix() for name in (ADAPTER_FILE, WIDENED_FILE)]
        folder = Path(snapshot_download(name, allow_patterns=files, **options))
    return folder / subfolder, kwargs


def _check_shapes(
    folder: Path,
    transformer: CogVideoXTransformer3DModel,
    adapter: dict[str, torch.Tensor],
    layers: dict[str, torch.Tensor],
    rank: int,
) -> None:
    """Raise ValueError unless the files hold exactly the tensors that this transformer needs."""
    state = {name: tuple(tensor.shape) for name, tensor in transformer.named_parameters()}
    expected = {name: state[name] for name in widened_names(transformer)}
    for name, (out_features, in_features) in _targets(transformer).items():
        expected[f"transformer.{name}.lora_A.weight"] = (rank, in_features)
        expected[f"transformer.{name}.lora_B.weight"] = (out_features, rank)
    given = {name: tuple(tensor.shape) for name, tensor in (adapter | layers).items()}
    for name in sorted(expected.keys() | given.keys()):
        if given.get(name) != expected.get(name):
            raise ValueError(
                f"{folder}: got an adapter with {name} of shape {given.get(name)}, expected {expected.get(name)} for rank"
                f" {rank}: it was trained on a transformer of another size. Load it into its own base, widened alike."
            )


def _targets(transformer: CogVideoXTransformer3DModel) -> dict[str, tuple[int, int]]:
    """Return the linear layers that get low-rank updates, by name: (out_features, in_features)."""
    return {
        name: (module.out_features, module.in_features)
        for name, module in transformer.named_modules()
        if name.endswith(tuple(f".{target}" for target in _TARGETS)) and hasattr(module, "in_features")
    }


def _tensors_sha256(tensors: dict[str, torch.Tensor]) -> str:
    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name}\0{tuple(tensor.shape)}\0{tensor.dtype}\0".encode())
        total.update(tensor.numpy())
    return total.hexdigest()


def _probe(transformer: CogVideoXTransformer3DModel) -> list[float]:
    """Return a few frozen weights of every block."""
    blocks = (block.get_parameter(_PROBED) for block in transformer.transformer_blocks)
    values = torch.cat([weight.detach().flatten()[:_PROBED_VALUES].float().cpu() for weight in blocks])
    return [float(f"{value:.4g}") for value in values.tolist()]


def _check_base(folder: Path, transformer: CogVideoXTransformer3DModel, probe: list[float]) -> None:
    """Raise ValueError for a base of the same size with other weights; rounded or fine-tuned ones are the same base."""
    own = torch.tensor(_probe(transformer), dtype=torch.float64)
    likeness = float(torch.cosine_similarity(own, torch.tensor(probe, dtype=torch.float64), dim=0))
    if likeness < _MIN_LIKENESS:
        raise ValueError(
            f"{folder}: got an adapter of another base: frozen weights that it was trained beside are {likeness:.2f} alike"
            f" (cosine) to those of this transformer, expected at least {_MIN_LIKENESS}. Load it into its own base."
        )
