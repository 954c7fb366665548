//! What comes out: its size, its format, and what it keeps of the input.

use image::{ColorType, DynamicImage, ImageFormat};
use minkds::image_io::resize::reduce_x4;
use minkds::image_io::{Depth, decode};

use crate::common::json;
use crate::program::Room;

#[test]
fn the_result_is_exactly_four_times_larger() {
    let sizes = [(1, 1), (1, 9), (2, 3), (5, 7), (13, 9), (16, 12)];
    for (model, sizes) in [
        ("TINY", &sizes[..]),
        ("TINY_VQ", &sizes[..]),
        ("--no-gui", &[(1, 1), (5, 7), (12, 8)]),
    ] {
        for &(width, height) in sizes {
            let room = Room::new();
            room.picture("a.png", width, height);
            room.succeeds(&format!("{model} a.png"));
            assert_eq!(room.size("a_x4.png"), (4 * width, 4 * height), "{model}");
        }
    }
}

#[test]
fn the_ending_chooses_the_format() {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    for (name, format) in [
        ("b.png", ImageFormat::Png),
        ("c.PNG", ImageFormat::Png),
        ("d.jpg", ImageFormat::Jpeg),
        ("e.JPEG", ImageFormat::Jpeg),
        ("f.webp", ImageFormat::WebP),
        ("g.tif", ImageFormat::Tiff),
        ("h.Tiff", ImageFormat::Tiff),
    ] {
        room.succeeds(&format!("TINY a.png -o {name}"));
        assert_eq!(
            image::guess_format(&room.read(name)).unwrap(),
            format,
            "{name}"
        );
        assert_eq!(room.size(name), (16, 16), "{name}");
    }
    let png = room.decoded("b.png").into_rgb8();
    for lossless in ["f.webp", "g.tif"] {
        assert_eq!(room.decoded(lossless).into_rgb8(), png, "{lossless}");
    }
}

#[test]
fn every_kind_of_input_keeps_its_size_depth_grey_and_alpha() {
    let kinds = json("images.json");
    for kind in kinds["images"].as_array().unwrap() {
        let name = kind["file"].as_str().unwrap();
        let room = Room::new();
        room.fixture_picture(name);
        if kind["pillow_mode"] == "CMYK" {
            room.refuses(&format!("TINY {name}"), 1, &[name, "CMYK"]);
            continue;
        }
        let gray = name.starts_with("grey") || name == "one-bit.png";
        let alpha = kind["channels"] == 4;
        let expected = match (gray, alpha, kind["bit_depth"] == 16) {
            (true, false, false) => ColorType::L8,
            (true, true, false) => ColorType::La8,
            (false, false, false) => ColorType::Rgb8,
            (false, true, false) => ColorType::Rgba8,
            (true, false, true) => ColorType::L16,
            (true, true, true) => ColorType::La16,
            (false, false, true) => ColorType::Rgb16,
            (false, true, true) => ColorType::Rgba16,
        };
        room.succeeds(&format!("TINY {name} -o result.png"));
        let result = room.decoded("result.png");
        let side = |key: &str| kind[key].as_u64().unwrap() as u32 * 4;
        assert_eq!(
            (result.width(), result.height()),
            (side("width"), side("height")),
            "{name}"
        );
        assert_eq!(result.color(), expected, "{name}");
    }
}

/// What a format cannot hold is left out or put in another way.
#[test]
fn formats_keep_what_they_can() {
    let room = Room::new();
    for (name, ending, expected) in [
        ("grey-16.png", "tif", ColorType::L16),
        ("grey-16.png", "jpg", ColorType::L8),
        // WebP has no grey.
        ("grey-16.png", "webp", ColorType::Rgb8),
        ("grey-alpha-16.png", "jpg", ColorType::L8),
        ("grey-alpha-8.png", "webp", ColorType::Rgba8),
        ("rgba-16.png", "tif", ColorType::Rgba16),
        ("rgba-16.png", "webp", ColorType::Rgba8),
        ("rgba-16.png", "jpg", ColorType::Rgb8),
        ("rgb-16.tif", "png", ColorType::Rgb16),
    ] {
        room.fixture_picture(name);
        let result = format!("result.{ending}");
        room.succeeds(&format!("TINY {name} -o {result}"));
        assert_eq!(
            room.decoded(&result).color(),
            expected,
            "{name} to {ending}"
        );
        assert_eq!(room.size(&result), (48, 32), "{name} to {ending}");
    }
    // The `image` crate does not read this kind.
    room.fixture_picture("grey-alpha-16.png");
    room.succeeds("TINY grey-alpha-16.png -o both.tif");
    let both = decode(&room.path("both.tif")).unwrap().picture;
    assert!(both.gray && both.alpha.is_some() && both.depth == Depth::Sixteen);
}

#[test]
fn sixteen_bits_are_more_than_eight_bits_in_a_larger_file() {
    let room = Room::new();
    room.fixture_picture("rgb-16.png");
    room.succeeds("TINY rgb-16.png -o result.png");
    let DynamicImage::ImageRgb16(result) = room.decoded("result.png") else {
        panic!("not 16 bits");
    };
    let finer = result.iter().filter(|&&value| value % 257 != 0).count();
    assert!(
        finer > result.len() / 2,
        "{finer} of {} values",
        result.len()
    );
}

/// Alpha is enlarged, not invented: reduced again, it is the input's.
#[test]
fn alpha_follows_the_input() {
    let room = Room::new();
    room.fixture_picture("rgba-8.png");
    room.succeeds("TINY rgba-8.png -o result.png");
    let plane = |picture: DynamicImage| -> Vec<f32> {
        picture
            .into_rgba8()
            .pixels()
            .map(|pixel| f32::from(pixel[3]) / 255.0)
            .collect()
    };
    let before = plane(room.decoded("rgba-8.png"));
    let after = reduce_x4(&plane(room.decoded("result.png")), 48, 32, 1);
    let worst = before
        .iter()
        .zip(&after)
        .fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    // Two cubic filters in a row blur; alpha upside down, constant or mirrored is off by over 0.5.
    assert!(worst < 0.15, "off by {worst}");
}

/// The bundled model with colours kept: every value of the input is met, in the place where it
/// belongs once the picture is upright.
#[test]
fn every_exif_orientation_comes_out_upright() {
    let upright = {
        let room = Room::new();
        room.fixture_picture("upright.png");
        room.decoded("upright.png").into_rgb8()
    };
    for orientation in 1..=8 {
        let room = Room::new();
        let name = format!("orientation-{orientation}.jpg");
        room.fixture_picture(&name);
        room.succeeds(&format!(
            "--no-gui {name} -o result.png --steps 1 --particles 1 --color-fix consistency"
        ));
        let result = room.decoded("result.png").into_rgb32f();
        let reduced = reduce_x4(&result, 48, 32, 3);
        let worst = upright
            .iter()
            .zip(&reduced)
            .fold(0f32, |worst, (&wanted, &got)| {
                worst.max((f32::from(wanted) / 255.0 - got).abs())
            });
        // JPEG's own loss is up to 8 steps of 255 here; the picture's colours span all of them.
        assert!(worst < 16.0 / 255.0, "{name}: off by {worst}");
    }
}

#[test]
fn the_orientation_of_lossless_formats_changes_no_value() {
    let room = Room::new();
    for name in [
        "upright.png",
        "orientation-6.png",
        "orientation-6.tif",
        "orientation-6.webp",
    ] {
        room.fixture_picture(name);
        room.succeeds(&format!("TINY {name} -o {name}.result.png"));
        let result = room.decoded(&format!("{name}.result.png"));
        assert!(result == room.decoded("upright.png.result.png"), "{name}");
    }
}

#[test]
fn transparency_over_a_format_without_it_is_said() {
    let room = Room::new();
    room.fixture_picture("rgba-8.png");
    let run = room.succeeds("TINY rgba-8.png -o result.jpg");
    assert!(run.stderr.contains("laid over white"), "{}", run.stderr);
    assert_eq!(room.size("result.jpg"), (48, 32));
}

#[test]
fn only_the_first_frame_of_an_animation_is_used_and_that_is_said() {
    let room = Room::new();
    for name in ["animated.png", "animated.webp"] {
        room.fixture_picture(name);
        let run = room.succeeds(&format!("TINY {name} -o result.png"));
        assert!(run.stderr.contains("first frame"), "{name}: {}", run.stderr);
    }
}

#[test]
fn a_picture_is_known_by_its_content_not_its_name() {
    let room = Room::new();
    room.picture("a.png", 4, 4);
    room.write("b.jpg", room.read("a.png"));
    room.succeeds("TINY b.jpg");
    let result = room.read("b_x4.jpg");
    assert_eq!(image::guess_format(&result).unwrap(), ImageFormat::Jpeg);
    room.succeeds("TINY b.jpg -o c.png");
    assert_eq!(room.read("c.png"), room.enlarged("TINY"));
}
