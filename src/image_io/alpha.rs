//! Transparency: giving hidden pixels a sensible colour, and laying a picture over white.

use super::Picture;

/// Gives fully transparent pixels the colour of the visible ones around them.
///
/// Files store anything there, often black or leftovers, and a network would see it and let it
/// bleed into the visible edge. The same holds for what lies beyond sRGB. Visible pixels and the alpha plane stay as they are. The colour
/// grows from the visible pixels ring by ring, each new pixel the mean of its already coloured
/// neighbours (8 of them at most), so that every pixel is computed once. A picture with nothing
/// visible stays as it is.
pub fn bleed_under_alpha(picture: &mut Picture) {
    let Some(alpha) = &picture.alpha else { return };
    let (width, height) = (picture.width, picture.height);
    let mut planes: Vec<&mut Vec<f32>> = [Some(&mut picture.rgb), picture.beyond.as_mut()]
        .into_iter()
        .flatten()
        .collect();
    let mut coloured: Vec<bool> = alpha.iter().map(|&a| a > 0.0).collect();
    let mut queued = coloured.clone();

    let mut ring: Vec<usize> = (0..coloured.len())
        .filter(|&i| !coloured[i] && neighbours(i, width, height).any(|n| coloured[n]))
        .collect();
    while !ring.is_empty() {
        for &i in &ring {
            queued[i] = true;
            for plane in &mut planes {
                let mut sum = [0.0; 3];
                let mut count = 0.0;
                for n in neighbours(i, width, height).filter(|&n| coloured[n]) {
                    count += 1.0;
                    for (sum, value) in sum.iter_mut().zip(&plane[3 * n..3 * n + 3]) {
                        *sum += value;
                    }
                }
                for (value, sum) in plane[3 * i..3 * i + 3].iter_mut().zip(sum) {
                    *value = sum / count;
                }
            }
        }
        let mut next = Vec::new();
        for &i in &ring {
            coloured[i] = true;
            for n in neighbours(i, width, height) {
                if !queued[n] {
                    queued[n] = true;
                    next.push(n);
                }
            }
        }
        ring = next;
    }
}

/// The indices of the up to 8 pixels around pixel `i`.
fn neighbours(i: usize, width: usize, height: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (i % width, i / width);
    (y.saturating_sub(1)..(y + 2).min(height))
        .flat_map(move |ny| {
            (x.saturating_sub(1)..(x + 2).min(width)).map(move |nx| ny * width + nx)
        })
        .filter(move |&n| n != i)
}

/// `colour` with coverage `alpha` laid over white, in sRGB-encoded values as browsers and image
/// editors do it.
pub(super) fn over_white(colour: [f32; 3], alpha: f32) -> [f32; 3] {
    colour.map(|value| value * alpha + (1.0 - alpha))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize, rgb: Vec<f32>, alpha: Vec<f32>) -> Picture {
        Picture {
            alpha: Some(alpha),
            ..Picture::srgb(width, height, rgb)
        }
    }

    #[test]
    fn hidden_pixels_take_the_nearest_visible_colour_and_visible_ones_stay() {
        let (width, height) = (7, 5);
        let left = [1.0, 0.25, 0.0];
        let right = [0.0, 0.5, 1.0];
        let mut rgb = vec![0.123; width * height * 3];
        let mut alpha = vec![0.0; width * height];
        for y in 0..height {
            rgb[3 * y * width..][..3].copy_from_slice(&left);
            rgb[3 * (y * width + width - 1)..][..3].copy_from_slice(&right);
            alpha[y * width] = 1.0;
            alpha[y * width + width - 1] = 0.004; // hardly visible still counts as visible
        }
        let mut picture = picture(width, height, rgb, alpha.clone());
        bleed_under_alpha(&mut picture);
        for y in 0..height {
            for x in 0..width {
                let got = &picture.rgb[3 * (y * width + x)..][..3];
                let between: Vec<f32> =
                    left.iter().zip(right).map(|(a, b)| (a + b) / 2.0).collect();
                match x {
                    0..=2 => assert_eq!(got, left, "at {x}, {y}"),
                    3 => assert!(
                        got.iter().zip(&between).all(|(a, b)| (a - b).abs() < 1e-6),
                        "{got:?} at {x}, {y}"
                    ),
                    _ => assert_eq!(got, right, "at {x}, {y}"),
                }
            }
        }
        assert_eq!(picture.alpha, Some(alpha));
    }

    #[test]
    fn pictures_with_nothing_hidden_or_nothing_visible_stay_as_they_are() {
        for value in [0.0, 0.5] {
            let mut hidden = picture(2, 2, vec![0.3; 12], vec![value; 4]);
            let before = hidden.clone();
            bleed_under_alpha(&mut hidden);
            assert_eq!(hidden, before);
        }
    }
}
