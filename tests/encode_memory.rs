//! Writing a picture needs little memory beside it: rows are converted as they go into the file. A test program
//! of its own, because the largest memory belongs to the whole process.
#![cfg(target_os = "linux")]

use std::sync::Arc;

use minkds::image_io::{Depth, Existing, Format, Origin, Picture, decode, encode};

/// Bytes of this process's memory, as `/proc/self/status` names them.
fn memory(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let number = line.split_whitespace().nth(1).unwrap();
    number.parse::<usize>().unwrap() << 10
}

#[test]
fn writing_24_megapixels_copies_no_picture() {
    const PROFILE: &str = "/tests/fixtures/pictures/prophoto.tif";
    let profile = decode((env!("CARGO_MANIFEST_DIR").to_string() + PROFILE).as_ref()).unwrap();
    let origin = Arc::new(Origin {
        icc: profile.picture.origin.icc.clone(),
        ..Origin::default()
    });
    let (width, height) = (6000, 4000);
    let value = |i: usize| (i % 6007) as f32 / 6006.0 + (i.wrapping_mul(7919) % 13) as f32 / 400.0;
    let rgb = (0..3 * width * height).map(|i| value(i).min(1.0)).collect();
    let mut picture = Picture {
        depth: Depth::Sixteen,
        origin,
        ..Picture::srgb(width, height, rgb)
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    for (format, depth, most) in [
        // Bands of rows, buffers of the compressor, allocator's slack.
        (Format::Png, Depth::Sixteen, 32 << 20),
        (Format::Jpeg, Depth::Eight, 32 << 20),
        (Format::Tiff, Depth::Sixteen, 32 << 20),
        // The picture in 8 bits, and its encoder's copies of that.
        (Format::WebP, Depth::Eight, 1 << 30),
    ] {
        picture.depth = depth;
        // Makes the present memory the largest.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = memory("VmRSS:");
        let start = std::time::Instant::now();
        encode(&picture, file.path(), format, &Existing::Overwrite.into()).unwrap();
        let more = memory("VmHWM:") - before;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{format}: {:.1} MiB more, {seconds:.1} s",
            more as f64 / f64::from(1 << 20)
        );
        assert!(more < most, "{format}: {more} bytes");
    }
}
