"""Checks of what a sampling call asks for, made before any model runs; each error says got, expected, remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers.utils.torch_utils import unwrap_module

from udpdiff.finite import check_finite
from udpdiff.model.call_numbers import check_whole
from udpdiff.model.streams import Streams
from udpdiff.model.transformer import UDPDiffTransformer3DModel


def check_present(parts: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raise ValueError where a part of the pipeline, by name, is None."""
    for name in names:
        if parts[name] is None:
            raise ValueError(
                f"Got no {name}, expected one: this pipeline was made without it. Load it with all its parts, or set"
                f" pipeline.{name}."
            )


def check_generator(generator: Any) -> None:
    """Raise ValueError unless it is None, a generator, or a list of them; how many, stock code asks."""
    each = generator if isinstance(generator, list) else [generator]
    if generator is not None and not all(isinstance(one, torch.Generator) for one in each):
        raise ValueError(
            f"Got generator {generator!r}, expected a torch.Generator or a list with one for each video. Make one with"
            " torch.Generator().manual_seed(seed)."
        )


def check_returned(returned: Any, latents: torch.Tensor) -> None:
    """Raise ValueError unless a callback returned a dict, with latents, if any, of the shape and dtype that it was given."""
    new = returned.get("latents", latents) if isinstance(returned, Mapping) else None
    if not torch.is_tensor(new) or new.shape != latents.shape or new.dtype != latents.dtype:
        got = f"{new.dtype} of shape {tuple(new.shape)}" if torch.is_tensor(new) else f"a {type(returned).__name__}"
        raise ValueError(
            f"Got {got} from callback_on_step_end, expected a dict of the tensors that it was given, latents"
            f" {latents.dtype} of shape {tuple(latents.shape)}. Return the dict, changed or not."
        )


def check_streams(streams: Streams, tasks: Sequence[str], task_condition: str) -> None:
    """Raise ValueError unless all tasks share one dense stream, or each has one of its own and no prompt names it."""
    dense = {stream.name: stream.tasks for stream in streams.dense}
    served = [task for names in dense.values() for task in names]
    several = len(dense) > 1
    if sorted(served) != sorted(tasks) or (several and any(len(names) != 1 for names in dense.values())):
        raise ValueError(
            f"Got streams {dense} for the tasks {list(tasks)}, expected one stream for all of them or one for each. Name"
            " every task once; None stands for one stream."
        )
    if several and task_condition == "text":
        raise ValueError(
            f"Got task_condition='text' for streams {dense}, expected 'embedding': a prompt names one task. Take"
            " 'embedding', which needs no rows where every task has a stream."
        )


def check_transformer(transformer: torch.nn.Module, streams: Streams, num_tasks: int) -> None:
    """Raise ValueError unless the transformer has the channels of the streams, and a row for each task that needs one.

    The class counts too: the stock one reads a widened checkpoint, its configuration included, and leaves the task
    embedding out.

    num_tasks: How many tasks an embedding tells apart; 0 for none.
    """
    config = transformer.config
    got = (config.in_channels, config.out_channels, getattr(config, "num_streams", 1))
    if got != (streams.total_channels, streams.total_channels, len(streams)):
        raise ValueError(
            f"Got a transformer with {got[0]} input and {got[1]} output channels for {got[2]} stream(s), expected"
            f" {streams.total_channels} of both: the VAE's {streams.channels} for each of {streams.names}. Widen a"
            " CogVideoX base with udpdiff.model.expansion.expand_transformer."
        )
    if not isinstance(unwrap_module(transformer), UDPDiffTransformer3DModel):
        raise ValueError(
            f"Got a transformer of class {type(transformer).__name__}, expected UDPDiffTransformer3DModel: another class"
            " leaves out the task embedding. Load it with udpdiff.model.transformer.UDPDiffTransformer3DModel, or leave it"
            " to UDPDiffPipeline.from_pretrained."
        )
    if num_tasks and config.num_tasks not in (0, num_tasks):
        raise ValueError(
            f"Got a transformer with num_tasks={config.num_tasks} for {num_tasks} tasks, expected a row for each. Name"
            " the tasks that it was trained on, in their order, or widen a base with as many rows."
        )


def check_conditions(
    conditions: Mapping[str, torch.Tensor], streams: Streams, independent: bool, shape: tuple[int, ...]
) -> Mapping[str, torch.Tensor]:
    """Return conditions; ValueError unless the model can take them, and some streams are given latents (B, F, C, h, w)."""
    if conditions and not independent:
        raise ValueError(
            f"Got conditions {list(conditions)}, expected none: this transformer has independent_timesteps=False. Train"
            " one widened with expand_transformer(..., independent_timesteps=True)."
        )
    if not set(conditions) < set(streams.names):
        raise ValueError(
            f"Got conditions {list(conditions)}, expected some of {streams.names}, but not all. Leave out what is to be"
            " generated."
        )
    for name, latents in conditions.items():
        if tuple(latents.shape) != shape:
            raise ValueError(
                f"Got conditions[{name!r}] of shape {tuple(latents.shape)}, expected {shape}: clean latents, as"
                " udpdiff.model.latents.encode_videos makes them of clips of the size that is asked for."
            )
        check_finite(latents, f"conditions[{name!r}]", latents.dtype)
    return conditions


def check_latents(latents: torch.Tensor, shape: tuple[int, ...], dtype: torch.dtype, names: tuple[str, ...]) -> None:
    """Raise ValueError unless noise of all streams, whose names are given, has a shape (B, F, S * C, h, w) and a dtype.

    Stock code takes any, and crops or crashes later. On which device they are does not matter, as there.
    """
    if tuple(latents.shape) != shape or latents.dtype != dtype:
        raise ValueError(
            f"Got latents {latents.dtype} of shape {tuple(latents.shape)}, expected {dtype} of shape {shape}: (B, F, S * C,"
            f" h, w), noise of {names} for every video of the size that is asked for. Draw it with"
            " udpdiff.model.noise.paired_latents."
        )
    check_finite(latents, "the latents that were given", dtype)


def check_texts(embeds: Mapping[str, Any], max_sequence_length: int | None, config: Mapping[str, Any]) -> None:
    """Raise ValueError unless texts are as long and as wide as the transformer reads them.

    Args:
        embeds: prompt_embeds and negative_prompt_embeds, (B, L, D); None where they are not given.
        max_sequence_length: Of prompts, in tokens; None for the transformer's.
        config: Of the transformer; one with a table of positions reads one length alone.
    """
    length = None if config["use_rotary_positional_embeddings"] else config["max_text_seq_length"]
    for name, value in embeds.items():
        fits = torch.is_tensor(value) and value.ndim == 3 and value.shape[2] == config["text_embed_dim"]
        if value is not None and not (fits and value.shape[1] == (length or value.shape[1])):
            got = f"of shape {tuple(value.shape)}" if hasattr(value, "shape") else f"{value!r}"
            raise ValueError(
                f"Got {name} {got}, expected (B, {length or 'L'}, {config['text_embed_dim']}): those of the text"
                " encoder that the model was trained with. Make them with pipeline.encode_prompt."
            )
    if max_sequence_length is not None:
        check_whole(max_sequence_length=max_sequence_length)
        if max_sequence_length < 1 or max_sequence_length != (length or max_sequence_length):
            raise ValueError(
                f"Got max_sequence_length {max_sequence_length}, expected {length or 'at least 1'}. Leave it out for the"
                " transformer's own."
            )


def check_attention_kwargs(attention_kwargs: Mapping[str, Any]) -> None:
    """Raise ValueError for conditions by number, which belong to the transformer: their streams would come back wrong."""
    if "conditions" in attention_kwargs:
        raise ValueError(
            "Got attention_kwargs with 'conditions', expected them by name of the stream, in the argument conditions. Move"
            " them there."
        )
