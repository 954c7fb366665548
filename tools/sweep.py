"""Compares settings of minkds on photographs whose large originals are known.

    python tools/sweep.py --binary target/release/minkds --lr LR --hr HR --crop 48 --out sweep.csv

LR holds the small pictures, HR the originals, four times as large, under the same names. Of every pair the central
CROP x CROP pixels (of the small one) are used. One line per setting and photo is added to the CSV; settings that it
holds for every photo are not run again, so a stopped sweep goes on where it was. At the end the means are printed.

It needs what tools/train needs. PSNR and SSIM are of RGB. `feat` is tools/train's feature distance, lower is better.
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
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent / "train"))
from metrics import psnr, ssim  # noqa: E402
from perceptual import FeatureDistance  # noqa: E402
from run import about  # noqa: E402
from validate import bicubic, centre, tensor  # noqa: E402

# What every setting starts from: what the bundled model recommends, as the command line has it.
RECOMMENDED = about(Path(__file__).parent.parent / "assets" / "model")["settings"]
BASE = {key.replace("_", "-"): value for key, value in RECOMMENDED.items()}
BASE |= {"window": "{}..{}".format(*RECOMMENDED["window"]), "seed": 7}
VANILLA = {"vanilla": True, "particles": 1}

# Name -> what differs from BASE, in the order of the runs. `vanilla` and `clean` are flags without a value.
SETTINGS = {
    "base": {},
    "base, seed 8": {"seed": 8},
    **{f"color-fix {f}": {"color-fix": f} for f in ("none", "wavelet", "consistency")},
    "vanilla": VANILLA,
    "vanilla, color-fix none": VANILLA | {"color-fix": "none"},
    "vanilla, color-fix consistency": VANILLA | {"color-fix": "consistency"},
    "clean": {"clean": True},
    "clean, color-fix consistency": {"clean": True, "color-fix": "consistency"},
    "clean, vanilla": VANILLA | {"clean": True},
    **{f"ddim {n} steps": {"steps": n} for n in (4, 6, 8, 10, 15)},
    **{f"dpm++ {n} steps": {"solver": "dpm++", "steps": n} for n in (5, 8)},
    **{f"gamma {g}": {"gamma-0": g} for g in (0.1, 0.3, 0.6)},
    **{f"particles {n}": {"particles": n} for n in (2, 8)},
    **{f"select {s}": {"select": s} for s in ("mean", "lowest-variance")},
    **{f"bandwidth {h:g}": {"bandwidth": h} for h in (3.4, 6, 1000)},
    **{f"window {w}": {"window": w} for w in ("0.3..1", "0..0.7")},
    **{f"patch {p}": {"patch-size": p} for p in (2, 8)},
    "eta 0.5": {"eta": 0.5},
}


def consistent(small):
    """What `--color-fix consistency` makes of a result, here of bicubic enlargement: of nothing, to begin with."""
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


def arguments(setting):
    result = []
    for key, value in {**BASE, **setting}.items():
        result += [f"--{key}"] if value is True else [f"--{key}", str(value)]
    return result


def enlarge(options, inputs, out, setting):
    """Runs the program once over all pictures; returns the processor seconds per picture."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [options.binary, "--no-gui", "--quiet", "--no-check", "--device", "cpu"]
    command += ["--threads", str(options.threads)] + (["--model", options.model] if options.model else [])
    command += [*arguments(setting), "--no-resume", "--on-conflict", "overwrite", "-o", str(out), *map(str, inputs)]
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
        mean = {k: np.mean([float(found[p][k]) for p in photos]) for k in ("psnr", "ssim", "feat", "seconds")}
        line = f"| {name} | {mean['psnr']:.2f} | {mean['ssim']:.4f} | {mean['feat']:.4f} |"
        if "base" in by_setting and name != "base":
            off = [float(found[p]["feat"]) - float(by_setting["base"][p]["feat"]) for p in photos]
            error = np.std(off, ddof=1) / math.sqrt(len(off)) if len(off) > 1 else 0.0
            line += f" {np.mean(off):+.4f} ± {error:.4f} |"
        else:
            line += " |"
        lines.append(line + (f" {mean['seconds']:.1f} |" if mean["seconds"] else " |"))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="the minkds program")
    parser.add_argument("--model", help="another model than the bundled one")
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
            with torch.no_grad():
                feat = distance(tensor(original), tensor(result)).item()
            near = f"{psnr(original, result):.4f}", f"{ssim(original, result):.5f}"
            values = (setting, name, *near, f"{feat:.5f}", f"{seconds:.2f}")
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
                seconds = enlarge(options, [small / n for n in photos], out, SETTINGS[setting])
            else:
                for name, file in results.items():
                    enlarged = consistent if "consistency" in setting else bicubic
                    enlarged(Image.open(small / name)).save(file)
            record(setting, {n: np.asarray(Image.open(f).convert("RGB")) for n, f in results.items()}, seconds)
            print(f"{setting}: {seconds:.1f} s", file=sys.stderr, flush=True)

    print(table(rows, photos))


if __name__ == "__main__":
    main()
