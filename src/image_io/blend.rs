//! Mixing a finished picture with the plain enlargement of its input.

use super::Picture;
use super::encode::as_stored;
use super::resize::bicubic_x4;

/// `strength` of `picture` and the rest of its `input` (`[H / 4, W / 4, 3]`), enlarged by bicubic. Alpha
/// stays.
///
/// The picture counts as a lossless file of it holds it, so that a file that was read again mixes to the
/// same values. At strength 1 nothing is touched.
///
/// # Panics
/// If `input` is not a quarter of the picture's size.
pub fn blend(picture: &mut Picture, input: &[f32], strength: f64) {
    if strength >= 1.0 {
        return;
    }
    let plain = bicubic_x4(input, picture.width / 4, picture.height / 4, 3);
    blend_with(picture, &plain, strength);
}

/// [`blend`] with a plain enlargement of the picture's own size.
///
/// # Panics
/// If it has another.
pub fn blend_with(picture: &mut Picture, plain: &[f32], strength: f64) {
    assert_eq!(
        plain.len(),
        picture.rgb.len(),
        "the input is of another size"
    );
    as_stored(picture);
    let strength = strength as f32;
    for (value, plain) in picture.rgb.iter_mut().zip(plain) {
        let plain = plain.clamp(0.0, 1.0);
        *value = plain + strength * (*value - plain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(gray: bool) -> (Picture, Vec<f32>) {
        let input: Vec<f32> = (0..2 * 3 * 3).map(|i| (i * 7 % 18) as f32 / 18.0).collect();
        let rgb = (0..8 * 12 * 3)
            .map(|i| (i * 31 % 97) as f32 / 97.0)
            .collect();
        let picture = Picture {
            gray,
            ..Picture::srgb(12, 8, rgb)
        };
        (picture, input)
    }

    #[test]
    fn full_strength_touches_nothing_and_none_leaves_the_plain_enlargement() {
        let (original, input) = picture(false);
        let mut full = original.clone();
        blend(&mut full, &input, 1.0);
        assert_eq!(full, original);
        let mut none = original;
        blend(&mut none, &input, 0.0);
        let plain = bicubic_x4(&input, 3, 2, 3);
        let pairs = none.rgb.iter().zip(plain);
        assert!(pairs.into_iter().all(|(a, b)| *a == b.clamp(0.0, 1.0)));
    }

    #[test]
    fn a_written_picture_mixes_like_the_one_in_memory() {
        for gray in [false, true] {
            let (mut memory, input) = picture(gray);
            let file = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
            let saving = crate::image_io::Existing::Overwrite.into();
            crate::image_io::encode(&memory, file.path(), crate::image_io::Format::Png, &saving)
                .unwrap();
            let mut read = crate::image_io::decode(file.path()).unwrap().picture;
            blend(&mut memory, &input, 0.37);
            blend(&mut read, &input, 0.37);
            assert_eq!(memory, read, "grey: {gray}");
        }
    }
}
