//! Every picture in `tests/fixtures/images` decodes to the values that Pillow reads, or is refused
//! by name.

use std::path::PathBuf;

use minkds::image_io::{DecodeProblem, Depth, ImageError, decode};
use serde::Deserialize;

/// What `tools/fixtures.py` noted about a picture: upright, as RGB or RGBA, grey repeated three
/// times.
#[derive(Deserialize)]
struct Expected {
    file: String,
    pillow_mode: Option<String>,
    width: usize,
    height: usize,
    channels: usize,
    bit_depth: u8,
    /// In steps of the bit depth: 0 for lossless formats; for lossy ones as far as two correct
    /// decoders may differ by rounding in the transform and the colour conversion (3), and by the
    /// way coarse colours are enlarged (8).
    tolerance: f32,
    /// `[H, W, channels]`, in steps of the bit depth.
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct Fixtures {
    images: Vec<Expected>,
}

fn fixtures() -> (PathBuf, Vec<Expected>) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let text = std::fs::read_to_string(folder.join("images.json")).expect("images.json");
    let fixtures: Fixtures = serde_json::from_str(&text).expect("images.json as described");
    assert!(!fixtures.images.is_empty());
    (folder.join("images"), fixtures.images)
}

fn is_cmyk(expected: &Expected) -> bool {
    expected.pillow_mode.as_deref() == Some("CMYK")
}

#[test]
fn every_picture_has_pillows_values() {
    let (folder, fixtures) = fixtures();
    for expected in fixtures.iter().filter(|expected| !is_cmyk(expected)) {
        let name = &expected.file;
        let picture = decode(&folder.join(name))
            .unwrap_or_else(|error| panic!("{error}"))
            .picture;
        assert_eq!(
            (picture.width, picture.height),
            (expected.width, expected.height),
            "{name}"
        );
        let (depth, max) = match expected.bit_depth {
            8 => (Depth::Eight, 255.0),
            16 => (Depth::Sixteen, 65535.0),
            other => panic!("{name}: bit depth {other}"),
        };
        assert_eq!(picture.depth, depth, "{name}");
        assert_eq!(picture.alpha.is_some(), expected.channels == 4, "{name}");

        let mut worst = 0.0_f32;
        for (i, pixel) in expected.values.chunks_exact(expected.channels).enumerate() {
            let mut got = picture.rgb[3 * i..3 * i + 3].to_vec();
            got.extend(picture.alpha.as_ref().map(|alpha| alpha[i]));
            for (got, expected) in got.iter().zip(pixel) {
                worst = worst.max((got * max - expected).abs());
            }
        }
        // f32 keeps a 65535th to about 1 in 250 of a step.
        assert!(
            worst <= expected.tolerance + 0.01,
            "{name}: off by {worst}, allowed {}",
            expected.tolerance
        );
    }
}

#[test]
fn cmyk_is_refused_by_name() {
    let (folder, fixtures) = fixtures();
    let mut seen = 0;
    for expected in fixtures.iter().filter(|expected| is_cmyk(expected)) {
        let error = decode(&folder.join(&expected.file)).unwrap_err();
        assert!(
            matches!(
                error,
                ImageError::Decode {
                    problem: DecodeProblem::Cmyk,
                    ..
                }
            ),
            "{error}"
        );
        seen += 1;
    }
    assert!(seen > 0, "no CMYK picture among the fixtures");
}

#[test]
fn grey_and_animated_pictures_are_recognised() {
    let (folder, fixtures) = fixtures();
    for expected in fixtures.iter().filter(|expected| !is_cmyk(expected)) {
        let name = &expected.file;
        let decoded = decode(&folder.join(name)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            decoded.picture.gray,
            name.starts_with("grey") || name == "one-bit.png",
            "{name}"
        );
        assert_eq!(
            decoded.warnings.len(),
            usize::from(name.starts_with("animated")),
            "{name}"
        );
    }
}

/// Only a TIFF may lose bytes that no reader needs, so what is asked is: never a part of a picture.
#[test]
fn every_picture_cut_short_is_refused() {
    let (folder, fixtures) = fixtures();
    let cut = tempfile::NamedTempFile::new().unwrap();
    for expected in fixtures.iter().filter(|expected| !is_cmyk(expected)) {
        let name = &expected.file;
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let whole = decode(&folder.join(name)).unwrap();
        for length in 0..bytes.len() {
            std::fs::write(cut.path(), &bytes[..length]).unwrap();
            if let Ok(decoded) = decode(cut.path()) {
                assert!(
                    name.ends_with(".tif"),
                    "{name} cut to {length} of {} bytes was read",
                    bytes.len()
                );
                assert_eq!(
                    decoded,
                    whole,
                    "{name} cut to {length} of {} bytes",
                    bytes.len()
                );
            }
        }
    }
}
