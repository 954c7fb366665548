"""Makes the README's pictures: `comparison` from results of the program, `steering` as a schematic.

    figures.py comparison INPUT VANILLA KDS OUT [--crop LEFT TOP SIDE]
    figures.py steering OUT

Needs matplotlib, numpy and pillow.
"""

import argparse

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (after the backend is chosen)

GAP, CAPTION = 8, 30
INK, PAPER = (40, 40, 40), (255, 255, 255)


def comparison(args):
    """The input enlarged by bicubic, plain sampling and KDS side by side, each pixel as it is."""
    low_res = Image.open(args.input).convert("RGB")
    results = [Image.open(path).convert("RGB") for path in (args.vanilla, args.kds)]
    panels = [low_res.resize(results[0].size, Image.Resampling.BICUBIC), *results]
    if args.crop:
        left, top, side = args.crop
        panels = [p.crop((left, top, left + side, top + side)) for p in panels]
    names = ["input, enlarged by bicubic", "minkds --vanilla", "minkds"]
    width, height = panels[0].size
    sheet = Image.new("RGB", (3 * width + 2 * GAP, height + CAPTION), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for i, (panel, name) in enumerate(zip(panels, names)):
        left = i * (width + GAP)
        sheet.paste(panel, (left, CAPTION))
        draw.text((left + 2, 5), name, INK, font)
    sheet.save(args.out, optimize=True)


def mean_shift(points, bandwidth):
    """One mean shift of every point with a Gaussian kernel: what the program does to patches."""
    distance = ((points[:, None] - points[None]) ** 2).sum(-1)
    weight = np.exp(-distance / (2 * bandwidth**2))
    return weight @ points / weight.sum(1, keepdims=True) - points


def steering(args):
    """Eight drafts of one patch, drawn as points: where they agree, and how far each is moved."""
    rng = np.random.default_rng(4)
    agreeing = rng.normal((0.0, 0.0), 0.42, (6, 2))
    drafts = np.vstack([agreeing, [[2.15, 1.25], [-1.75, 1.5]]])
    bandwidth, gamma = 0.9, 0.6
    shift = gamma * mean_shift(drafts, bandwidth)

    x, y = np.meshgrid(np.linspace(-2.8, 3.0, 240), np.linspace(-1.7, 2.5, 180))
    grid = np.stack([x, y], -1)[..., None, :]
    density = np.exp(-((grid - drafts) ** 2).sum(-1) / (2 * bandwidth**2)).sum(-1)

    figure, panels = plt.subplots(1, 3, figsize=(12, 3.4), sharex=True, sharey=True)
    titles = [
        "1  each draft has its own idea of the patch",
        "2  where are the drafts dense?",
        "3  every draft moves uphill",
    ]
    for panel, title in zip(panels, titles):
        panel.set_title(title, fontsize=11)
        panel.set_aspect("equal")
        panel.set_xticks([])
        panel.set_yticks([])
    for panel in panels[1:]:
        panel.contourf(x, y, density, levels=9, cmap="Blues", alpha=0.75)
    for panel in panels[:2]:
        panel.scatter(*drafts.T, s=60, color="#c2410c", zorder=3)
    panels[2].scatter(*drafts.T, s=60, facecolors="none", edgecolors="#c2410c", zorder=3)
    panels[2].scatter(*(drafts + shift).T, s=60, color="#c2410c", zorder=4)
    for start, move in zip(drafts, shift):
        panels[2].annotate(
            "",
            start + move,
            start,
            arrowprops={"arrowstyle": "->", "color": "#7c2d12", "lw": 1.4},
            zorder=5,
        )
    panels[0].text(*(drafts[6] + (0.5, 0.3)), "one draft's invention", ha="right", fontsize=10)
    panels[0].text(0.0, -1.2, "what most drafts share", ha="center", fontsize=10)
    figure.tight_layout()
    figure.savefig(args.out, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("comparison")
    for name in ("input", "vanilla", "kds", "out"):
        command.add_argument(name)
    command.add_argument("--crop", nargs=3, type=int, metavar=("LEFT", "TOP", "SIDE"))
    command.set_defaults(run=comparison)
    command = commands.add_parser("steering")
    command.add_argument("out")
    command.set_defaults(run=steering)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
