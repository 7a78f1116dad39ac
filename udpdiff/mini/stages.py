"""The stages in which the mini checkpoints are trained: what each needs, for how many steps, with which seed.

The workflow reads this table at every start, so it imports nothing heavy; `trainers` knows the classes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One training.

    trainer: a key of `trainers.TRAINERS`. start_from: the stage whose weights it goes on from. vae: the stage whose VAE
    makes its latents. shipped: a checkpoint of the package, not only a stage on the way to one.
    """

    trainer: str
    steps: int
    seed: int = 0
    start_from: str | None = None
    vae: str | None = None
    shipped: bool = True

    @property
    def inputs(self) -> dict[str, str]:
        """The stages that must be trained before, by the option that names each."""
        named = {"start_from": self.start_from, "vae": self.vae}
        return {option: stage for option, stage in named.items() if stage}


STAGES = {
    "vae_wide_unrefined": Stage("vae", 2271, shipped=False),
    # The decoder alone, on whole pictures: latents stay as they are.
    "vae_wide": Stage("vae_decoder", 626, seed=1, start_from="vae_wide_unrefined", shipped=False),
    # Half the latent channels: a transformer of this size spends less of its width on passing noise through.
    "vae_unrefined": Stage("narrow_vae", 559, start_from="vae_wide", shipped=False),
    "vae": Stage("vae_decoder", 360, seed=1, start_from="vae_unrefined"),
    "cogvideox_first": Stage("base", 9000, vae="vae_wide", shipped=False),
    # This and the other second stages: on scenes as the default run's.
    "cogvideox_wide": Stage("base", 13338, seed=1, start_from="cogvideox_first", vae="vae_wide", shipped=False),
    "cogvideox": Stage("mixed_base", 3600, seed=1, start_from="cogvideox_wide", vae="vae"),
    "segmenter": Stage("segmenter", 6000, shipped=False),
    # CropFormer's folder holds a plain Mask2Former too, so the segmenter is not shipped.
    "cropformer": Stage("cropformer", 4380, start_from="segmenter"),
    "sam2_tracking": Stage("sam2", 3000, shipped=False),
    # Tracking goes on, and points are learnt besides.
    "sam2": Stage("sam2", 9990, seed=1, start_from="sam2_tracking"),
    "depth_anything_first": Stage("depth_anything", 6000, shipped=False),
    "depth_anything": Stage("depth_anything", 4041, seed=1, start_from="depth_anything_first"),
    "depthcrafter_vae_unrefined": Stage("depthcrafter_vae", 1200, shipped=False),
    # The decoder alone: the U-Net's latents stay as they are. DepthCrafter's folder holds it.
    "depthcrafter_vae": Stage("depthcrafter_vae", 1855, seed=2, start_from="depthcrafter_vae_unrefined", shipped=False),
    "depthcrafter_first": Stage("depthcrafter", 11780, vae="depthcrafter_vae_unrefined", shipped=False),
    "depthcrafter": Stage("depthcrafter", 15626, seed=1, start_from="depthcrafter_first", vae="depthcrafter_vae"),
    "subject_encoder": Stage("features", 1500),
    "image_encoder": Stage("features", 1000, start_from="subject_encoder"),
    "video_encoder": Stage("features", 5000, start_from="subject_encoder"),
    # The vision tower alone names and locates what it sees; then the language model learns to write. What is shipped went
    # through earlier rounds of both, see its card.
    "captioner_tower": Stage("captioner", 5252, start_from="image_encoder", shipped=False),
    "captioner": Stage("captioner", 4756, seed=1, start_from="captioner_tower"),
}
