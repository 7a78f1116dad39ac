"""Loads the networks that figures of videos are computed with, by their names in the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from udpdiff.checkpoints import weights_sha256
from udpdiff.figure_record import Network
from udpdiff.metrics.features import ImageEncoder, SubjectEncoder
from udpdiff.metrics.flow import FlowEstimator, load_flow
from udpdiff.metrics.interpolation import Interpolator, interpolator_sha256, load_interpolator
from udpdiff.metrics.video_encoders import VideoFeatures, load_video_encoder


@dataclass(frozen=True)
class Extractors:
    """What the video metrics are made with; there are no figures of what is None.

    Attributes:
        video: Behind the Frechet and the kernel video distance.
        kernel: A second one, of which the kernel distance alone is taken.
        digests: Sha256 by field: of the weights, of a plug-in its module; nothing of what has neither.
        subject: Behind subject consistency.
        image: Behind background consistency and prompt fidelity.
        interpolator: Behind motion smoothness.
        flow: Behind the mean flow and the share of dynamic videos.
    """

    video: VideoFeatures
    subject: SubjectEncoder | None = None
    image: ImageEncoder | None = None
    interpolator: Interpolator | None = None
    flow: FlowEstimator | None = None
    kernel: VideoFeatures | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        """What made the figures, by field."""
        parts = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "digests"}
        return {role: part.name for role, part in parts.items() if part}

    @property
    def networks(self) -> dict[str, Network]:
        """The same with their digests."""
        return {role: Network(name=name, sha256=self.digests.get(role)) for role, name in self.names.items()}

    @property
    def smoothness(self) -> str | None:
        """Key of the interpolator's figure."""
        return self.interpolator and self.interpolator.metric


def load_extractors(
    video_encoder: str,
    subject_encoder: str | None = None,
    image_encoder: str | None = None,
    interpolator: str | None = None,
    flow: str | None = None,
    kernel_encoder: str | None = None,
    *,
    device: str = "cpu",
) -> Extractors:
    """Load by reference: hub ids, folders, `mini:NAME`, `i3d:FILE#SHA256`; `blend` or a plug-in; `dis` or a RAFT."""
    references = {"video": video_encoder, "subject": subject_encoder, "image": image_encoder, "kernel": kernel_encoder}
    digests = {role: weights_sha256(ref) for role, ref in references.items() if ref}
    digests["interpolator"] = interpolator and interpolator_sha256(interpolator)
    estimator = flow and load_flow(flow, device=device)
    digests["flow"] = estimator and estimator.sha256
    return Extractors(
        load_video_encoder(video_encoder, device=device),
        subject_encoder and SubjectEncoder.from_pretrained(subject_encoder, device=device),
        image_encoder and ImageEncoder.from_pretrained(image_encoder, device=device),
        interpolator and load_interpolator(interpolator),
        estimator,
        kernel_encoder and load_video_encoder(kernel_encoder, device=device),
        {role: digest for role, digest in digests.items() if digest},
    )
