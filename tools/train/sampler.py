"""The sampler of the program, small: DDIM without noise, timesteps `trailing`; the network says the clean latents.

Written for training, where single steps of it are needed; that it does what the program does is tested against
diffusers' DDIMScheduler.
"""

import torch

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


def predict(unet, x, small, told, t):
    """The clean latents, as far as the network can tell: diffusers' prediction type `sample`.

    `told` [B] is what it is told of the small pictures: `degrade.ANY` or `degrade.CLEAN`.
    """
    return unet(torch.cat([x, small], 1), t, class_labels=told).sample


def step(x, clean, t, following):
    """From timesteps `t` [B] to `following` [B], both at least 0."""
    alpha, sigma = levels(t, x)
    next_alpha, next_sigma = levels(following, x)
    return next_alpha * clean + next_sigma * (x - alpha * clean) / sigma


def whole_path(steps):
    """Where each step begins and ends, as diffusers counts it: 1000 // steps lower, or at the end."""
    return [(t, t - TRAIN_STEPS // steps) for t in timesteps(steps)]


@torch.no_grad()
def walk(unet, small, told, noise, path, steered=lambda clean: clean):
    """Along pairs of timesteps from pure noise: where the sampler then stands. A negative timestep is the end.

    `steered` moves the clean latents of each step.
    """
    x = noise
    for pair in path:
        t, following = (torch.full((len(x),), t, device=x.device) for t in pair)
        clean = steered(predict(unet, x, small, told, t).float())
        x = step(x, clean, t, following) if pair[1] >= 0 else clean
    return x
