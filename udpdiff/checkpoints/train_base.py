"""Trains the base model of `mini:cogvideox`: a small CogVideoX transformer and T5 encoder, jointly, on scenes.

    python -m udpdiff.checkpoints.train_base --out DIR --vae DIR/vae (--steps N | --minutes M) [--seed S] [--resume DIR]

The first training sees scenes as the other mini checkpoints do, with up to five solids; --resume goes on from the
averaged weights of a saved folder on scenes as the default run's, fewer and bigger solids, also seen in a mirror.

DIR becomes a CogVideoXPipeline folder. CogVideoX takes a pretrained T5; none is this small, so the encoder learns with
the transformer. Objective: v-prediction, high noise levels drawn more often, cells with solids weighted up until the
last quarter; 10 % of the prompts are empty.

Source: CogVideoX (Yang et al. 2024), sections 2 and 3; zero-initialised gates after Peebles and Xie 2023 (adaLN-Zero).
"""

from __future__ import annotations

import argparse
import copy
import shutil
from pathlib import Path

import numpy as np
import torch

from udpdiff.checkpoints import base_quality, base_samples
from udpdiff.checkpoints.base_data import load_data, mirrored
from udpdiff.checkpoints.budget import Budget, TrainingLog, add_budget_arguments, follow
from udpdiff.checkpoints.card import steps_of, write_card
from udpdiff.checkpoints.half_weights import forget_source, save_half_weights
from udpdiff.checkpoints.scene_cache import DEFAULT_SCENES, HELD_OUT_SEED, cached_scenes
from udpdiff.checkpoints.tokenizer import TEXT_LENGTH, build_tokenizer
from udpdiff.checkpoints.train_vae import SETTINGS
from udpdiff.storage.folders import replace_folder
from udpdiff.training.attention_kernel import training_attention
from udpdiff.training.muon import MuonAdam
from udpdiff.training.optimizer import split_parameters

TRAIN_SCENES, HELD_OUT_SCENES = 6000, 48
TEXT_DIM, TEXT_LAYERS = 128, 2
BATCH = 16
PEAK_LEARNING_RATE, RESUMED_LEARNING_RATE, WARMUP_STEPS, EMA_DECAY = 3e-3, 2.4e-3, 60, 0.998
SOLIDS_WEIGHT, SOLIDS_WEIGHT_UNTIL = (
    3.0,
    0.75,
)  # solids fill a seventh of a picture; the end of a training is unweighted
SAVE_EVERY_SECONDS = 600
_NOTES = (
    "A CogVideoXPipeline folder of 64 x 64 px, 9 frames. Transformer and T5 encoder were trained jointly, from scratch "
    "(CogVideoX takes a pretrained T5; none is this small), by v-prediction on the latents of `vae/`, which has a "
    "card too. The tokenizer's vocabulary was counted from the captions. Prompts are padded to 48 tokens and the encoder "
    "sees no attention mask, as in CogVideoXPipeline: pass `max_sequence_length=48`."
)


def build_scheduler():
    """CogVideoX-5B's noise levels: scaled linear, zero terminal SNR, v-prediction."""
    from diffusers import CogVideoXDDIMScheduler

    return CogVideoXDDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        snr_shift_scale=1.0,
        set_alpha_to_one=True,
        clip_sample=False,
        timestep_spacing="trailing",
    )


def build_transformer():
    """The transformer with zero-initialised gates and output, so that each block starts as the identity."""
    from diffusers import CogVideoXTransformer3DModel

    model = CogVideoXTransformer3DModel(
        num_attention_heads=4,
        attention_head_dim=64,  # a width of 256: a widened model passes the noise of both streams through, 2 x 64 values a token
        num_layers=4,
        time_embed_dim=64,
        text_embed_dim=TEXT_DIM,
        max_text_seq_length=TEXT_LENGTH,
        patch_size=2,
        sample_height=SETTINGS.height // 4,
        sample_width=SETTINGS.width // 4,
        sample_frames=SETTINGS.num_frames,
        spatial_interpolation_scale=1.0,
        temporal_interpolation_scale=1.0,
    )
    linears = [block.norm1.linear for block in model.transformer_blocks]
    linears += [block.norm2.linear for block in model.transformer_blocks] + [model.norm_out.linear, model.proj_out]
    for linear in linears:
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    return model


def build_text_encoder(vocabulary_size: int):
    """A two-layer T5 encoder, without dropout."""
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(
            vocab_size=vocabulary_size,
            d_model=TEXT_DIM,
            d_kv=32,
            d_ff=256,
            num_layers=TEXT_LAYERS,
            num_heads=4,
            dropout_rate=0.0,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=True,
        )
    )


class Objective(torch.nn.Module):
    """v-prediction loss of transformer and text encoder together."""

    def __init__(self, transformer, text_encoder, scheduler) -> None:
        super().__init__()
        self.transformer, self.text_encoder = transformer, text_encoder
        self.alphas_cumprod = scheduler.alphas_cumprod.float()

    def forward(self, latents, token_ids, noise, timesteps, weight=None) -> torch.Tensor:
        alpha = self.alphas_cumprod[timesteps].view(-1, 1, 1, 1, 1)
        noisy_latents = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
        tokens = token_ids.shape[1] + latents[0, :, 0].numel() // self.transformer.config.patch_size**2
        with (
            torch.autocast("cpu", torch.bfloat16),
            training_attention(tokens, latents.device, "bf16"),
        ):
            prompt_embeds = self.text_encoder(token_ids)[0]
            output = self.transformer(noisy_latents, prompt_embeds, timesteps, return_dict=False)[0]
        error = (output.float() - velocity).square()
        return error.mean() if weight is None else (weight * error).mean() / weight.mean()


def draw_timesteps(count: int, generator: torch.Generator, levels: int = 1000) -> torch.Tensor:
    """Noise levels with density rising linearly, one from each of `count` equal strata: less noise in the loss.

    The high levels decide where solids are and what shape they have, and are by far the slowest to learn.
    """
    strata = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    return (strata.sqrt() * levels).long().clamp(max=levels - 1)


def save_pipeline(folder: Path, vae_folder: Path, tokenizer, objective: Objective, scheduler) -> None:
    """A whole CogVideoXPipeline folder: stored in float16, loads as float32; the VAE as it is, with its card."""
    from diffusers import AutoencoderKLCogVideoX, CogVideoXPipeline

    pipeline = CogVideoXPipeline(
        tokenizer=tokenizer,
        text_encoder=objective.text_encoder,
        vae=AutoencoderKLCogVideoX.from_pretrained(vae_folder).half(),
        transformer=copy.deepcopy(objective.transformer).half(),
        scheduler=scheduler,
    )
    pipeline.save_pretrained(folder)
    forget_source(folder / "transformer")
    save_half_weights(objective.text_encoder, folder / "text_encoder")
    shutil.copytree(vae_folder, folder / "vae", dirs_exist_ok=True)


def load_tokenizer(folder: Path):
    """The tokenizer of a saved pipeline: its ids belong to that pipeline's text encoder."""
    from transformers import T5TokenizerFast

    return T5TokenizerFast.from_pretrained(folder / "tokenizer")


def load_objective(folder: Path) -> Objective:
    """Transformer and text encoder of a saved pipeline, in float32."""
    from diffusers import CogVideoXPipeline

    pipeline = CogVideoXPipeline.from_pretrained(folder)
    return Objective(pipeline.transformer.float(), pipeline.text_encoder.float(), pipeline.scheduler)


def train(args: argparse.Namespace) -> None:
    """Train, log, export every few minutes and at the end."""
    from diffusers import AutoencoderKLCogVideoX

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    settings = DEFAULT_SCENES if args.resume else SETTINGS
    scenes = cached_scenes(settings, args.scenes, 0, args.cache)
    scheduler = build_scheduler()
    tokenizer = load_tokenizer(args.resume) if args.resume else build_tokenizer(scenes.brief + scenes.detailed)
    vae = AutoencoderKLCogVideoX.from_pretrained(args.vae)
    data = load_data(vae, tokenizer, scenes, mirrored(scenes)) if args.resume else load_data(vae, tokenizer, scenes)
    held_out = load_data(vae, tokenizer, cached_scenes(settings, HELD_OUT_SCENES, HELD_OUT_SEED, args.cache))
    if args.resume is None:
        objective, peak = (
            Objective(build_transformer(), build_text_encoder(len(tokenizer)), scheduler),
            PEAK_LEARNING_RATE,
        )
    else:
        objective, peak = load_objective(args.resume), RESUMED_LEARNING_RATE
    ema = copy.deepcopy(objective).requires_grad_(False)
    optimizer = MuonAdam(*split_parameters(objective.named_parameters()), lr=peak, adam_ratio=0.5)
    budget, log = Budget(args.steps, args.minutes), TrainingLog(args.out.with_name(f"{args.out.name}.training.jsonl"))
    next_save, losses = SAVE_EVERY_SECONDS, []
    while budget.progress < 1:
        latents, solids, token_ids = data.batch(BATCH, generator)
        weight = 1 + (SOLIDS_WEIGHT - 1) * solids.float() if budget.progress < SOLIDS_WEIGHT_UNTIL else None
        for group in optimizer.param_groups:
            group["lr"] = budget.learning_rate(peak, WARMUP_STEPS)
        noise = torch.randn(latents.shape, generator=generator)
        loss = objective(latents, token_ids, noise, draw_timesteps(BATCH, generator), weight)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
        optimizer.step()
        budget.step += 1
        follow(ema, objective, min(EMA_DECAY, (1 + budget.step) / (10 + budget.step)))
        losses.append(loss.item())
        if budget.step % 50 == 0:
            log.add(step=budget.step, loss=float(np.mean(losses)), seconds=budget.elapsed_seconds)
            losses = []
        if budget.elapsed_seconds > next_save or budget.progress >= 1:
            next_save = budget.elapsed_seconds + SAVE_EVERY_SECONDS
            quality = base_quality.measure(ema, held_out.latents, held_out.detailed)
            log.add(step=budget.step, **quality)
            export(args, tokenizer, ema, scheduler, budget, log, quality)


def export(args, tokenizer, ema: Objective, scheduler, budget: Budget, log: TrainingLog, quality: dict) -> None:
    """Put the pipeline in place with its card, and sample a sheet of prompts beside it when asked."""

    with replace_folder(args.out) as folder:
        save_pipeline(folder, args.vae, tokenizer, ema, scheduler)
        write_card(
            folder,
            name="cogvideox",
            data=f"{args.scenes} rendered scenes (seeds from 0) with their captions"
            + (f", and their mirror images, {DEFAULT_SCENES}" if args.resume else f", {SETTINGS}"),
            steps=budget.step,
            seed=args.seed,
            quality=quality,
            curve=[(row["step"], row["loss"]) for row in log.rows if "loss" in row],
            notes=_NOTES
            + (f" Resumed from {steps_of(args.resume)} earlier steps on {SETTINGS}." if args.resume else ""),
        )
    if args.sheet:
        base_samples.write_sheet(args.out, args.sheet)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_budget_arguments(parser)
    parser.add_argument("--vae", type=Path, required=True, help="folder of the trained VAE")
    parser.add_argument("--resume", type=Path, default=None, help="folder of a pipeline to go on from")
    parser.add_argument("--scenes", type=int, default=TRAIN_SCENES, help="number of training scenes")
    parser.add_argument("--sheet", type=Path, default=None, help="PNG of sampled frames, rewritten at each export")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
