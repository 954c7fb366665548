"""The program's colour fix `robust`, differentiable, so that training sees the pictures that people see."""

import torch
import torch.nn.functional as F

# By how much the structure of a place must outweigh its noise for its detail to be believed.
DOUBT = 4.0
# This much of the input is believed where the network has drawn structure, which is worth something, too.
MOST = 0.6
# What exceeds the noise this many times is structure ...
OUTSTANDING = 4.0
# ... noise is at most this many times what there is all around ...
EVEN = 2.0
# ... and what has more energy is a pattern: a standard deviation of 15 of 255.
LOUDEST = (2 * 15 / 255) ** 2
# Noise is measured over this many octaves: about fifteen pixels around.
OCTAVES = 5
ROUNDS = 3


def reduce_4x(x):
    """The antialiased bicubic reduction that the program's `consistency` assumes."""
    return F.interpolate(x, scale_factor=0.25, mode="bicubic", antialias=True, align_corners=False)


def enlarge_4x(x):
    return F.interpolate(x, scale_factor=4, mode="bicubic", align_corners=False)


def blurred(x, distance=1):
    """1 2 1 at `distance` pixels in both directions; edges are repeated. By sums: a convolution may be less exact."""
    x = F.pad(x, 4 * (distance,), mode="replicate")
    x = 0.25 * (x[..., : -2 * distance] + x[..., 2 * distance :]) + 0.5 * x[..., distance:-distance]
    return 0.25 * (x[..., : -2 * distance, :] + x[..., 2 * distance :, :]) + 0.5 * x[..., distance:-distance, :]


def local_mean(x):
    return blurred(blurred(x))


def believed(reduced, small):
    """What of `small` a result that reduces to `reduced` ought to reduce to, both [B, 3, h, w].

    All that is coarse, and what is fine where the result has structure or the input more than noise. Noise is what
    the input has more than the result, if it is about the same all around, and little.
    """
    energy = lambda x: local_mean(x**2).mean(1, keepdim=True)  # noqa: E731
    coarse = [local_mean(reduced), local_mean(small)]
    fine = [reduced - coarse[0], small - coarse[1]]
    excess = (energy(fine[1]) - energy(fine[0])).clamp(min=0)
    around = excess
    for octave in range(OCTAVES):
        around = blurred(around, 2**octave)
    noise = torch.minimum(excess, EVEN * around).clamp(max=LOUDEST)
    structure = (local_mean(reduced**2) - coarse[0] ** 2).mean(1, keepdim=True).clamp(min=0)
    outstanding = (energy(fine[1] - fine[0]) - OUTSTANDING * noise).clamp(min=0)
    # The last term stands for nothing but 0 / 0: a thousandth of an 8-bit step.
    belief = (MOST * structure + outstanding) / (structure + outstanding + DOUBT * noise + 1e-10)
    return (coarse[1] + fine[0] + belief * (fine[1] - fine[0])).clamp(-1, 1)


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
