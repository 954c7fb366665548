//! Pictures keep what their files held: colours as littleCMS sees them, metadata as exiftool reads it. The files
//! and what those tools make of them come from `tools/pictures.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::DynamicImage;
use minkds::image_io::resize::bicubic_x4;
use minkds::image_io::{
    Density, Depth, Existing, Format, Picture, Saving, bleed_under_alpha, decode, encode, peek,
    provenance,
};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

#[derive(Deserialize)]
struct Fixtures {
    colours: Vec<Colours>,
    metadata: Vec<Tags>,
    others: Vec<Values>,
}

#[derive(Deserialize)]
struct Values {
    file: String,
    bit_depth: u8,
    /// `[H, W, 3]`, in steps.
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct Colours {
    file: String,
    bit_depth: u8,
    gray: bool,
    /// The profile is so near to sRGB that nothing is converted.
    keeps_values: bool,
    /// `[H, W, 3]`, sRGB's encoding continued beyond 0..=1, from littleCMS's doubles.
    srgb: Vec<f32>,
}

#[derive(Deserialize)]
struct Tags {
    file: String,
    /// What exiftool reads, by group and name.
    tags: BTreeMap<String, Value>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures")
}

fn fixtures() -> Fixtures {
    let text = std::fs::read_to_string(folder().with_extension("json")).expect("pictures.json");
    serde_json::from_str(&text).expect("pictures.json as described")
}

fn read(path: &Path) -> Picture {
    let decoded = decode(path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(decoded.warnings, [""; 0], "{}", path.display());
    decoded.picture
}

fn overwrite() -> Saving {
    Existing::Overwrite.into()
}

/// The samples of a file as they stand there, in steps.
fn samples(path: &Path) -> Vec<u16> {
    let image = image::ImageReader::open(path).unwrap();
    let image = image.with_guessed_format().unwrap().decode().unwrap();
    match image {
        DynamicImage::ImageLuma16(image) => image.into_raw(),
        DynamicImage::ImageRgb16(image) => image.into_raw(),
        image => image
            .as_bytes()
            .iter()
            .map(|&byte| u16::from(byte))
            .collect(),
    }
}

#[test]
fn colours_are_those_that_little_cms_sees_within_srgb_and_beyond() {
    for expected in fixtures().colours {
        let name = &expected.file;
        let path = folder().join(name);
        let picture = read(&path);
        assert_eq!(picture.gray, expected.gray, "{name}");
        assert_eq!(
            picture.depth == Depth::Sixteen,
            expected.bit_depth == 16,
            "{name}"
        );
        assert!(picture.origin.icc.is_some(), "{name}");
        assert!(
            picture.rgb.iter().all(|value| (0.0..=1.0).contains(value)),
            "{name}"
        );
        if expected.keeps_values {
            let own: Vec<f32> = samples(&path)
                .iter()
                .map(|&v| f32::from(v) / 255.0)
                .collect();
            assert_eq!(picture.rgb, own, "{name}");
            assert_eq!(picture.beyond, None, "{name}");
            continue;
        }
        let mut colours = picture.rgb.clone();
        for (value, beyond) in colours.iter_mut().zip(picture.beyond.iter().flatten()) {
            *value += beyond;
        }
        // Both compute in doubles; f32 and seven printed digits remain. littleCMS reads tables in f32 and finds its place
        // between their points in other ways. Of JPEG another decoder read the values: three steps, which the
        // profile's curve spreads up to twice as far beyond sRGB.
        let tolerance = match name {
            _ if name.ends_with("jpg") => 6.0 / 255.0,
            _ if name.starts_with("tables") => 5e-4,
            _ => 2e-6,
        };
        let pairs = colours.iter().zip(&expected.srgb);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name}: {worst:.2e}");
        assert_eq!(colours.len(), expected.srgb.len(), "{name}");
        assert!(worst < tolerance, "{name}: {worst}");
        let goes_beyond = expected
            .srgb
            .iter()
            .any(|value| !(-0.01..=1.01).contains(value));
        assert_eq!(picture.beyond.is_some(), goes_beyond, "{name}");
    }
}

#[test]
fn a_picture_that_nothing_happened_to_has_its_own_values_again() {
    let target = TempDir::new().unwrap();
    for expected in fixtures().colours {
        let name = &expected.file;
        let path = folder().join(name);
        let picture = read(&path);
        let formats = [Format::Png, Format::Tiff, Format::WebP];
        // WebP has neither grey nor 16 bits.
        let formats = formats.into_iter().filter(|&format| {
            format != Format::WebP || (!expected.gray && expected.bit_depth == 8)
        });
        for format in formats {
            let copy = target.path().join("copy");
            let warnings = encode(&picture, &copy, format, &overwrite()).unwrap();
            assert_eq!(warnings, [""; 0], "{name}");
            let again = read(&copy);
            assert_eq!(again.origin.icc, picture.origin.icc, "{name} as {format}");
            let (before, after) = (samples(&path), samples(&copy));
            let pairs = before.iter().zip(&after);
            let steps = pairs.map(|(a, b)| a.abs_diff(*b)).max();
            println!("{name} as {format}: {steps:?} steps");
            // Rounding of f32 near black beside bright channels, see `Profile::to_file`: in 16 bits a gamma of
            // 1.8 makes a few steps of it.
            let most = if expected.bit_depth == 8 { 0 } else { 8 };
            assert!(steps <= Some(most), "{name} as {format}: {steps:?} steps");
        }
    }
}

#[test]
fn a_grey_profile_stays_with_grey_and_webp_gets_plain_colours() {
    let target = TempDir::new().unwrap();
    let picture = read(&folder().join("gray.png"));
    let copy = target.path().join("copy.webp");
    encode(&picture, &copy, Format::WebP, &overwrite()).unwrap();
    let colours = read(&copy);
    assert_eq!(colours.origin.icc, None);
    let pairs = picture.rgb.iter().zip(&colours.rgb);
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= 0.5 / 255.0 + 1e-6, "{worst}");
}

#[test]
fn orientation_resolution_and_what_texts_say_are_found_in_every_format() {
    for expected in fixtures().metadata {
        let path = folder().join(&expected.file);
        let picture = read(&path);
        assert_eq!(expected.tags["IFD0:Orientation"], 6, "{}", expected.file);
        assert_eq!(
            (picture.width, picture.height),
            (12, 16),
            "{}",
            expected.file
        );
        let inches = Density { x: 300.0, y: 300.0 };
        assert_eq!(picture.origin.density, Some(inches), "{}", expected.file);
        assert!(picture.origin.exif.is_some() && picture.origin.xmp.is_some());
        assert_eq!(
            picture.origin.iptc.is_none(),
            expected.file.ends_with("webp")
        );
        assert_eq!(provenance(&path).unwrap(), None);
    }
}

/// Any text: quotes, what XML escapes, and what is not ASCII.
const MADE: &str = r#"{"seed":7,"model":"a <b> & 'c' – ü"}"#;

const FORMATS: [Format; 4] = [Format::Png, Format::Jpeg, Format::WebP, Format::Tiff];

#[test]
fn how_a_picture_was_made_is_read_again_from_every_format() {
    let target = TempDir::new().unwrap();
    let copy = target.path().join("copy");
    for name in [
        "photo.jpg",
        "photo.png",
        "photo.webp",
        "photo.tif",
        "p3.png",
    ] {
        let picture = read(&folder().join(name));
        for format in FORMATS {
            for strip_metadata in [false, true] {
                let saving = Saving {
                    provenance: Some(MADE.into()),
                    strip_metadata,
                    ..overwrite()
                };
                encode(&picture, &copy, format, &saving).unwrap();
                let found = provenance(&copy).unwrap();
                assert_eq!(found.as_deref(), Some(MADE), "{name} as {format}");
                // A second time it replaces the first.
                let again = Saving {
                    provenance: Some("second".into()),
                    ..overwrite()
                };
                let made = decode(&copy).unwrap().picture;
                encode(&made, &copy, format, &again).unwrap();
                let found = provenance(&copy).unwrap();
                assert_eq!(found.as_deref(), Some("second"), "{name} as {format}");
                // What is not said again is not true of the new file.
                encode(&made, &copy, format, &overwrite()).unwrap();
                assert_eq!(provenance(&copy).unwrap(), None, "{name} as {format}");
                let bytes = std::fs::read(&copy).unwrap();
                let kept = String::from_utf8_lossy(&bytes).contains("Ann Example");
                let had = name.starts_with("photo") && !strip_metadata;
                assert_eq!(kept, had, "{name} as {format}");
            }
        }
    }
}

#[test]
fn stripping_leaves_profile_and_resolution() {
    let target = TempDir::new().unwrap();
    let copy = target.path().join("copy");
    let saving = Saving {
        strip_metadata: true,
        ..overwrite()
    };
    let mut picture = read(&folder().join("photo.jpg"));
    let profile = read(&folder().join("p3.png")).origin.icc.clone();
    std::sync::Arc::make_mut(&mut picture.origin).icc = profile.clone();
    for format in FORMATS {
        encode(&picture, &copy, format, &saving).unwrap();
        let origin = decode(&copy).unwrap().picture.origin;
        assert_eq!(origin.icc, profile, "{format}");
        assert!(origin.xmp.is_none() && origin.iptc.is_none(), "{format}");
        let density = origin.density.expect("a resolution");
        // PNG counts whole pixels per metre.
        assert!((density.x - 300.0).abs() < 0.02, "{format}: {density:?}");
        let bytes = std::fs::read(&copy).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            !text.contains("Maker") && !text.contains("Bridge"),
            "{format}"
        );
    }
}

/// What exiftool reads of our files is what it read of theirs, but for what an enlargement changes.
#[test]
fn exiftool_reads_the_same_metadata_from_the_enlargement() {
    if Command::new("exiftool").arg("-ver").output().is_err() {
        eprintln!("SKIPPED: exiftool is not installed (Debian's libimage-exiftool-perl)");
        return;
    }
    let target = TempDir::new().unwrap();
    for expected in fixtures().metadata {
        let name = &expected.file;
        let picture = read(&folder().join(name));
        let enlarged = picture.enlarged(vec![0.5; 16 * picture.rgb.len()]);
        for (format, ending) in FORMATS.into_iter().zip(["png", "jpg", "webp", "tif"]) {
            let copy = target.path().join(format!("copy.{ending}"));
            let saving = Saving {
                provenance: Some(MADE.into()),
                ..overwrite()
            };
            encode(&enlarged, &copy, format, &saving).unwrap();
            let output = Command::new("exiftool")
                .args([
                    "-j",
                    "-G1",
                    "-n",
                    "-a",
                    "-EXIF:all",
                    "-IPTC:all",
                    "-XMP:all",
                ])
                .args(["-validate", "-warning", "-error"])
                .arg(&copy)
                .output()
                .unwrap();
            let mut read: Vec<BTreeMap<String, Value>> =
                serde_json::from_slice(&output.stdout).unwrap();
            let read = read.remove(0);
            let what = format!("{name} as {format}");
            let get = |tag: &str| read.get(tag).cloned().unwrap_or(Value::Null);
            println!("{what}: {} tags, {}", read.len(), get("ExifTool:Warning"));
            let mut kept = 0;
            for (tag, value) in &expected.tags {
                let expected = match tag.as_str() {
                    "IFD0:Orientation" | "XMP-tiff:Orientation" => 1.into(),
                    "ExifIFD:ExifImageWidth"
                    | "XMP-exif:ExifImageWidth"
                    | "XMP-tiff:ImageWidth" => 48.into(),
                    "ExifIFD:ExifImageHeight" | "XMP-tiff:ImageHeight" => 64.into(),
                    "XMP-iptcExt:DigitalSourceType" => {
                        "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced"
                            .into()
                    }
                    tag if tag.contains("Thumbnail") || tag.starts_with("IFD1") => Value::Null,
                    tag if tag.starts_with("JFIF")
                        || (tag.starts_with("IPTC") && ending == "webp") =>
                    {
                        continue;
                    }
                    // How the input's own pixels are stored.
                    "IFD0:YCbCrPositioning" => continue,
                    _ if name.ends_with("tif") && STORAGE.contains(&tag.as_str()) => continue,
                    _ => value.clone(),
                };
                assert_eq!(get(tag), expected, "{what}: {tag}");
                kept += 1;
            }
            assert!(kept > 20, "{what}");
            assert_eq!(
                get("ExifIFD:UserComment"),
                format!("minkds: {MADE}"),
                "{what}"
            );
            assert_eq!(get("XMP-minkds:Settings"), MADE, "{what}");
            assert_eq!(get("IFD1:ThumbnailOffset"), Value::Null, "{what}");
        }
    }
}

const STORAGE: [&str; 11] = [
    "IFD0:ImageWidth",
    "IFD0:ImageHeight",
    "IFD0:BitsPerSample",
    "IFD0:Compression",
    "IFD0:PhotometricInterpretation",
    "IFD0:StripOffsets",
    "IFD0:SamplesPerPixel",
    "IFD0:RowsPerStrip",
    "IFD0:StripByteCounts",
    "IFD0:PlanarConfiguration",
    "IFD0:Predictor",
];

/// Laid over black and over white, an enlarged picture with alpha looks as if it had been laid over them
/// before. Where the picture and its alpha are smooth the two differ by what products of enlargements differ from
/// enlargements of products; a fringe would be far more.
#[test]
fn transparent_edges_have_no_fringes() {
    let (width, height) = (24, 16);
    let colour = |x: usize, y: usize| [0.6 + 0.01 * x as f32, 0.5, 0.3 + 0.01 * y as f32];
    let place = |i: usize| (i % width, i / width);
    // Opaque, then falling to nothing over eight pixels; black lies under the nothing.
    let alpha = |x: usize| (1.0 - (x as f32 - 8.0) / 8.0).clamp(0.0, 1.0);
    let pixels = 0..width * height;
    let mut picture = Picture {
        alpha: Some(pixels.clone().map(|i| alpha(place(i).0)).collect()),
        beyond: Some(
            pixels
                .clone()
                .flat_map(|i| {
                    if alpha(place(i).0) > 0.0 {
                        [0.0, 0.0, -0.1]
                    } else {
                        [0.0; 3]
                    }
                })
                .collect(),
        ),
        ..Picture::srgb(
            width,
            height,
            pixels
                .clone()
                .flat_map(|i| {
                    let (x, y) = place(i);
                    if alpha(x) > 0.0 {
                        colour(x, y)
                    } else {
                        [0.0; 3]
                    }
                })
                .collect(),
        )
    };
    bleed_under_alpha(&mut picture);
    let enlarged = picture.enlarged(bicubic_x4(&picture.rgb, width, height, 3));
    for ground in [0.0, 1.0] {
        let over = |value: f32, alpha: f32| value * alpha + ground * (1.0 - alpha);
        let before: Vec<f32> = pixels
            .clone()
            .flat_map(|i| {
                let (x, y) = place(i);
                colour(x, y).map(|value| over(value, alpha(x)))
            })
            .collect();
        let before = bicubic_x4(&before, width, height, 3);
        let alphas = enlarged.alpha.as_ref().unwrap();
        let worst = enlarged
            .rgb
            .iter()
            .zip(&before)
            .enumerate()
            .map(|(i, (value, before))| (over(*value, alphas[i / 3]) - before).abs())
            .fold(0.0, f32::max);
        println!("over {ground}: {worst}");
        assert!(worst < 2.0 / 255.0, "over {ground}: {worst}");
    }
    // What lies beyond sRGB was bled, too: it ends no earlier than the picture.
    let beyond = picture.beyond.as_ref().unwrap();
    assert!(beyond.chunks_exact(3).all(|pixel| pixel[2] == -0.1));
}

#[test]
fn lossy_files_shrink_with_quality_and_keep_alpha_and_profile() {
    let target = TempDir::new().unwrap();
    let copy = target.path().join("copy");
    let mut picture = read(&folder().join("p3.png"));
    picture = picture.enlarged(bicubic_x4(&picture.rgb, picture.width, picture.height, 3));
    for format in [Format::Jpeg, Format::WebP] {
        assert!(format.has_quality());
        let sizes = [10, 60, 98].map(|quality| {
            let saving = Saving {
                quality: Some(quality),
                ..overwrite()
            };
            encode(&picture, &copy, format, &saving).unwrap();
            std::fs::metadata(&copy).unwrap().len()
        });
        assert!(
            sizes[0] < sizes[1] && sizes[1] < sizes[2],
            "{format}: {sizes:?}"
        );
        assert_eq!(read(&copy).origin.icc, picture.origin.icc, "{format}");
    }
    let alpha = (0..picture.width * picture.height).map(|i| (i % 256) as f32 / 255.0);
    picture.alpha = Some(alpha.collect());
    let saving = Saving {
        quality: Some(80),
        ..overwrite()
    };
    encode(&picture, &copy, Format::WebP, &saving).unwrap();
    let read = read(&copy);
    // libwebp keeps alpha without loss unless asked otherwise.
    assert_eq!(read.alpha, picture.alpha);
    assert_eq!(read.origin.icc, picture.origin.icc);
}

/// A profile for print is far larger than a segment of JPEG.
#[test]
fn a_large_profile_goes_through_every_format() {
    let target = TempDir::new().unwrap();
    let copy = target.path().join("copy");
    let mut picture = read(&folder().join("p3.png"));
    let origin = std::sync::Arc::make_mut(&mut picture.origin);
    // Bytes after the last tag are allowed.
    let noise = (0_u32..200_000).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
    let icc = origin.icc.as_mut().unwrap();
    icc.extend(noise);
    let expected = icc.clone();
    for format in FORMATS {
        encode(&picture, &copy, format, &overwrite()).unwrap();
        assert_eq!(read(&copy).origin.icc.as_ref(), Some(&expected), "{format}");
    }
}

#[test]
fn other_formats_are_read_or_refused_by_name() {
    for expected in fixtures().others {
        let name = &expected.file;
        let decoded = decode(&folder().join(name)).unwrap_or_else(|error| panic!("{error}"));
        let size = (decoded.picture.width as u32, decoded.picture.height as u32);
        let peeked = peek(&folder().join(name));
        // A palette in a TIFF is nothing that its headers are read for.
        assert!(
            peeked == Some(size) || name == "palette.tif",
            "{name}: {peeked:?}"
        );
        let is_animated = name.starts_with("animated");
        let warning = "it is animated; only its first frame is used".to_string();
        assert_eq!(
            decoded.warnings,
            vec![warning; usize::from(is_animated)],
            "{name}"
        );
        let max = f32::from(u16::MAX >> (16 - expected.bit_depth));
        assert_eq!(
            decoded.picture.depth == Depth::Sixteen,
            max > 255.0,
            "{name}"
        );
        // A GIF is sRGB; the others have a profile, so their own values are asked for by writing them.
        let target = tempfile::Builder::new().suffix(".tif").tempfile().unwrap();
        encode(&decoded.picture, target.path(), Format::Tiff, &overwrite()).unwrap();
        let values = samples(target.path());
        assert_eq!(values.len(), expected.values.len(), "{name}");
        let pairs = values.iter().zip(&expected.values);
        let worst = pairs
            .map(|(a, b)| (f32::from(*a) - b).abs())
            .fold(0.0, f32::max);
        println!("{name}: {worst}");
        // As in `a_picture_that_nothing_happened_to_has_its_own_values_again`.
        assert!(
            worst <= if max > 255.0 { 8.0 } else { 0.0 },
            "{name}: {worst}"
        );
    }
    // Made of a grey column and the same upside down as its alpha.
    let both = read(&folder().join("gray-alpha.tif"));
    assert!(both.gray);
    let (grays, _) = both.rgb.as_chunks::<3>();
    let alpha = both.alpha.as_ref().expect("alpha");
    for (i, alpha) in alpha.iter().enumerate() {
        let (x, y) = (i % both.width, i / both.width);
        assert_eq!(grays[(both.height - 1 - y) * both.width + x], [*alpha; 3]);
    }
    let avif = decode(&folder().join("picture.avif"))
        .unwrap_err()
        .to_string();
    assert!(
        avif.contains("AVIF") && avif.contains("convert it"),
        "{avif}"
    );
}
