"""Kernel Density Steering (Hu et al., 2025) as the program does it, small: for training on what it is used for."""

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F

from run import UserError, about


@dataclass(frozen=True)
class Steering:
    """How many particles of each picture are drawn together, and how they are moved: the paper's names and numbers."""

    particles: int
    bandwidth: float
    patch_size: int
    gamma_0: float

    @classmethod
    def of_model(cls, model):
        """What a model recommends in its minkds.json."""
        settings = about(model).get("settings", {})
        names = [field.name for field in fields(cls)]
        if missing := [name for name in names if name not in settings]:
            raise UserError(f"{model}/minkds.json recommends no {missing[0]}, which --steered needs.")
        return cls(*(settings[name] for name in names))

    def __call__(self, clean):
        """Clean latents [B * particles, C, H, W], a picture's particles side by side, moved to where these agree."""
        height, width = clean.shape[2:]
        # Smaller patches at the end are whole ones filled with zeros: those add nothing to a distance.
        filled = F.pad(clean, (0, -width % self.patch_size, 0, -height % self.patch_size))
        patches = F.pixel_unshuffle(filled, self.patch_size).unflatten(0, (-1, self.particles))
        squared = (patches[:, :, None] - patches[:, None]).square().sum(3)
        weights = torch.softmax(-squared / (2 * self.bandwidth**2), 2)
        means = torch.einsum("bijhw,bjchw->bichw", weights, patches)
        means = F.pixel_shuffle(means.flatten(0, 1), self.patch_size)[..., :height, :width]
        return clean + self.gamma_0 * (means - clean)
