//! Claims about reading and writing pictures, on files made here.

use std::fs;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageFormat};
use tempfile::TempDir;

use super::*;

const WIDTH: usize = 9;
const HEIGHT: usize = 6;

/// A picture whose values are exactly those a file of its depth can hold, different in every pixel
/// and channel.
fn picture(gray: bool, alpha: bool, depth: Depth) -> Picture {
    let steps = match depth {
        Depth::Eight => 255,
        Depth::Sixteen => 65535,
    };
    let value = |i: usize| ((i * 7919) % (steps + 1)) as f32 / steps as f32;
    let pixels = 0..WIDTH * HEIGHT;
    let rgb = match gray {
        true => pixels.clone().flat_map(|i| [value(i); 3]).collect(),
        false => pixels
            .clone()
            .flat_map(|i| [value(3 * i), value(3 * i + 1), value(3 * i + 2)])
            .collect(),
    };
    let alpha = alpha.then(|| pixels.map(|i| value(i + 13)).collect());
    Picture {
        alpha,
        depth,
        gray,
        ..Picture::srgb(WIDTH, HEIGHT, rgb)
    }
}

fn variants() -> impl Iterator<Item = Picture> {
    [Depth::Eight, Depth::Sixteen]
        .into_iter()
        .flat_map(|depth| {
            [(false, false), (false, true), (true, false), (true, true)]
                .map(|(gray, alpha)| picture(gray, alpha, depth))
        })
}

/// A folder with files in it, which goes away with the test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Decoded, DecodeProblem> {
        let path = self.path("input");
        fs::write(&path, bytes).unwrap();
        decode(&path).map_err(|error| {
            let message = error.to_string();
            assert!(
                message.contains(path.to_str().unwrap()),
                "no path in {message}"
            );
            match error {
                ImageError::Decode { problem, .. } => problem,
                other => panic!("not a decoding error: {other}"),
            }
        })
    }

    fn encode(&self, picture: &Picture, format: Format) -> (Vec<u8>, Vec<String>) {
        let path = self.path("output");
        let warnings = encode(picture, &path, format, &Existing::Overwrite.into()).unwrap();
        (fs::read(path).unwrap(), warnings)
    }
}

fn bmp() -> Vec<u8> {
    let rgb: Vec<u8> = (0..WIDTH * HEIGHT * 3)
        .map(|i| (i * 5 % 256) as u8)
        .collect();
    let image = image::RgbImage::from_raw(WIDTH as u32, HEIGHT as u32, rgb).unwrap();
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::from(image)
        .write_to(&mut bytes, ImageFormat::Bmp)
        .unwrap();
    bytes.into_inner()
}

/// The fields of a page (tag, values of 16 bits) and its samples.
type TiffPage<'a> = (&'a [(u16, &'a [u16])], &'a [u8]);

/// A TIFF file of uncompressed pages.
fn tiff(big_endian: bool, pages: &[TiffPage<'_>]) -> Vec<u8> {
    let u16_of = |value: u16| {
        if big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    let u32_of = |value: u32| {
        if big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    let mut bytes = if big_endian {
        b"MM\0\x2A".to_vec()
    } else {
        b"II\x2A\0".to_vec()
    };
    let mut link = bytes.len();
    bytes.extend([0; 4]);
    for (fields, samples) in pages {
        let samples_at = bytes.len() as u32;
        bytes.extend(*samples);
        let mut entries = Vec::new();
        for (tag, values) in *fields {
            let mut stored: Vec<u8> = values.iter().flat_map(|&value| u16_of(value)).collect();
            if stored.len() > 4 {
                let at = bytes.len() as u32;
                bytes.extend(&stored);
                stored = u32_of(at).to_vec();
            }
            stored.resize(4, 0);
            entries.push((*tag, 3, values.len() as u32, stored));
        }
        entries.push((273, 4, 1, u32_of(samples_at).to_vec()));
        entries.push((279, 4, 1, u32_of(samples.len() as u32).to_vec()));
        entries.sort();
        let directory = u32_of(bytes.len() as u32);
        bytes[link..link + 4].copy_from_slice(&directory);
        bytes.extend(u16_of(entries.len() as u16));
        for (tag, kind, count, stored) in entries {
            bytes.extend(u16_of(tag));
            bytes.extend(u16_of(kind));
            bytes.extend(u32_of(count));
            bytes.extend(stored);
        }
        link = bytes.len();
        bytes.extend([0; 4]);
    }
    bytes
}

/// Fields of a 2 x 1 page.
fn tiff_fields<'a>(
    bits: &'a [u16],
    photometric: &'a [u16],
    samples: &'a [u16],
) -> Vec<(u16, &'a [u16])> {
    vec![
        (256, &[2]),
        (257, &[1]),
        (258, bits),
        (259, &[1]),
        (262, photometric),
        (277, samples),
        (278, &[1]),
    ]
}

#[test]
fn lossless_formats_return_every_value_exactly() {
    let files = Files::new();
    for original in variants() {
        for format in [Format::Png, Format::Tiff, Format::WebP] {
            if original.depth == Depth::Sixteen && !format.holds_sixteen_bits() {
                continue;
            }
            let (bytes, warnings) = files.encode(&original, format);
            let decoded = files.decode(&bytes).unwrap();
            let mut expected = original.clone();
            // WebP always stores colours.
            expected.gray &= format != Format::WebP;
            assert_eq!(decoded.picture, expected, "{format}");
            assert!(
                warnings.is_empty() && decoded.warnings.is_empty(),
                "{format}"
            );
        }
    }
}

#[test]
fn sixteen_bits_become_the_nearest_eight_where_the_format_has_no_more() {
    let files = Files::new();
    let original = picture(false, true, Depth::Sixteen);
    let decoded = files
        .decode(&files.encode(&original, Format::WebP).0)
        .unwrap()
        .picture;
    assert_eq!(decoded.depth, Depth::Eight);
    // Half a step of 8 bits, and f32 rounding.
    let worst = original
        .rgb
        .iter()
        .zip(&decoded.rgb)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst <= 0.5 / 255.0 + 1e-6, "{worst}");
}

#[test]
fn values_beyond_the_range_are_clamped() {
    let files = Files::new();
    for depth in [Depth::Eight, Depth::Sixteen] {
        let rgb = vec![-0.5, -1e-9, 0.0, 1.0, 1.001, 1e30];
        let wild = Picture {
            depth,
            ..Picture::srgb(2, 1, rgb)
        };
        let decoded = files
            .decode(&files.encode(&wild, Format::Png).0)
            .unwrap()
            .picture;
        assert_eq!(decoded.rgb, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    }
}

#[test]
fn a_gray_picture_with_coloured_values_is_written_as_its_luma() {
    let files = Files::new();
    let rgb = vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let coloured = Picture {
        gray: true,
        ..Picture::srgb(2, 1, rgb)
    };
    let decoded = files
        .decode(&files.encode(&coloured, Format::Png).0)
        .unwrap()
        .picture;
    assert!(decoded.gray);
    let expected = [54.0, 182.0].map(|step: f32| step / 255.0);
    assert_eq!(decoded.rgb, [[expected[0]; 3], [expected[1]; 3]].concat());
}

#[test]
fn jpeg_keeps_full_colour_resolution_and_is_close() {
    let files = Files::new();
    for gray in [false, true] {
        let mut smooth = picture(gray, false, Depth::Sixteen);
        for (i, value) in smooth.rgb.iter_mut().enumerate() {
            let (pixel, channel) = (i / 3, if gray { 0 } else { i % 3 });
            *value = (pixel % WIDTH + 4 * channel) as f32 / 20.0;
        }
        let (bytes, warnings) = files.encode(&smooth, Format::Jpeg);
        assert!(warnings.is_empty());
        let frame = bytes
            .windows(2)
            .position(|pair| pair == [0xFF, 0xC0])
            .unwrap();
        let components = bytes[frame + 9];
        assert_eq!(components, if gray { 1 } else { 3 });
        for component in 0..usize::from(components) {
            assert_eq!(
                bytes[frame + 11 + 3 * component],
                0x11,
                "component {component} is subsampled"
            );
        }
        let decoded = files.decode(&bytes).unwrap().picture;
        assert_eq!((decoded.gray, decoded.depth), (gray, Depth::Eight));
        let worst = smooth
            .rgb
            .iter()
            .zip(&decoded.rgb)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        // Quality 95 rounds transform coefficients to a few steps of 255.
        assert!(worst < 6.0 / 255.0, "{worst}");
    }
}

#[test]
fn jpeg_lays_transparency_over_white_and_says_so() {
    let files = Files::new();
    let mut see_through = picture(false, true, Depth::Eight);
    see_through.rgb.fill(0.0);
    see_through.alpha = Some(vec![0.25; WIDTH * HEIGHT]);
    let (bytes, warnings) = files.encode(&see_through, Format::Jpeg);
    assert!(
        warnings.len() == 1 && warnings[0].contains("white"),
        "{warnings:?}"
    );
    let decoded = files.decode(&bytes).unwrap().picture;
    assert!(
        decoded
            .rgb
            .iter()
            .all(|value| (value - 0.75).abs() < 2.0 / 255.0)
    );

    see_through.alpha = Some(vec![1.0; WIDTH * HEIGHT]);
    assert!(
        files.encode(&see_through, Format::Jpeg).1.is_empty(),
        "nothing was lost"
    );
}

#[test]
fn alpha_that_hides_nothing_is_dropped() {
    let files = Files::new();
    let mut opaque = picture(false, true, Depth::Eight);
    opaque.alpha = Some(vec![1.0; WIDTH * HEIGHT]);
    assert_eq!(
        files
            .decode(&files.encode(&opaque, Format::Png).0)
            .unwrap()
            .picture
            .alpha,
        None
    );
}

#[test]
fn content_counts_not_the_ending() {
    let files = Files::new();
    let path = files.path("really-a-png.jpg");
    let original = picture(false, false, Depth::Eight);
    encode(&original, &path, Format::Png, &Saving::default()).unwrap();
    assert_eq!(decode(&path).unwrap().picture, original);
}

#[test]
fn every_file_cut_short_is_refused() {
    let files = Files::new();
    let mut whole: Vec<(String, Vec<u8>)> = vec![("BMP".into(), bmp())];
    for original in variants() {
        for format in [Format::Png, Format::Jpeg, Format::WebP] {
            whole.push((format.to_string(), files.encode(&original, format).0));
        }
    }
    for (format, bytes) in whole {
        assert!(files.decode(&bytes).is_ok(), "{format}");
        for length in 0..bytes.len() {
            let problem = files.decode(&bytes[..length]).expect_err(&format);
            let expected = match length {
                0 => matches!(problem, DecodeProblem::Empty),
                // Too little to tell the format.
                1..18 => matches!(
                    problem,
                    DecodeProblem::NotAPicture | DecodeProblem::Truncated(_)
                ),
                _ => matches!(problem, DecodeProblem::Truncated(_)),
            };
            assert!(
                expected,
                "{format} cut to {length} of {}: {problem}",
                bytes.len()
            );
        }
    }
}

/// A TIFF file may end with data that no reader needs, so what is asked is less: never a part of a
/// picture.
#[test]
fn a_tiff_cut_short_is_refused_or_the_whole_picture() {
    let files = Files::new();
    for original in variants() {
        let (bytes, _) = files.encode(&original, Format::Tiff);
        let whole = files.decode(&bytes).unwrap();
        let mut refused = 0;
        for length in 0..bytes.len() {
            match files.decode(&bytes[..length]) {
                Ok(decoded) => assert_eq!(decoded, whole, "cut to {length} of {}", bytes.len()),
                Err(_) => refused += 1,
            }
        }
        assert!(
            refused > bytes.len() - 8,
            "only {refused} of {} cuts were refused",
            bytes.len()
        );
    }
}

#[test]
fn no_damage_makes_the_reader_panic() {
    let files = Files::new();
    let mut whole = vec![bmp()];
    for original in [
        picture(false, true, Depth::Sixteen),
        picture(true, false, Depth::Eight),
    ] {
        for format in [Format::Png, Format::Jpeg, Format::WebP, Format::Tiff] {
            whole.push(files.encode(&original, format).0);
        }
    }
    for bytes in whole {
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xFF] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                let _ = files.decode(&damaged);
            }
        }
    }
}

#[test]
fn absurd_sizes_are_refused_by_their_header() {
    let files = Files::new();
    let small = picture(false, false, Depth::Eight);
    let patched = |mut bytes: Vec<u8>, at: usize, values: &[u8]| {
        bytes[at..at + values.len()].copy_from_slice(values);
        bytes
    };
    let png = files.encode(&small, Format::Png).0;
    let png_of = |width: u32, height: u32| {
        patched(
            png.clone(),
            16,
            &[width.to_be_bytes(), height.to_be_bytes()].concat(),
        )
    };
    let bmp_of = |width: i32, height: i32| {
        patched(
            bmp(),
            18,
            &[width.to_le_bytes(), height.to_le_bytes()].concat(),
        )
    };
    let jpeg = files.encode(&small, Format::Jpeg).0;
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC0])
        .unwrap();
    let jpeg_of = |side: u16| patched(jpeg.clone(), frame + 5, &[side.to_be_bytes(); 2].concat());
    // The canvas of an extended WebP file: 24 bits a side, less one.
    let webp = [
        b"RIFF\x16\0\0\0WEBPVP8X\x0A\0\0\0".as_slice(),
        &[0, 0, 0, 0],
        &[0xFF; 6],
    ]
    .concat();
    let tiff_of = |size: [u16; 2]| {
        let mut fields = tiff_fields(&[8], &[1], &[1]);
        fields[0].1 = &size[..1];
        fields[1].1 = &size[1..];
        tiff(false, &[(&fields, &[1, 2])])
    };

    let too_large = [
        png_of(4_000_000_000, 4_000_000_000),
        png_of(2_000_000_000, 2_000_000_000),
        png_of(65_536, 1),
        png_of(20_000, 20_000),
        bmp_of(i32::MAX, i32::MAX),
        bmp_of(60_000, -60_000),
        jpeg_of(u16::MAX),
        webp,
        tiff_of([65_535, 65_535]),
    ];
    for (i, bytes) in too_large.iter().enumerate() {
        let problem = files.decode(bytes).unwrap_err();
        assert!(
            matches!(problem, DecodeProblem::TooLarge { .. }),
            "file {i}: {problem}"
        );
    }
    // A size that would be allowed, but without the data for it.
    for (i, bytes) in [
        png_of(16_000, 16_000),
        bmp_of(16_000, 16_000),
        tiff_of([16_000, 16_000]),
    ]
    .iter()
    .enumerate()
    {
        let problem = files.decode(bytes).unwrap_err();
        let expected = matches!(
            problem,
            DecodeProblem::Truncated(_) | DecodeProblem::Corrupt { .. }
        );
        assert!(expected, "file {i}: {problem}");
    }
    for (i, bytes) in [
        png_of(0, 5),
        bmp_of(0, 5),
        bmp_of(5, 0),
        jpeg_of(0),
        tiff_of([0, 5]),
    ]
    .iter()
    .enumerate()
    {
        let problem = files.decode(bytes).unwrap_err();
        let expected = matches!(
            problem,
            DecodeProblem::NoPixels { .. } | DecodeProblem::Corrupt { .. }
        );
        assert!(expected, "file {i}: {problem}");
    }
}

#[test]
fn what_is_no_picture_is_refused_with_the_reason() {
    let files = Files::new();
    let reason = |path: &Path| decode(path).unwrap_err().to_string();
    assert!(reason(&files.path("missing.png")).contains("no such file"));
    assert!(reason(files.0.path()).contains("it is a folder"));
    assert!(matches!(
        files.decode(b"").unwrap_err(),
        DecodeProblem::Empty
    ));
    for other in [
        b"hello".as_slice(),
        b"GIF90a\x01\0\x01\0",
        &[0; 1000],
        b"RIFF\0\0\0\0WAVE",
    ] {
        let problem = files.decode(other).unwrap_err();
        assert!(matches!(problem, DecodeProblem::NotAPicture));
        assert!(
            problem
                .to_string()
                .contains("(PNG, JPEG, WebP, TIFF, BMP, GIF, JPEG XL)")
        );
    }
}

#[test]
fn tiff_pages_byte_orders_and_premultiplied_alpha() {
    let files = Files::new();
    let rgb_fields = tiff_fields(&[16, 16, 16], &[2], &[3]);
    let little: Vec<u8> = (0..12).collect();
    let big: Vec<u8> = little
        .chunks(2)
        .flat_map(|pair| [pair[1], pair[0]])
        .collect();
    let page: TiffPage<'_> = (&rgb_fields, &little);
    let one = files.decode(&tiff(false, &[page])).unwrap();
    assert_eq!((one.picture.depth, one.warnings.len()), (Depth::Sixteen, 0));
    assert_eq!(one.picture.rgb[1], f32::from(0x0302_u16) / 65535.0);
    assert_eq!(
        files.decode(&tiff(true, &[(&rgb_fields, &big)])).unwrap(),
        one
    );

    let three = files.decode(&tiff(false, &[page, page, page])).unwrap();
    assert_eq!(three.picture, one.picture);
    assert_eq!(three.warnings, ["it has 3 pages; only the first is used"]);

    let samples = [50, 100, 0, 100, 9, 9, 9, 0];
    for (extra, first) in [
        (1, [50.0 / 100.0, 1.0, 0.0]),
        (2, [50.0 / 255.0, 100.0 / 255.0, 0.0]),
    ] {
        let mut fields = tiff_fields(&[8, 8, 8, 8], &[2], &[4]);
        let extra = [extra];
        fields.push((338, &extra));
        let picture = files
            .decode(&tiff(false, &[(&fields, &samples)]))
            .unwrap()
            .picture;
        assert_eq!(picture.alpha, Some(vec![100.0 / 255.0, 0.0]));
        let worst = picture
            .rgb
            .iter()
            .zip(first)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst < 1e-6, "{picture:?}");
    }
}

#[test]
fn cmyk_and_floating_point_are_refused_by_name() {
    let files = Files::new();
    let cmyk = tiff_fields(&[8, 8, 8, 8], &[5], &[4]);
    let problem = files.decode(&tiff(false, &[(&cmyk, &[0; 8])])).unwrap_err();
    assert!(matches!(problem, DecodeProblem::Cmyk), "{problem}");

    let mut rgb = tiff_fields(&[32, 32, 32], &[2], &[3]);
    rgb.push((339, &[3, 3, 3]));
    let mut gray = tiff_fields(&[32], &[1], &[1]);
    gray.push((339, &[3]));
    for (fields, length) in [(rgb, 24), (gray, 8)] {
        let problem = files
            .decode(&tiff(false, &[(&fields, &vec![0; length])]))
            .unwrap_err();
        assert!(matches!(problem, DecodeProblem::Float), "{problem}");
    }
}

#[test]
fn encoding_respects_existing_files_and_the_limits_of_formats() {
    let files = Files::new();
    let path = files.path("old.png");
    fs::write(&path, "old").unwrap();
    let small = picture(false, false, Depth::Eight);
    let error = encode(&small, &path, Format::Png, &Saving::default()).unwrap_err();
    assert!(
        matches!(error, ImageError::Write(WriteError::Exists { .. })),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"old");

    let wide = Picture {
        width: 16_384,
        height: 1,
        rgb: vec![0.5; 3 * 16_384],
        ..small
    };
    let error = encode(
        &wide,
        &files.path("wide.webp"),
        Format::WebP,
        &Saving::default(),
    )
    .unwrap_err();
    assert!(matches!(error, ImageError::OutputSize { .. }), "{error}");
    assert_eq!(fs::read_dir(files.0.path()).unwrap().count(), 1);
}
