"""The program's colour fix `robust`, differentiable, so that training sees the pictures that people see."""

import torch
import torch.nn.functional as F

from perceptual import enlarge_4x, reduce_4x

# By how much a place's structure must outweigh what it lacks for that to be believed.
DOUBT = 8.0
ROUNDS = 3


def blurred(x):
    """1 4 6 4 1 in both directions, as 1 2 1 twice; edges are repeated."""
    kernel = torch.tensor([0.25, 0.5, 0.25], device=x.device)
    kernel = (kernel[:, None] * kernel)[None, None].repeat(x.shape[1], 1, 1, 1)
    for _ in range(2):
        x = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=x.shape[1])
    return x


def believed(reduced, small):
    """What of `small` a result that reduces to `reduced` ought to reduce to, both [B, 3, h, w].

    All that is coarse, and what is fine where the result has structure. Where it is smooth, what it lacks is taken
    for noise or compression.
    """
    lacks = small - reduced
    coarse = blurred(lacks)
    fine = lacks - coarse
    structure = (blurred(reduced**2) - blurred(reduced) ** 2).clamp(min=0).mean(1, keepdim=True)
    doubtful = blurred(fine**2).mean(1, keepdim=True)
    # The last term stands for nothing but 0 / 0: a thousandth of an 8-bit step.
    return reduced + coarse + fine * structure / (structure + DOUBT * doubtful + 1e-10)


def clipped(x):
    """`x` in [-1, 1]; to gradients as if nothing had been clipped, so that nothing gets stuck outside."""
    return x + (x.clamp(-1, 1) - x).detach()


def robust(drawn, small):
    """Back-projection of `drawn` [B, 3, 4h, 4w] to what of `small` [B, 3, h, w] is believed, in [-1, 1]."""
    drawn = clipped(drawn)
    wanted = believed(reduce_4x(drawn), small)
    for _ in range(ROUNDS):
        drawn = clipped(drawn + enlarge_4x(wanted - reduce_4x(drawn)))
    return drawn
