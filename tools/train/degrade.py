"""Makes small pictures of large ones as cameras and web sites do: blur, resizing, sharpening, noise, JPEG.

In the spirit of BSRGAN (Zhang et al., 2021) and Real-ESRGAN (Wang et al., 2021), but milder: people enlarge pictures
that they care about. Pictures are uint8 arrays [H, W, 3]; all chance comes from the generator that is handed in.
"""

import io
import math

import numpy as np
from PIL import Image
from scipy.ndimage import correlate1d, gaussian_filter

# What the network is told of a small picture, diffusers' class labels: that it is as it may be, or a clean reduction.
ANY, CLEAN = 0, 1

FILTERS = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)


def clean(picture):
    """A quarter of the size by antialiased bicubic, and nothing else."""
    height, width = picture.shape[:2]
    return np.asarray(Image.fromarray(picture).resize((width // 4, height // 4), Image.Resampling.BICUBIC))


def realistic(picture, rng):
    """A quarter of the size, with each flaw of a real picture at its odds."""
    height, width = picture.shape[:2]
    small = (width // 4, height // 4)
    x = picture.astype(np.float32)
    if rng.random() < 0.7:
        x = blurred(x, rng)
    if rng.random() < 0.5:
        # Resized on its way: at some size in between, or enlarged by somebody before.
        between = rng.uniform(0.25, 0.8)
        x = resized(x, (max(small[0], round(width * between)), max(small[1], round(height * between))), rng)
        if rng.random() < 0.3:
            x = noisy(x, rng)
        if rng.random() < 0.3:
            x = jpeg(x, rng, low=60)
    x = resized(x, small, rng)
    if rng.random() < 0.2:
        x = sharpened(x, rng)
    if rng.random() < 0.6:
        x = noisy(x, rng)
    if rng.random() < 0.7:
        x = jpeg(x, rng, low=50)
    return to_bytes(x)


def degraded(picture, rng, told_share=0.12, clean_share=0.7):
    """What the training sees: a small picture, and what is told of it.

    A share are clean and said to be; of the others a share are clean, too, for nobody has told whether they are.
    """
    if rng.random() < told_share:
        return clean(picture), CLEAN
    return clean(picture) if rng.random() < clean_share else realistic(picture, rng), ANY


def to_bytes(x):
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)


def resized(x, size, rng):
    how = FILTERS[rng.integers(len(FILTERS))]
    channels = [Image.fromarray(np.ascontiguousarray(x[..., c])).resize(size, how) for c in range(3)]
    return np.stack([np.asarray(c) for c in channels], -1)


def blurred(x, rng):
    """Out of focus, moved, or soft: what a lens adds, in pixels of the large picture."""
    kind = rng.random()
    if kind < 0.55:
        sigma = rng.uniform(0.3, 2.6)
        ratio = 1.0 if rng.random() < 0.6 else rng.uniform(0.4, 1.0)
        return gaussian_filter(x, (sigma, sigma * ratio, 0), mode="nearest")
    if kind < 0.8:
        return convolved(x, disc(rng.uniform(0.8, 3.2)))
    return convolved(x, stroke(rng.uniform(2.0, 8.0), rng.uniform(0, math.pi)))


def disc(radius):
    """A lens out of focus."""
    reach = math.ceil(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return normalised(np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


def stroke(length, angle):
    """A moving camera: a line one pixel wide."""
    reach = math.ceil(length / 2)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along = np.abs(x * math.cos(angle) + y * math.sin(angle))
    across = np.abs(x * math.sin(angle) - y * math.cos(angle))
    return normalised(np.clip(length / 2 + 0.5 - along, 0, 1) * np.clip(1 - across, 0, 1))


def normalised(kernel):
    return kernel / kernel.sum()


def convolved(x, kernel):
    """`x` with a symmetric kernel, edges repeated."""
    reach = kernel.shape[0] // 2
    height, width = x.shape[:2]
    padded = np.pad(x, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    out = np.zeros_like(x)
    for dy, dx in np.argwhere(kernel > 0):
        out += np.float32(kernel[dy, dx]) * padded[dy : dy + height, dx : dx + width]
    return out


def sharpened(x, rng):
    """An unsharp mask, halos included."""
    soft = gaussian_filter(x, (*(2 * [rng.uniform(0.5, 1.5)]), 0), mode="nearest")
    return np.clip(x + rng.uniform(0.2, 1.0) * (x - soft), 0, 255)


def noisy(x, rng):
    """A sensor's noise: more in the light, partly the same in all channels, now and then in clumps."""
    read, shot = math.exp(rng.uniform(math.log(0.5), math.log(8))), rng.uniform(0, 0.5)
    deviation = np.sqrt(read**2 + shot**2 * np.clip(x, 0, 255) / 4)
    own, shared = rng.standard_normal(x.shape), rng.standard_normal((*x.shape[:2], 1))
    grey = rng.uniform(0, 1)
    noise = math.sqrt(1 - grey) * own + math.sqrt(grey) * shared
    if rng.random() < 0.3:
        # As after a camera's own smoothing.
        kernel = np.array([0.25, 0.5, 0.25])
        noise = correlate1d(correlate1d(noise, kernel, 0), kernel, 1) * 2
    return (x + deviation * noise).astype(np.float32)


def jpeg(x, rng, low):
    file = io.BytesIO()
    subsampling = int(rng.choice([0, 2, 2]))
    Image.fromarray(to_bytes(x)).save(file, "JPEG", quality=int(rng.integers(low, 96)), subsampling=subsampling)
    return np.asarray(Image.open(file)).astype(np.float32)
