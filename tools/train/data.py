"""The training pack, one zip of reduced photographs that can be carried about, and crops of it.

A pack holds `photos.csv` (file, source, licence, sharpness) and the photographs.
"""

import csv
import fnmatch
import io
import signal
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from degrade import ANY, CLEAN, clean, degraded, realistic
from run import UserError, whole_file

PHOTOGRAPHS = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}
COLUMNS = ["file", "source", "licence", "sharpness"]
LIMIT = 60 * 2**20
SMALLEST = 256


def sharpness(picture):
    """Mean absolute Laplacian of the grey picture: below 2 there is nothing to learn from."""
    grey = picture.mean(2)
    neighbours = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.abs(4 * grey[1:-1, 1:-1] - neighbours).mean())


def licences_of(file):
    """Rows (pattern, source, licence) of a CSV; the first pattern that fits a file's name counts."""
    if file is None:
        return []
    with open(file, newline="") as lines:
        return [(row["file"], row["source"], row["licence"]) for row in csv.DictReader(lines)]


def reduced(path, side, quality):
    """A photograph at most `side` pixels long, as a file's bytes. What is small enough stays as it is."""
    with Image.open(path) as photo:
        if max(photo.size) <= side and path.suffix.lower() in {".jpg", ".jpeg", ".webp"}:
            return path.name, path.read_bytes(), np.asarray(photo.convert("RGB"))
        photo = photo.convert("RGB")
        photo.thumbnail((side, side), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        photo.save(file, "WEBP", quality=quality, method=6)
        return path.stem + ".webp", file.getvalue(), np.asarray(photo)


def prepare(folder, out, licences, side, quality):
    """Packs every photograph of `folder` that is large and sharp enough, and says whose they are."""
    photos = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PHOTOGRAPHS)
    twice = [p for p in photos if sum(q.stem == p.stem for q in photos) > 1]
    if twice:
        raise UserError(f"Two photographs have one name, {twice[0].stem}: {twice[0]} and {twice[1]}. Rename one.")
    if not photos:
        raise UserError(f"{folder} holds no photographs ({', '.join(sorted(PHOTOGRAPHS))}).")
    known, rows = licences_of(licences), []
    with whole_file(out) as partial:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as pack:
            for path in photos:
                try:
                    name, content, picture = reduced(path, side, quality)
                except OSError as error:
                    raise UserError(f"{path} cannot be read ({error}): take it out.") from None
                sharp = sharpness(picture.astype(np.float32))
                if sharp < 2 or min(picture.shape[:2]) < SMALLEST:
                    print(f"left out: {path.name} (sharpness {sharp:.1f}, {picture.shape[1]}x{picture.shape[0]})")
                    continue
                fits = (row[1:] for row in known if fnmatch.fnmatch(path.name, row[0]))
                source, licence = next(fits, (folder.name, "unknown"))
                rows.append([name, source, licence, f"{sharp:.3f}"])
                pack.writestr(zipfile.ZipInfo(f"photos/{name}"), content)
            if not rows:
                raise UserError("Nothing is left: all photographs are too small or too soft.")
            table = io.StringIO()
            writer = csv.writer(table, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(rows)
            pack.writestr(zipfile.ZipInfo("photos.csv"), table.getvalue())
        size = partial.stat().st_size
        if size > LIMIT:
            raise UserError(f"The pack is {size / 2**20:.0f} MiB, more than 60: lower --side or --quality.")
    print(f"{out}: {len(rows)} photographs, {size / 2**20:.1f} MiB. Licences:")
    for licence, count in counted(row[2] for row in rows):
        print(f"  {count:4} {licence}")


def counted(values):
    values = list(values)
    return [(value, values.count(value)) for value in sorted(set(values))]


class Pack:
    """The photographs of a pack, decoded, and how often each is drawn from."""

    def __init__(self, path):
        if not Path(path).exists():
            raise UserError(f"There is no pack at {path}: make one with `prepare`.")
        if not zipfile.is_zipfile(path):
            raise UserError(f"{path} is no pack: make one with `prepare`.")
        with zipfile.ZipFile(path) as pack:
            rows = list(csv.DictReader(io.TextIOWrapper(pack.open("photos.csv"))))
            self.photos = [np.asarray(Image.open(pack.open(f"photos/{r['file']}")).convert("RGB")) for r in rows]
        self.licences = counted(row["licence"] for row in rows)
        weights = [
            min(float(r["sharpness"]), 20.0) * p.shape[0] * p.shape[1] for r, p in zip(rows, self.photos)
        ]
        self.shares = np.cumsum(weights) / np.sum(weights)


class Crops(torch.utils.data.Dataset):
    """Crop `i` is drawn from `seed` and `i` alone, so that a resumed run sees what an unbroken one would."""

    def __init__(self, pack, side, seed):
        self.pack, self.side, self.seed = pack, side, seed

    def __getitem__(self, index):
        """The large crop [3, side, side], its small version [3, side/4, side/4], uint8, and what is told of it."""
        rng = np.random.default_rng([self.seed, index])
        for _ in range(4):
            crop = self.one(rng)
            if crop.std() > 6 or rng.random() < 0.1:
                break
        small, told = degraded(crop, rng)
        return *(torch.from_numpy(np.ascontiguousarray(a.transpose(2, 0, 1))) for a in (crop, small)), told

    def one(self, rng):
        photo = self.pack.photos[int(np.searchsorted(self.pack.shares, rng.random()))]
        side = self.side if rng.random() < 0.6 else int(self.side * rng.uniform(1, 2))
        side = min(side, *photo.shape[:2])
        top, left = (int(rng.integers(n - side + 1)) for n in photo.shape[:2])
        crop = photo[top : top + side, left : left + side]
        if side != self.side:
            size = (self.side, self.side)
            crop = np.asarray(Image.fromarray(crop).resize(size, Image.Resampling.LANCZOS))
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        if rng.random() < 0.5:
            crop = crop[::-1]
        return np.ascontiguousarray(crop.transpose(1, 0, 2) if rng.random() < 0.5 else crop)

    def batches(self, size, number, workers=0):
        """Endless batches from `number` on, pictures as floats in [-1, 1]. To be closed, lest workers stay."""
        order = range(number * size, number * size + 2**40)
        loader = torch.utils.data.DataLoader(self, size, sampler=order, num_workers=workers, worker_init_fn=deaf)
        for large, small, told in loader:
            yield large.float() / 127.5 - 1, small.float() / 127.5 - 1, told


def deaf(_):
    """A worker ends with its run, which ends in order when it is interrupted or terminated."""
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)


def photographs(folder):
    """The photographs in a folder, sorted; at least one."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTOGRAPHS)
    if not paths:
        raise UserError(f"{folder} holds no photographs.")
    return paths


def centre_crops(folder, side):
    """The middle of each picture of a folder and its clean reduction, [N, 3, side, side] and a quarter of it."""
    large, small = [], []
    for path in photographs(folder):
        picture = np.asarray(Image.open(path).convert("RGB"))
        if min(picture.shape[:2]) < side:
            raise UserError(f"{path} is smaller than {side} x {side}.")
        top, left = ((n - side) // 2 for n in picture.shape[:2])
        large.append(np.ascontiguousarray(picture[top : top + side, left : left + side]))
        small.append(clean(large[-1]))
    stacked = (torch.from_numpy(np.stack(a)).permute(0, 3, 1, 2) for a in (large, small))
    return tuple(a.float() / 127.5 - 1 for a in stacked)


def validation_crops(folder, device, side=128):
    """The middle of each picture of a folder, and by name its small versions, the same every time, with what is told
    of them [N]: `clean` ones that are said to be, and `degraded` ones."""
    large, small = centre_crops(folder, side)
    rng, bytes_ = np.random.default_rng(7), ((large + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
    worse = np.stack([realistic(picture.numpy(), rng) for picture in bytes_])
    worse = torch.from_numpy(worse).permute(0, 3, 1, 2).float() / 127.5 - 1
    kinds = {"clean": (small, CLEAN), "degraded": (worse, ANY)}
    told = lambda small, what: (small.to(device), torch.full((len(small),), what, device=device))  # noqa: E731
    return large.to(device), {name: told(*kind) for name, kind in kinds.items()}
