"""Writes tests/fixtures/pictures: small pictures with colour profiles and metadata, and what other tools make of them.

    apt-get install liblcms2-2 libimage-exiftool-perl libjxl-tools
    venv/bin/python tools/pictures.py

littleCMS (the library itself, in doubles) makes the profiles and says which colours the pictures have; exiftool writes the
metadata and says what is in them; cjxl writes JPEG XL. Pillow and tifffile write the pixels. Everything random is seeded.
"""

import ctypes
import ctypes.util
import json
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "tests" / "fixtures" / "pictures"
WIDTH, HEIGHT = 8, 8

# littleCMS ---------------------------------------------------------------------------------------------------------

lcms = ctypes.CDLL(ctypes.util.find_library("lcms2") or "liblcms2.so.2")
P, U, D = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_double
DOUBLES = ctypes.POINTER(D)


def function(name, result, *arguments):
    found = getattr(lcms, name)
    found.restype, found.argtypes = result, arguments
    return found


class Chromaticity(ctypes.Structure):
    _fields_ = [("x", D), ("y", D), ("Y", D)]


new_rgb = function("cmsCreateRGBProfileTHR", P, P, ctypes.POINTER(Chromaticity), ctypes.POINTER(Chromaticity * 3), ctypes.POINTER(P * 3))
new_gray = function("cmsCreateGrayProfileTHR", P, P, ctypes.POINTER(Chromaticity), P)
new_empty = function("cmsCreateProfilePlaceholder", P, P)
new_lab = function("cmsCreateLab4Profile", P, P)
gamma = function("cmsBuildGamma", P, P, D)
parametric = function("cmsBuildParametricToneCurve", P, P, ctypes.c_int32, DOUBLES)
tabulated = function("cmsBuildTabulatedToneCurve16", P, P, U, ctypes.POINTER(ctypes.c_uint16))
set_version = function("cmsSetProfileVersion", None, P, D)
set_class = function("cmsSetDeviceClass", None, P, U)
set_space = function("cmsSetColorSpace", None, P, U)
set_pcs = function("cmsSetPCS", None, P, U)
write_tag = function("cmsWriteTag", ctypes.c_int, P, U, P)
save = function("cmsSaveProfileToMem", ctypes.c_int, P, P, ctypes.POINTER(U))
open_profile = function("cmsOpenProfileFromMem", P, P, U)
transform = function("cmsCreateTransform", P, P, U, P, U, U, U)
run = function("cmsDoTransform", None, P, P, P, U)
pipeline = function("cmsPipelineAlloc", P, P, U, U)
insert = function("cmsPipelineInsertStage", ctypes.c_int, P, ctypes.c_int, P)
stage_curves = function("cmsStageAllocToneCurves", P, P, U, ctypes.POINTER(P * 3))
stage_grid = function("cmsStageAllocCLut16bit", P, P, U, U, U, ctypes.POINTER(ctypes.c_uint16))
stage_matrix = function("cmsStageAllocMatrix", P, P, U, U, DOUBLES, DOUBLES)
new_texts = function("cmsMLUalloc", P, P, U)
set_text = function("cmsMLUsetASCII", ctypes.c_int, P, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p)

AT_END = 1
RELATIVE = 1
EXACT = 0x0140  # cmsFLAGS_NOOPTIMIZE | cmsFLAGS_NOCACHE
RGB_DOUBLES = (1 << 22) | (4 << 16) | (3 << 3)
GRAY_DOUBLES = (1 << 22) | (3 << 16) | (1 << 3)
LAB_DOUBLES = (1 << 22) | (10 << 16) | (3 << 3)


def signature(text):
    return struct.unpack(">I", text.encode())[0]


def white(x, y):
    return Chromaticity(x, y, 1.0)


D65, D50 = white(0.3127, 0.3290), white(0.3457, 0.3585)


def rgb(point, primaries, curve):
    three = (Chromaticity * 3)(*[Chromaticity(x, y, 1.0) for x, y in primaries])
    return new_rgb(None, point, three, (P * 3)(curve, curve, curve))


def srgb_curve():
    return parametric(None, 4, (D * 5)(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))


SRGB = [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)]


def described(profile, text, version):
    set_version(profile, version)
    for tag, words in [("desc", text), ("cprt", "No copyright, use freely")]:
        texts = new_texts(None, 1)
        set_text(texts, b"en", b"US", words.encode())
        write_tag(profile, signature(tag), texts)
    return profile


def saved(profile):
    size = U()
    save(profile, None, size)
    data = ctypes.create_string_buffer(size.value)
    save(profile, data, size)
    data = bytearray(data.raw)
    data[24:36] = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)  # not the day of the run
    return bytes(data)


def converted(icc, values, kind):
    """The values [N, C] of a profile as linear light with sRGB's primaries, not clipped."""
    source = open_profile(icc, len(icc))
    linear = rgb(D65, SRGB, gamma(None, 1.0))
    run_it = transform(source, kind, linear, RGB_DOUBLES, RELATIVE, EXACT)
    values = np.ascontiguousarray(values, np.float64)
    result = np.empty((len(values), 3))
    run(run_it, values.ctypes.data, result.ctypes.data, len(values))
    return result


def encoded(linear):
    """sRGB's encoding, mirrored at zero and continued above 1."""
    size = np.abs(linear)
    return np.sign(linear) * np.where(size <= 0.0031308, 12.92 * size, 1.055 * size ** (1 / 2.4) - 0.055)


# Profiles of tables: a space like Adobe RGB, but with some crosstalk, sampled.
ADOBE = [(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)]
FORTH, BACK = 9, 9


def lab_table(forth, steps):
    """Lab (as 0..1 of version 4's encoding) at a grid of RGB, or RGB at a grid of Lab."""
    profile, lab = rgb(D65, ADOBE, gamma(None, 2.0)), new_lab(None, None)
    axis = np.linspace(0, 1, steps)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    result = np.empty_like(grid)
    if forth:
        run(transform(profile, RGB_DOUBLES, lab, LAB_DOUBLES, RELATIVE, EXACT), grid.ctypes.data, result.ctypes.data, len(grid))
        result = (result + [0, 128, 128]) / [100, 255, 255]
    else:
        grid = np.ascontiguousarray(grid * [100, 255, 255] - [0, 128, 128])
        run(transform(lab, LAB_DOUBLES, profile, RGB_DOUBLES, RELATIVE, EXACT), grid.ctypes.data, result.ctypes.data, len(grid))
    return np.clip(result, 0, 1)


def tables(version):
    """A profile of tables, as lut16Type (version 2) or lutAToBType and lutBToAType (version 4)."""
    profile = new_empty(None)
    set_class(profile, signature("mntr"))
    set_space(profile, signature("RGB "))
    set_pcs(profile, signature("Lab "))
    described(profile, f"Tables {version}", version)
    for tag, forth, steps in [("A2B0", True, FORTH), ("B2A0", False, BACK)]:
        values = lab_table(forth, steps)
        if version < 4:
            # Version 2 has 100 at 0xFF00, and the library converts nothing.
            values = values * 65280 if forth else values * 65535
        else:
            values = values * 65535
        values = np.round(values).astype(np.uint16)
        chain = pipeline(None, 3, 3)
        same = gamma(None, 1.0)
        bent = gamma(None, 1.3)
        straight = gamma(None, 1 / 1.3)
        def curves(curve):
            insert(chain, AT_END, stage_curves(None, 3, (P * 3)(curve, curve, curve)))
        identity = (D * 9)(1, 0, 0, 0, 1, 0, 0, 0, 1)
        nothing = (D * 3)(0, 0, 0)
        grid = stage_grid(None, steps, 3, 3, values.ctypes.data_as(ctypes.POINTER(ctypes.c_uint16)))
        if version < 4:
            curves(same)
            insert(chain, AT_END, grid)
            curves(same)
        elif forth:
            curves(same)
            insert(chain, AT_END, grid)
            curves(bent)
            insert(chain, AT_END, stage_matrix(None, 3, 3, identity, nothing))
            curves(straight)
        else:
            curves(bent)
            insert(chain, AT_END, stage_matrix(None, 3, 3, identity, nothing))
            curves(straight)
            insert(chain, AT_END, grid)
            curves(same)
        assert write_tag(profile, signature(tag), chain)
    return saved(profile)


def profiles():
    p3 = rgb(D65, [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)], srgb_curve())
    adobe = rgb(D65, ADOBE, gamma(None, 563 / 256))
    prophoto = rgb(D50, [(0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)], gamma(None, 1.8))
    # A dot gain of 20 %: 50 % ink covers 70 %.
    ink = np.linspace(1, 0, 256)
    gain = np.round(65535 * (1 - (ink + 0.8 * ink * (1 - ink)))).astype(np.uint16)
    dot_gain = tabulated(None, 256, gain.ctypes.data_as(ctypes.POINTER(ctypes.c_uint16)))
    srgb = np.linspace(0, 1, 1024)
    srgb = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    srgb = np.round(65535 * srgb).astype(np.uint16)
    srgb = tabulated(None, 1024, srgb.ctypes.data_as(ctypes.POINTER(ctypes.c_uint16)))
    return {
        "p3": saved(described(p3, "Wide display", 4.3)),
        "adobe": saved(described(adobe, "Wide", 2.1)),
        "prophoto": saved(described(prophoto, "Very wide", 2.1)),
        "gray": saved(described(new_gray(None, D50, gamma(None, 2.2)), "Gray 2.2", 2.1)),
        "dot-gain": saved(described(new_gray(None, D50, dot_gain), "Dot gain", 2.1)),
        "srgb": saved(described(rgb(D65, SRGB, srgb), "Nearly sRGB", 2.1)),
        "tables-2": tables(2.1),
        "tables-4": tables(4.3),
    }


# Pictures ----------------------------------------------------------------------------------------------------------


def patches(name, channels, steps):
    """Corners of the cube, greys, near blacks, and colours at random."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    values = random.integers(0, steps + 1, (HEIGHT * WIDTH, channels))
    if channels == 3:
        values[:8] = [[steps * (i >> bit & 1) for bit in range(3)] for i in range(8)]
        values[8:16] = np.linspace(0, steps, 8).round().astype(int)[:, None]
    else:
        values[:16] = np.linspace(0, steps, 16).round().astype(int)[:, None]
    values[16:20] = np.arange(1, 5)[:, None]
    return values.reshape(HEIGHT, WIDTH, channels)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def write(name, values, icc):
    path = FOLDER / name
    if values.dtype == np.uint16 and path.suffix == ".png":
        channels = values.shape[2]
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, {1: 0, 3: 2}[channels], 0, 0, 0)
        profile = b"icc\0\0" + zlib.compress(icc, 9)
        parts = [(b"IHDR", header), (b"iCCP", profile), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    elif path.suffix == ".tif":
        gray = values.shape[2] == 1
        tifffile.imwrite(
            path, values[..., 0] if gray else values, photometric="minisblack" if gray else "rgb", iccprofile=icc, metadata=None,
            software=None,
        )
    else:
        image = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
        image.save(path, icc_profile=icc, **({"lossless": True} if path.suffix == ".webp" else {}))


def colours():
    icc = profiles()
    cases = [
        ("p3.png", "p3", 3, 8), ("p3.webp", "p3", 3, 8), ("adobe.tif", "adobe", 3, 8), ("prophoto.png", "prophoto", 3, 16),
        ("prophoto.tif", "prophoto", 3, 16), ("gray.png", "gray", 1, 8), ("gray16.tif", "gray", 1, 16),
        ("dot-gain.png", "dot-gain", 1, 8), ("srgb.png", "srgb", 3, 8), ("tables-2.tif", "tables-2", 3, 8),
        ("tables-4.tif", "tables-4", 3, 16),
    ]
    found = []
    for name, profile, channels, bits in cases:
        steps = 2**bits - 1
        values = patches(name, channels, steps).astype(np.uint8 if bits == 8 else np.uint16)
        write(name, values, icc[profile])
        flat = values.reshape(-1, channels) / steps
        result = encoded(converted(icc[profile], flat, RGB_DOUBLES if channels == 3 else GRAY_DOUBLES))
        found.append({
            "file": name, "bit_depth": bits, "gray": channels == 1,
            "keeps_values": profile == "srgb",
            "srgb": np.round(result, 7).reshape(-1).tolist(),
        })
    # The same through JPEG, whose values are those that libjpeg reads.
    values = np.kron(patches("p3.jpg", 3, 255), np.ones((2, 2, 1))).astype(np.uint8)
    Image.fromarray(values).save(FOLDER / "p3.jpg", quality=100, subsampling=0, icc_profile=icc["p3"])
    read = np.asarray(Image.open(FOLDER / "p3.jpg"))
    result = encoded(converted(icc["p3"], read.reshape(-1, 3) / 255, RGB_DOUBLES))
    found.append({
        "file": "p3.jpg", "bit_depth": 8, "gray": False, "keeps_values": False,
        "srgb": np.round(result, 7).reshape(-1).tolist(),
    })
    return found


# Metadata ----------------------------------------------------------------------------------------------------------

XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:e="http://ns.adobe.com/exif/1.0/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 tiff:Orientation="6" e:PixelXDimension="16" xmp:Rating="4" xmp:CreatorTool="A camera &amp; more">
<tiff:ImageWidth>16</tiff:ImageWidth><tiff:ImageLength>12</tiff:ImageLength>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Brücke bei Nacht</rdf:li></rdf:Alt></dc:title>
<xmp:Thumbnails><rdf:Alt><rdf:li xmpGImg:width="2" xmpGImg:image="AAAA"/></rdf:Alt></xmp:Thumbnails>
<Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture</Iptc4xmpExt:DigitalSourceType>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""

TAGS = [
    "-EXIF:Make=Maker", "-EXIF:Model=Model 7", "-EXIF:Orientation#=6", "-EXIF:XResolution=300", "-EXIF:YResolution=300",
    "-EXIF:ResolutionUnit=inches", "-EXIF:Artist=Ann Example", "-EXIF:DateTimeOriginal=2024:05:06 07:08:09", "-EXIF:FNumber=2.8",
    "-EXIF:ExifImageWidth=16", "-EXIF:ExifImageHeight=12", "-EXIF:LensModel=50mm", "-EXIF:GPSLatitude=52.5", "-EXIF:GPSLatitudeRef=N",
    "-EXIF:GPSLongitude=13.4", "-EXIF:GPSLongitudeRef=E", "-IPTC:ObjectName=Bridge at night", "-IPTC:Keywords=bridge",
    "-IPTC:Keywords=night", "-IPTC:Caption-Abstract=Two words",
]


def exiftool(*arguments):
    return subprocess.run(["exiftool", *arguments], check=True, capture_output=True, text=True).stdout


def read_tags(path):
    groups = ["-EXIF:all", "-IPTC:all", "-XMP:all", "-IFD1:all", "-JFIF:all"]
    tags = json.loads(exiftool("-j", "-G1", "-n", *groups, str(path)))[0]
    tags.pop("SourceFile")
    return tags


def metadata():
    """A lying photograph with everything in it, in each format; what exiftool reads of the JPEG."""
    random = np.random.default_rng(7)
    small = random.integers(0, 256, (3, 4, 3)).astype(np.uint8)
    image = Image.fromarray(small).resize((16, 12), Image.BICUBIC)
    packet = FOLDER / "packet.xmp"
    packet.write_text(XMP, encoding="utf-8")
    thumbnail = FOLDER / "thumbnail.jpg"
    image.resize((4, 3)).save(thumbnail)
    names = []
    for name in ["photo.jpg", "photo.png", "photo.webp", "photo.tif"]:
        path = FOLDER / name
        options = {"quality": 95, "subsampling": 0} if name.endswith("jpg") else {}
        image.save(path, **(options | ({"lossless": True} if name.endswith("webp") else {})))
        tags = [tag for tag in TAGS if not (tag.startswith("-IPTC") and name.endswith("webp"))]
        if name.endswith("tif"):
            tags = [tag for tag in tags if not tag.startswith("-EXIF:ExifImage")]
        extra = [f"-ThumbnailImage<={thumbnail}"] if name.endswith("jpg") else []
        exiftool("-q", "-overwrite_original", *extra, *tags, f"-XMP<={packet}", str(path))
        names.append(name)
    packet.unlink()
    thumbnail.unlink()
    return [{"file": name, "tags": read_tags(FOLDER / name)} for name in names]


def others():
    """Formats that are read only, or not at all."""
    values = patches("others", 3, 255).astype(np.uint8)
    image = Image.fromarray(values)
    second = Image.fromarray(values[::-1].copy())
    image.quantize(32).save(FOLDER / "animated.gif", save_all=True, append_images=[second.quantize(32)])
    image.save(FOLDER / "picture.avif", lossless=True)
    found = []
    deep = patches("deep", 3, 65535).astype(np.uint16)
    write("lossless.png", values, profiles()["p3"])
    write("deep.png", deep, profiles()["prophoto"])
    for name, read in [("lossless", values), ("deep", deep)]:
        source = FOLDER / f"{name}.png"
        subprocess.run(["cjxl", "-d", "0", "--container=1", str(source), str(FOLDER / f"{name}.jxl")], check=True, capture_output=True)
        source.unlink()
        found.append({"file": f"{name}.jxl", "bit_depth": 8 * read.itemsize, "values": read.reshape(-1).tolist()})
    image.quantize(32).save(FOLDER / "palette.tif")
    palette = np.asarray(Image.open(FOLDER / "palette.tif").convert("RGB"))
    found.append({"file": "palette.tif", "bit_depth": 8, "values": palette.reshape(-1).tolist()})
    gray = patches("gray and alpha", 1, 255)[..., 0].astype(np.uint8)
    Image.merge("LA", [Image.fromarray(gray), Image.fromarray(gray[::-1].copy())]).save(FOLDER / "gray-alpha.tif")
    gif = np.asarray(Image.open(FOLDER / "animated.gif").convert("RGB"))
    found.append({"file": "animated.gif", "bit_depth": 8, "values": gif.reshape(-1).tolist()})
    return found


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    expected = {"colours": colours(), "metadata": metadata(), "others": others()}
    text = json.dumps(expected, ensure_ascii=False, separators=(",", ":"))
    (FOLDER.parent / "pictures.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
