"""Steps and guidance where nobody chooses any: what `udpdiff generate` samples with, and the example of a run's card."""

from __future__ import annotations

MINI_CALL = {"num_inference_steps": 25, "guidance_scale": 3.0}  # as the mini scale samples, but for more steps
CALL = {"num_inference_steps": 50, "guidance_scale": 6.0}  # CogVideoX's own
