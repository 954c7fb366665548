"""The linear codec behind the latents: whitened principal components of 4x4x3 blocks.

A latent is what is left of a block after projection on its first components, each scaled to unit variance. The
inverse, a 48 x C matrix and a bias, is what `minkds.json` carries as `preview`; so a finished model holds its codec,
and training can go on from any model folder.
"""

import json
import shutil

import torch
import torch.nn.functional as F

from data import Crops, Pack
from run import UserError, about, whole_file


class Codec:
    def __init__(self, weight, bias):
        """`weight` [48, C] and `bias` [48] map a latent to a block (channel, row, column) in [-1, 1]."""
        self.weight, self.bias = weight, bias
        self.inverse = torch.linalg.pinv(weight)

    @classmethod
    def of_model(cls, folder):
        preview = about(folder).get("preview")
        if preview is None:
            raise UserError(f"{folder}/minkds.json holds no codec (`preview`): see --init.")
        return cls(torch.tensor(preview["weight"]), torch.tensor(preview["bias"]))

    @classmethod
    def fitted(cls, pictures, channels):
        """Principal components of `pictures` [B, 3, H, W] in [-1, 1]."""
        blocks = F.pixel_unshuffle(pictures, 4).permute(0, 2, 3, 1).reshape(-1, 48).double()
        mean = blocks.mean(0)
        centred = blocks - mean
        variance, axes = torch.linalg.eigh(centred.T @ centred / len(blocks))
        first = torch.arange(47, 47 - channels, -1)
        weight = axes[:, first] * variance[first].sqrt()
        return cls(weight.float(), mean.float())

    def to(self, device):
        self.weight, self.bias, self.inverse = (t.to(device) for t in (self.weight, self.bias, self.inverse))
        return self

    def importance(self):
        """What an error of one in each channel does to the picture, [C, 1, 1]; one is what the fine channels do.

        To the power of 1.5: between how far and how squarely pixels move. The first channel, the means of the blocks,
        then weighs forty, so that degraded pictures are restored at their own size too, and the fine ones still count.
        """
        lengths = self.weight.norm(dim=0)
        return (lengths / lengths[3:].mean()).pow(1.5)[:, None, None]

    def preview(self):
        """As `minkds.json` holds it: four significant digits."""
        short = lambda values: [float(f"{v:.4g}") for v in values]  # noqa: E731
        return {"weight": [short(row) for row in self.weight.tolist()], "bias": short(self.bias.tolist())}

    def encode(self, x):
        """Pictures [B, 3, H, W] in [-1, 1] -> latents [B, C, H/4, W/4]."""
        blocks = F.pixel_unshuffle(x, 4).permute(0, 2, 3, 1) - self.bias
        return (blocks @ self.inverse.T).permute(0, 3, 1, 2).contiguous()

    def decode(self, z):
        """Latents [B, C, H, W] -> what of the pictures they hold, [B, 3, 4H, 4W]."""
        blocks = z.permute(0, 2, 3, 1) @ self.weight.T + self.bias
        return F.pixel_shuffle(blocks.permute(0, 3, 1, 2), 4)


def fit(args):
    """Writes a copy of a model with a codec of its own, to start from with --scratch: the weights do not fit it."""
    if args.out.exists():
        raise UserError(f"{args.out} is there already: name another --out.")
    crops = Crops(Pack(args.pack), 128, seed=0)
    pictures = torch.stack([crops[i][0] for i in range(args.crops)]).float() / 127.5 - 1
    settings = about(args.init) | {"name": args.name, "preview": Codec.fitted(pictures, args.channels).preview()}
    shutil.copytree(args.init, args.out)
    with whole_file(args.out / "minkds.json") as partial:
        partial.write_text(json.dumps(settings, indent=2) + "\n")
