"""How far an enlarged picture is from its original: plain functions on 8-bit RGB arrays [H, W, 3].

    from metrics import gmsd, grid, noise_left, psnr, ssim

PSNR and SSIM compare pixel by pixel and reward softness. GMSD says how unevenly edges were kept: 0 for equal
pictures, lower is better (Xue, Zhang, Mou, Bovik: Gradient Magnitude Similarity Deviation, 2014). noise_left
looks only where the original is smooth, where whatever moves is noise or a compression artefact. grid sees what
a network draws at the same places of each of its cells, as a decoder may (checkerboards).
"""

import numpy as np
from scipy.ndimage import convolve, gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

LUMA = np.array([0.299, 0.587, 0.114])
PREWITT = np.array([[1, 0, -1], [1, 0, -1], [1, 0, -1]]) / 3
GMSD_CONSTANT = 170.0

# What is coarser than about six times this is picture, not noise; a small picture's single pixels are finer.
NOISE_SIGMA = 3.0
BLOCK = 8
FLATTEST = 0.1
# A block is flat if its own fine detail deviates by less than this (of 255): about what a good sensor leaves.
FLAT = 2.0
FEWEST_BLOCKS = 4

# Pixels of a latent's cell, and what is finer than about six times this is the detail that grid looks at.
CELL = 4
GRID_SIGMA = 2.0


def psnr(original, result):
    """Peak signal to noise ratio over all pixels and channels, in dB."""
    return peak_signal_noise_ratio(original, result)


def ssim(original, result):
    """Structural similarity, mean over the channels, scikit-image's defaults."""
    return structural_similarity(original, result, channel_axis=2)


def gmsd(original, result):
    """Gradient magnitude similarity deviation of the luma in 0..255."""
    a, b = gradient(halved(original @ LUMA)), gradient(halved(result @ LUMA))
    return float(((2 * a * b + GMSD_CONSTANT) / (a**2 + b**2 + GMSD_CONSTANT)).std())


def halved(luma):
    """The means of 2 x 2 pixels; an odd last row or column is dropped."""
    height, width = (side // 2 * 2 for side in luma.shape)
    return luma[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))


def gradient(luma):
    """The gradient's magnitude, with zeros around the picture as in the paper's code."""
    return np.hypot(*(convolve(luma, kernel, mode="constant") for kernel in (PREWITT, PREWITT.T)))


def noise_left(original, result):
    """Standard deviation (of 255) of fine detail where the original is flat; nan if it hardly is anywhere."""
    chosen = flat_blocks(original)
    return float(blocks(fine(result))[chosen].std()) if len(chosen) >= FEWEST_BLOCKS else float("nan")


def grid(result):
    """How much of the luma's fine detail is the same in every 4 x 4 pixels: its standard deviation, in percent."""
    luma = result @ LUMA
    detail = luma - gaussian_filter(luma, GRID_SIGMA)
    rows, columns = (side // CELL for side in detail.shape)
    cells = detail[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL)
    return float(100 * cells.mean((0, 2)).std() / max(cells.std(), 1e-6))


def flat_blocks(original):
    """The flat ones of the original's blocks, as indices; the flattest tenth of all if there are more."""
    detail = blocks(fine(original)).std(1)
    flattest = np.argsort(detail, kind="stable")[: round(FLATTEST * len(detail))]
    return flattest[detail[flattest] < FLAT]


def fine(picture):
    """What a Gaussian blur takes away."""
    picture = picture.astype(np.float64)
    return picture - gaussian_filter(picture, (NOISE_SIGMA, NOISE_SIGMA, 0))


def blocks(picture):
    """[H, W, 3] as [blocks, values of a block]; what does not fill a block is dropped."""
    rows, columns = (side // BLOCK for side in picture.shape[:2])
    cut = picture[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK, 3)
    return cut.swapaxes(1, 2).reshape(rows * columns, -1)
