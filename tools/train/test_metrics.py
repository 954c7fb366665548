"""What metrics.py and validate.py promise.

python -m pytest tools/train/test_metrics.py
"""

import numpy as np
import pytest

import metrics
from run import UserError
from validate import bars, filled, table


def noise(seed, height=32, width=40):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_psnr_of_a_known_error():
    grey = np.full((16, 16, 3), 100, np.uint8)
    assert metrics.psnr(grey, grey + 10) == pytest.approx(20 * np.log10(255 / 10))


def test_ssim_of_equal_pictures_is_one():
    assert metrics.ssim(noise(0), noise(0)) == pytest.approx(1)


def test_gmsd_of_equal_pictures_is_zero():
    assert metrics.gmsd(noise(0), noise(0)) == 0


def test_gmsd_equals_another_implementation():
    # piq 0.8.0's gmsd(a, b, data_range=1.0) of the two pictures divided by 255, in doubles.
    two = np.random.default_rng(0).integers(0, 256, (2, 32, 40, 3), dtype=np.uint8)
    assert metrics.gmsd(*two) == pytest.approx(0.1697270773333181, abs=1e-12)


def test_noise_is_looked_for_where_the_original_is_flat():
    original = np.full((128, 128, 3), 100, np.uint8)
    original[:, 64:] = noise(1, 128, 64)
    grain = np.random.default_rng(2).normal(0, 5, original.shape)
    grainy = np.clip(original + grain, 0, 255).astype(np.uint8)
    elsewhere = original.copy()
    elsewhere[:, 64:] = 0
    assert metrics.noise_left(original, original) == 0
    assert metrics.noise_left(original, grainy) == pytest.approx(5, rel=0.1)
    assert metrics.noise_left(original, elsewhere) == 0


def test_no_noise_is_told_where_nothing_is_flat():
    assert np.isnan(metrics.noise_left(noise(0, 64, 64), noise(1, 64, 64)))


def test_noise_of_one_small_pixel_passes_the_blur():
    flat, coarse = np.full((128, 128, 3), 100, np.uint8), noise(3, 32, 32) // 16 + 92
    assert metrics.noise_left(flat, coarse.repeat(4, 0).repeat(4, 1)) > 0.7 * coarse.std()


def test_a_pattern_of_every_cell_is_told_from_detail():
    rng = np.random.default_rng(0)
    detail = rng.normal(128, 10, (128, 128, 1)).repeat(3, 2)
    pattern = np.tile(rng.normal(0, 10, (4, 4, 1)), (32, 32, 3))
    # Of chance 1 / sqrt(32 * 32) is left in the mean of all cells.
    assert 1 < metrics.grid(detail) < 6
    # As much pattern as detail: a share of sqrt(1/2).
    assert 60 < metrics.grid(detail + pattern) < 80
    assert metrics.grid(np.full((64, 64, 3), 128.0)) < 1e-3


MEANS = {
    "original": {"grid": 1.0, "noise": 0.5},
    "bicubic": {"psnr": 23.0, "ssim": 0.6, "gmsd": 0.12, "feat": 0.50, "grid": 1.0, "noise": 2.0},
    "new, vanilla": {"psnr": 23.2, "ssim": 0.6, "gmsd": 0.10, "feat": 0.375, "grid": 2.0, "noise": 1.5},
    "new, KDS": {"psnr": 23.5, "ssim": 0.6, "gmsd": 0.10, "feat": 0.37, "grid": 2.0, "noise": 1.0},
}


def met(means, degraded):
    return [not line.startswith("NOT met: ") for line in bars(means, "new", degraded)]


def changed(row, **values):
    return {**MEANS, row: {**MEANS[row], **values}}


def test_a_model_that_reaches_every_bar():
    assert met(MEANS, degraded=False) == [True] * 6
    assert met(MEANS, degraded=True) == [True] * 2


@pytest.mark.parametrize(
    ("means", "degraded", "missed"),
    [
        (changed("new, vanilla", feat=0.376), False, [0]),
        (changed("new, vanilla", gmsd=0.12), False, [1]),
        (changed("new, KDS", feat=0.38), False, [2]),
        (changed("new, KDS", gmsd=0.11), False, [3]),
        (changed("new, vanilla", psnr=23.3), False, [4]),
        (changed("new, KDS", psnr=23.4), False, [4, 5]),
        (changed("new, KDS", feat=0.43), True, [0]),
        (changed("new, KDS", noise=2.0), True, [1]),
    ],
)
def test_each_bar_can_be_missed(means, degraded, missed):
    assert [index for index, good in enumerate(met(means, degraded)) if not good] == missed


def test_the_table_has_noise_only_for_degraded_pictures():
    assert "noise" not in table(MEANS, degraded=False)
    assert "original" not in table(MEANS, degraded=False)
    assert table(MEANS, degraded=True).splitlines()[2] == "| original |  |  |  |  |  | 1.0 | 0.50 |"
    assert "| new, vanilla | 23.20 | 0.600 | 0.1000 | 0.3750 | 0.75 | 2.0 |" in table(MEANS, degraded=False)


CARD = (
    "a\n<!-- validate -->\nold\n<!-- /validate -->\n<!-- validate degraded -->\nold\n<!-- /validate -->\nc\n"
)


def test_only_the_named_block_of_a_card_is_replaced():
    first = filled(CARD, "", "new\n")
    assert first == CARD.replace("old", "new", 1)
    assert filled(first, "degraded", "new\n") == CARD.replace("old", "new")


def test_filling_a_card_twice_changes_nothing_more():
    assert filled(filled(CARD, "", "new \\1\n"), "", "new \\1\n") == filled(CARD, "", "new \\1\n")


def test_a_card_without_the_block_is_an_error():
    with pytest.raises(UserError):
        filled("nothing", "", "new\n")
