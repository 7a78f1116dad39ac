"""Temporally consistent depth of whole clips with DepthCrafter, a video diffusion model conditioned on the video.

    >>> from udpdiff import DepthCrafter, read_video
    >>> video = read_video("clip.mp4")
    >>> depth = DepthCrafter.from_pretrained("mini:depthcrafter").estimate(video)

The published U-Net lies alone, its other parts with Stable Video Diffusion:
`from_pretrained("tencent/DepthCrafter", base="stabilityai/stable-video-diffusion-img2vid-xt")`.

Knows one model family and the depth convention (1 = nearest); nothing of colormaps, files or the truth.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from udpdiff.checkpoints import hub, local_folder
from udpdiff.default_device import default_device
from udpdiff.finite import check_finite
from udpdiff.labelling.image_preparation import check_images
from udpdiff.labelling.windows import stitch, windows
from udpdiff.pixel_statistics import CLIP_MEAN, CLIP_STD
from udpdiff.progress import progress

if TYPE_CHECKING:
    import torch

SIDE_MULTIPLE = 64
ADDED_TIME_IDS = (7, 127, 0.02)  # frames per second, motion bucket, noise augmentation
CLIP_SIDE = 224
FLAT = 1e-5  # range of a prediction that counts as constant


class DepthCrafter:
    """Denoises the depth of up to `window` frames at once, in overlapping windows for longer clips.

    Attributes:
        show_progress: Whether each stage of `estimate` draws a bar.

    Source: DepthCrafter (arXiv 2409.02095); Tencent/DepthCrafter 1.0.1, depth_crafter_ppl.py and run.py (defaults).
    """

    show_progress = False

    def __init__(self, unet, vae, image_encoder, scheduler, device: str | torch.device = "cpu", offload: bool = False):
        self.unet, self.vae, self.image_encoder = unet.eval(), vae.eval(), image_encoder.eval()
        self.scheduler, self.device, self.offload = scheduler, device, offload
        for part in (unet, vae, image_encoder):
            part.requires_grad_(False).to("cpu" if offload else device)

    @classmethod
    def from_pretrained(
        cls,
        ref: str,
        base: str | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        offload: bool = False,
    ) -> DepthCrafter:
        """Load a checkpoint.

        Args:
            ref: Folder, hub id or `mini:` name.
            base: Where VAE, image encoder and scheduler are, if `ref` is the U-Net alone, as tencent/DepthCrafter is;
                None where `ref` has them all.
            device: None for CUDA where there is one.
            dtype: None for float16 on CUDA, else float32.
            offload: Only the part that computes is on the device.
        """
        import torch
        from diffusers import AutoencoderKLTemporalDecoder, EulerDiscreteScheduler
        from transformers import CLIPVisionModelWithProjection

        from udpdiff.labelling.depthcrafter_unet import DepthCrafterUNet

        device = torch.device(device or default_device())
        dtype = dtype or (torch.float16 if device.type == "cuda" else torch.float32)
        alone = {} if base else {"subfolder": "unet"}
        folder = local_folder(str(ref), hub.TOP if base else ("unet", *hub.STABLE_VIDEO))
        base = local_folder(str(base), hub.STABLE_VIDEO) if base else folder
        unet = DepthCrafterUNet.from_pretrained(folder, dtype=dtype, low_cpu_mem_usage=True, **alone)
        stored = _stored_variant(base)
        vae = AutoencoderKLTemporalDecoder.from_pretrained(base, subfolder="vae", dtype=dtype, **stored)
        encoder = CLIPVisionModelWithProjection.from_pretrained(
            base, subfolder="image_encoder", dtype=dtype, **stored, trust_remote_code=False
        )
        scheduler = EulerDiscreteScheduler.from_pretrained(base, subfolder="scheduler")
        return cls(unet, vae, encoder, scheduler, device, offload)

    def estimate(
        self,
        video: np.ndarray,
        num_inference_steps: int = 5,
        guidance_scale: float = 1.0,
        window: int = 110,
        overlap: int = 25,
        max_side: int = 1024,
        chunk_frames: int = 8,
        seed: int = 0,
    ) -> np.ndarray:
        """Return the depth of every frame; memory grows with `window`, not with T.

        Args:
            video: uint8 (T, H, W, 3).
            num_inference_steps: Of the scheduler.
            guidance_scale: 1 for none.
            window: Frames that are denoised at once.
            overlap: Frames that two windows share.
            max_side: Frames are shrunk to it, and sides rounded to multiples of 64, for the network alone.
            chunk_frames: Frames that the VAE and the image encoder take at once.
            seed: Of the noise.

        Returns:
            float32 (T, H, W) in [0, 1], 1 = nearest, 0 = farthest; minimum and maximum are taken over the whole clip, a
            constant prediction gives zeros.

        Raises:
            ValueError: Other input, or a prediction that is not finite.
        """
        import torch
        from torch.nn import functional

        check_images(video, "video")
        size = working_size(*video.shape[1:3], max_side)
        frames = torch.from_numpy(np.ascontiguousarray(video)).permute(0, 3, 1, 2).float() / 255
        if frames.shape[2:] != size:
            frames = functional.interpolate(frames, size, mode="bilinear", antialias=True).clamp(0, 1)
        generator = torch.Generator().manual_seed(seed)
        aug_noise = torch.randn(frames.shape, generator=generator)
        vae = self.vae.config
        stride = 2 ** (len(vae.block_out_channels) - 1)  # 8 in the published model
        shape = (1, min(window, len(frames)), vae.latent_channels, size[0] // stride, size[1] // stride)
        init_noise = torch.randn(shape, generator=generator)
        latents = self.denoise(
            self.condition(frames, aug_noise, chunk_frames), init_noise, num_inference_steps, guidance_scale, overlap
        )
        depth = self.decode(latents, chunk_frames).mean(dim=1, keepdim=True)
        if depth.shape[2:] != video.shape[1:3]:
            depth = functional.interpolate(depth, video.shape[1:3], mode="bilinear", antialias=True)
        depth = depth[:, 0].numpy()
        low, span = depth.min(), np.ptp(depth)
        return (depth - low) / span if span > FLAT else np.zeros_like(depth)

    def condition(self, frames, aug_noise, chunk_frames: int = 8):
        """Return the U-Net's conditions, frame by frame: image embeddings (T, D) and unscaled video latents (T, 4, h, w), float32.

        frames: float32 (T, 3, H, W) in [0, 1]. aug_noise: unit noise of that shape.
        """
        import torch

        with torch.inference_mode():
            with self._present(self.image_encoder):
                embeddings = [
                    self._embed(part) for part in self._told(frames.split(chunk_frames), "chunks of frames looked at")
                ]
            noisy = frames * 2 - 1 + ADDED_TIME_IDS[2] * aug_noise
            with self._present(self.vae, upcast=True) as dtype:
                latents = [
                    self.vae.encode(part.to(self.device, dtype)).latent_dist.mode().float().cpu()
                    for part in self._told(noisy.split(chunk_frames), "chunks of frames encoded")
                ]
        conditions = torch.cat(embeddings), torch.cat(latents)
        for part, what in zip(conditions, ("image embeddings", "video latents"), strict=True):
            check_finite(part, f"DepthCrafter's {what}", dtype)
        return conditions

    def denoise(self, conditions, init_noise, num_inference_steps: int, guidance_scale: float = 1.0, overlap: int = 25):
        """Latents of the whole clip's depth, float32 (T, 4, h, w).

        conditions: embeddings and video latents. init_noise: unit noise (1, window, 4, h, w), drawn for one window.
        """
        import torch

        embeddings, video_latents = conditions
        window, buffer, latents = init_noise.shape[1], init_noise[0], None
        with torch.inference_mode(), self._present(self.unet) as dtype:
            for first, end in self._told(windows(len(embeddings), window, overlap), "windows denoised"):
                self.scheduler.set_timesteps(num_inference_steps, device=self.device)
                noise, shared = buffer[: end - first], 0 if latents is None else overlap
                start = noise * self.scheduler.init_noise_sigma
                if shared:  # go on from what the last window found
                    start[:shared] = latents[-shared:] + noise[:shared] * self.scheduler.sigmas[0].cpu()
                own = embeddings[first:end], video_latents[first:end]
                denoised = self._denoise_window(start, own, guidance_scale)
                check_finite(denoised, "the latents that DepthCrafter denoises", dtype)
                latents = denoised if latents is None else stitch(latents, denoised, overlap)
                buffer = torch.cat((buffer[window - overlap :], buffer[: window - overlap]))
        return latents

    def decode(self, latents, chunk_frames: int = 8):
        """Depth as pictures, float32 (T, 3, H, W) in [0, 1], not yet normalised."""
        import torch

        with torch.inference_mode(), self._present(self.vae) as dtype:
            scaled = self._told(
                (latents / self.vae.config.scaling_factor).split(chunk_frames), "chunks of frames decoded"
            )
            parts = [self.vae.decode(p.to(self.device, dtype), num_frames=len(p)).sample.float().cpu() for p in scaled]
        pictures = torch.cat(parts)
        # Before it is clamped, for what overflowed would be the nearest of all.
        check_finite(pictures, "the pictures that DepthCrafter's VAE decodes", dtype)
        return (pictures / 2 + 0.5).clamp(0, 1)

    def _embed(self, frames):
        weight = next(self.image_encoder.parameters())
        pixel_values = pixel_values_for_clip(frames, self.image_encoder.config.image_size).to(self.device, weight.dtype)
        return self.image_encoder(pixel_values).image_embeds.float().cpu()

    def _denoise_window(self, start, conditions, guidance_scale: float):
        import torch

        latents = start[None].to(self.device)
        embeddings, video_latents = (part[None].to(self.device) for part in conditions)
        if guidance_scale > 1:  # the first of the pair has no conditions
            embeddings = torch.cat((torch.zeros_like(embeddings), embeddings))
            video_latents = torch.cat((torch.zeros_like(video_latents), video_latents))
        count = len(embeddings)
        time_ids = torch.tensor([ADDED_TIME_IDS] * count, device=self.device)
        for timestep in self._told(self.scheduler.timesteps, "steps of denoising"):
            scaled = self.scheduler.scale_model_input(latents, timestep).expand(count, -1, -1, -1, -1)
            output = self.unet(torch.cat((scaled, video_latents), dim=2), timestep, embeddings, time_ids).float()
            if count == 2:
                output = output[:1] + guidance_scale * (output[1:] - output[:1])
            latents = self.scheduler.step(output, timestep, latents).prev_sample
        return latents[0].cpu()

    def _told(self, items, what: str):
        return progress(items, f"depth, {what}", shown=self.show_progress and len(items) > 1)

    def _present(self, part, upcast: bool = False):
        return _Present(part, self.device, self.offload, upcast)


class _Present:
    """A context in which one part of the model is on the device; gives the type it computes in.

    upcast: in float32 for the while, for a VAE that overflows in float16.
    """

    def __init__(self, part, device, offload: bool, upcast: bool) -> None:
        self.part, self.device, self.offload = part, device, offload
        self.upcast = upcast and part.config.get("force_upcast", False)

    def __enter__(self):
        import torch

        self.dtype = next(self.part.parameters()).dtype
        self.part.to(self.device)
        if self.upcast:
            self.part.to(torch.float32)
        return torch.float32 if self.upcast else self.dtype

    def __exit__(self, *_) -> None:
        if self.upcast:
            self.part.to(self.dtype)
        if self.offload:
            self.part.to("cpu")


def working_size(height: int, width: int, max_side: int) -> tuple[int, int]:
    """The size the network works at: longest side at most max_side, both rounded to multiples of 64, at least 64.

    Source: Tencent/DepthCrafter, depthcrafter/utils.py, read_video_frames.
    """
    scale = min(1.0, max_side / max(height, width))
    return tuple(max(1, round(side * scale / SIDE_MULTIPLE)) * SIDE_MULTIPLE for side in (height, width))


def pixel_values_for_clip(frames, side: int = CLIP_SIDE):
    """What the image encoder is shown of frames, float32 (N, 3, H, W) in [0, 1]: (N, 3, side, side), normalised."""
    import torch

    mean, std = (torch.tensor(values)[:, None, None] for values in (CLIP_MEAN, CLIP_STD))
    return (resize_for_clip(frames * 2 - 1, side) / 2 + 0.5 - mean) / std


def resize_for_clip(images, side: int = CLIP_SIDE):
    """Images (N, 3, H, W) at side x side: blurred by how much they shrink, then bicubic with aligned corners.

    Source: diffusers' Stable Video Diffusion pipeline (the filter the image encoder's input goes through).
    """
    from torch.nn import functional
    from torchvision.transforms.v2 import functional as pictures

    sigmas = [max((length / side - 1) / 2, 0.001) for length in images.shape[2:]]
    kernel = [int(max(4 * sigma, 3)) // 2 * 2 + 1 for sigma in sigmas]
    blurred = pictures.gaussian_blur(images, kernel_size=kernel[::-1], sigma=sigmas[::-1])
    return functional.interpolate(blurred, (side, side), mode="bicubic", align_corners=True)


def _stored_variant(base: str) -> dict:
    """Stable Video Diffusion is stored in float16 under a variant's name; folders of this project are not."""
    return {"variant": "fp16"} if any(Path(base).glob("vae/*.fp16.*")) else {}
