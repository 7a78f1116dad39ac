"""The base model of `mini:cogvideox`: a small CogVideoX transformer and T5 encoder, trained jointly on scenes.

The first stage sees scenes as the other mini checkpoints do, with up to five solids; the later ones go on from averaged
weights on scenes as the default run's, fewer and bigger solids, also seen in a mirror. The last sees drawings, heat maps
and outlines of them too, and has latents of fewer channels.

The folder is a CogVideoXPipeline's. CogVideoX takes a pretrained T5; none is this small, so the encoder learns with
the transformer. Objective: v-prediction, high noise levels drawn more often, cells with solids weighted up until the
last quarter; 10 % of the prompts are empty.

Source: CogVideoX (Yang et al. 2024), sections 2 and 3; zero-initialised gates after Peebles and Xie 2023 (adaLN-Zero).
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import torch

from udpdiff.mini.base_data import encode_latents, load_data
from udpdiff.mini.latent_change import carry_over
from udpdiff.mini.pictures import drawings, heat_maps, mirrored, outlines
from udpdiff.mini.scenes import DEFAULT_SCENES, VARIED_SCENES
from udpdiff.mini.tokenizer import TEXT_LENGTH, build_tokenizer
from udpdiff.mini.training import Budget, Options, Recipe, Trainer, save_half
from udpdiff.mini.vae import load_vae
from udpdiff.training.attention import training_attention

TEXT_DIM, TEXT_LAYERS = 128, 2
BATCH = 16
PEAK_LEARNING_RATE, SECOND_LEARNING_RATE = 3e-3, 2.4e-3
CARRIED_SCENES = 160  # whose latents say how one VAE's are those of another
SOLIDS_WEIGHT, SOLIDS_WEIGHT_UNTIL = 3.0, 0.75  # solids fill a seventh of a picture; a training ends unweighted
ADAM_NAMES = ("embed", "bias", "norm", "proj_out")  # so as the training of runs splits the same model
MEASURED_TIMESTEPS = (100, 300, 500, 700, 900)
NOTES = (
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


def build_transformer(channels: int = 16):
    """The transformer for latents of so many channels; gates and output start at zero, so each block as the identity."""
    from diffusers import CogVideoXTransformer3DModel

    model = CogVideoXTransformer3DModel(
        in_channels=channels,
        out_channels=channels,
        num_attention_heads=4,
        attention_head_dim=64,  # a width of 256; a widened model spends a part of it on passing noise through
        num_layers=4,
        time_embed_dim=64,
        text_embed_dim=TEXT_DIM,
        max_text_seq_length=TEXT_LENGTH,
        patch_size=2,
        sample_height=VARIED_SCENES.height // 4,
        sample_width=VARIED_SCENES.width // 4,
        sample_frames=VARIED_SCENES.num_frames,
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
        self.register_buffer("alphas_cumprod", scheduler.alphas_cumprod.float(), persistent=False)

    def forward(self, latents, token_ids, noise, timesteps, weight=None) -> torch.Tensor:
        alpha = self.alphas_cumprod[timesteps].view(-1, 1, 1, 1, 1)
        noisy_latents = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
        tokens = token_ids.shape[1] + latents[0, :, 0].numel() // self.transformer.config.patch_size**2
        with (
            torch.autocast(latents.device.type, torch.bfloat16),
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


def load_pipeline(folder: Path):
    """A saved pipeline in float32; the ids of its tokenizer belong to its text encoder."""
    from diffusers import CogVideoXPipeline

    pipeline = CogVideoXPipeline.from_pretrained(folder, trust_remote_code=False)
    for part in (pipeline.transformer, pipeline.text_encoder):
        part.float()
    return pipeline


class BaseTrainer(Trainer):
    """Transformer and text encoder, from nothing or from the pipeline that start_from names."""

    name = "cogvideox"
    on_any_device = True
    notes = NOTES
    train_scenes, held_out_scenes = 6000, 48
    mixed = False  # whether it sees other pictures of the scenes too

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        settings = DEFAULT_SCENES if self.second else VARIED_SCENES
        scenes = self.load_scenes(settings)
        self.scheduler = build_scheduler()
        vae = load_vae(options.vae)
        if self.second:
            pipeline = load_pipeline(options.start_from)
            self.tokenizer, transformer, text_encoder = pipeline.tokenizer, pipeline.transformer, pipeline.text_encoder
            if pipeline.vae.config.latent_channels != vae.config.latent_channels:
                seen = scenes.head(CARRIED_SCENES).video
                old, new = (encode_latents(each, seen).float() for each in (pipeline.vae.float(), vae))
                transformer = carry_over(transformer, old, new, activation_fn="gelu")
        else:
            self.tokenizer = build_tokenizer(scenes.brief + scenes.detailed)
            transformer = build_transformer(vae.config.latent_channels)
            text_encoder = build_text_encoder(len(self.tokenizer))
        self.model = Objective(transformer, text_encoder, self.scheduler)
        self.batch = options.batch or BATCH
        rate = SECOND_LEARNING_RATE if self.second else PEAK_LEARNING_RATE
        self.recipe = Recipe(
            rate * math.sqrt(self.batch / BATCH),  # Adam's and Muon's steps have one size, their noise falls so
            warmup_steps=60,
            weight_decay=0.0,
            adam_ratio=0.5,
            adam_names=ADAM_NAMES,
            largest_matrix=math.inf,
        )
        views = [scenes, mirrored(scenes)] if self.second else [scenes]
        if self.mixed:
            most, half, few = (scenes.head(int(len(scenes) * share) + 1) for share in (2 / 3, 1 / 2, 1 / 6))
            views += [drawings(most, self.rng), heat_maps(half), outlines(few, self.rng)]
        self.examples = load_data(vae, self.tokenizer, *views)
        self.held_out = load_data(vae, self.tokenizer, self.load_held_out(settings))
        self.data = f"{len(scenes)} rendered scenes (seeds from 0) with their captions, "
        self.data += ("and their mirror images, " if self.second else "") + str(settings)
        self.data += "; of some of them flat drawings, heat maps of depth and outlines" if self.mixed else ""
        self.data += f"; before, {VARIED_SCENES}" if self.second else ""

    def loss(self, budget: Budget) -> torch.Tensor:
        latents, solids, token_ids = self.examples.batch(self.batch, self.generator)
        weighted = budget.progress < SOLIDS_WEIGHT_UNTIL
        weight = 1 + (SOLIDS_WEIGHT - 1) * solids.float() if weighted else None
        noise = torch.randn(latents.shape, generator=self.generator)
        drawn = (latents, token_ids, noise, draw_timesteps(self.batch, self.generator), weight)
        return self.model(*(part if part is None else part.to(self.options.device) for part in drawn))

    @torch.no_grad()
    def measure(self, model, finished: bool) -> dict[str, float]:
        """The unweighted loss with each scene's own prompt, and with another scene's."""
        generator = torch.Generator().manual_seed(0)
        device = self.options.device
        latents, token_ids = self.held_out.latents.float().to(device), self.held_out.detailed.to(device)
        losses = []
        for level in MEASURED_TIMESTEPS:
            noise = torch.randn(latents.shape, generator=generator).to(device)
            timesteps = torch.full((len(latents),), level, device=device)
            losses.append([model(latents, ids, noise, timesteps).item() for ids in (token_ids, token_ids.roll(1, 0))])
        own, swapped = torch.tensor(losses).mean(0).tolist()
        return {"held_out_loss": own, "held_out_loss_with_swapped_prompts": swapped}

    def save(self, model, folder: Path) -> None:
        """A whole CogVideoXPipeline folder, with the VAE as it is."""
        from diffusers import CogVideoXPipeline

        pipeline = CogVideoXPipeline(
            tokenizer=self.tokenizer,
            text_encoder=model.text_encoder,
            vae=load_vae(self.options.vae),
            transformer=model.transformer,
            scheduler=self.scheduler,
        )
        pipeline.save_pretrained(folder)
        for part in ("transformer", "text_encoder"):
            save_half(getattr(model, part), folder / part)
        shutil.copytree(self.options.vae, folder / "vae", dirs_exist_ok=True)


class MixedBaseTrainer(BaseTrainer):
    """On a mixture of pictures, as CogVideoX has seen every kind; with the latents of another VAE, if that is given."""

    train_scenes = 3000
    mixed = True
