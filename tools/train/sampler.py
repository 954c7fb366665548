"""The sampler of the program, small: DDIM without noise, v-prediction, timesteps `trailing`, and the steering.

Written for training, where single steps of it are needed; that it does what the program does is tested against
diffusers' DDIMScheduler.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F

BETA_START, BETA_END, TRAIN_STEPS = 0.0015, 0.0155, 1000


def alphas_cumprod():
    """diffusers' `scaled_linear`."""
    betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, TRAIN_STEPS) ** 2
    return torch.cumprod(1 - betas, 0)


ALPHAS = alphas_cumprod()


def timesteps(steps):
    return [round(TRAIN_STEPS - i * TRAIN_STEPS / steps) - 1 for i in range(steps)]


def levels(t, like):
    """alpha and sigma of timesteps `t` [B], shaped to multiply `like` [B, C, H, W]."""
    squared = ALPHAS.to(like.device)[t][:, None, None, None]
    return squared.sqrt(), (1 - squared).sqrt()


def noised(latents, noise, t):
    alpha, sigma = levels(t, latents)
    return alpha * latents + sigma * noise


def velocity(latents, noise, t):
    """What the network is to say at `noised(latents, noise, t)` (Salimans and Ho, 2022)."""
    alpha, sigma = levels(t, latents)
    return alpha * noise - sigma * latents


def denoised(x, v, t):
    """The clean latents that `v` at `x` stands for."""
    alpha, sigma = levels(t, x)
    return alpha * x - sigma * v


def predict(unet, x, small, t):
    return unet(torch.cat([x, small], 1), t).sample


def shift(latents, bandwidth, patch):
    """Mean shift of every patch of particles [N, C, H, W] of one picture, sides a multiple of `patch`."""
    patches = F.pixel_unshuffle(latents, patch)
    distance = (patches[:, None] - patches[None]).square().sum(2)
    weight = torch.exp(-distance / (2 * bandwidth**2))
    mean = torch.einsum("ijhw,jchw->ichw", weight, patches) / weight.sum(1)[:, None]
    return F.pixel_shuffle(mean - patches, patch)


def step(x, clean, t, following):
    """From timestep `t` to `following`, which is negative at the end."""
    if following < 0:
        return clean
    alpha, sigma = levels(torch.tensor([t]), x)
    next_alpha, next_sigma = levels(torch.tensor([following]), x)
    return next_alpha * clean + next_sigma * (x - alpha * clean) / sigma


def whole_path(steps):
    """Where each step begins and ends, as diffusers counts it: 1000 // steps lower, or at the end."""
    return [(t, t - TRAIN_STEPS // steps) for t in timesteps(steps)]


def path_to(target, steps):
    """The timestep `target` in even steps from pure noise."""
    stops = [round(TRAIN_STEPS - 1 + i * (target - TRAIN_STEPS + 1) / steps) for i in range(steps + 1)] if steps else []
    return list(pairwise(stops))


@torch.no_grad()
def walk(unet, small, noise, path, steer=None):
    """Pairs of timesteps from pure noise on: where the sampler then stands.

    `steer` moves the clean latents of each step, as steering does.
    """
    x = noise
    for t, following in path:
        now = torch.full((len(x),), t, device=x.device)
        clean = denoised(x, predict(unet, x, small, now), now)
        if steer:
            clean = clean + steer(clean)
        x = step(x, clean, t, following)
    return x
