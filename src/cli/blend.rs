//! `minkds blend`: another strength for a finished result.

use super::args::Blend;
use super::progress::Screen;
use crate::error::{Error, Result};
use crate::image_io::{
    self, Existing, Format, Saving, bleed_under_alpha, blend_with, resize::bicubic_x4,
};
use crate::job::{Protected, Provenance, refuse_missing_folder, refuse_no_file, sizes};
use crate::settings::Settings;

/// Mixes as `words` say.
pub fn blend(words: &Blend, screen: &Screen) -> Result<()> {
    let format = Format::from_path(&words.output)?;
    if words.quality.is_some() && !format.has_quality() {
        return Err(Error::Setting(format!(
            "--quality is for JPEG and WebP; {format} is always lossless"
        )));
    }
    refuse_missing_folder(&words.output, "the output")?;
    refuse_no_file(&words.output)?;
    Protected::new([words.result.as_path(), words.input.as_path()]).refuse(&words.output)?;

    let made = match image_io::provenance(&words.result)? {
        Some(text) => Some(Provenance::from_text(&text)?),
        None => None,
    };
    let settings = made
        .as_ref()
        .map_or(Settings::default(), |made| made.settings.clone());
    if settings.strength < 1.0 {
        return Err(Error::Setting(format!(
            "{} was mixed with strength {} already: blend the result of strength 1",
            words.result.display(),
            settings.strength
        )));
    }
    let result = image_io::decode(&words.result)?;
    let input = image_io::decode(&words.input)?;
    for (path, warnings) in [
        (&words.result, result.warnings),
        (&words.input, input.warnings),
    ] {
        for warning in warnings {
            screen.note(&format!("{}: {warning}", path.display()));
        }
    }
    let (mut result, mut input) = (result.picture, input.picture);
    bleed_under_alpha(&mut input);
    let [reduced, size] = sizes(&settings, input.width, input.height);
    if [result.width, result.height] != size {
        return Err(Error::Paths(format!(
            "{} has {} x {} pixels; a result of {} has {} x {}: name the picture that it was made from",
            words.result.display(),
            result.width,
            result.height,
            words.input.display(),
            size[0],
            size[1]
        )));
    }
    if reduced != [input.width, input.height] {
        input = input.resized(reduced[0], reduced[1]);
    }
    let plain = bicubic_x4(&input.rgb, input.width, input.height, 3);
    let plain = input.enlarged(plain.into_iter().map(|v| v.clamp(0.0, 1.0)).collect());
    let plain = plain.sized(size);
    if words.strength < 1.0 {
        blend_with(&mut result, &plain.rgb, words.strength);
    }
    let mut saving = Saving {
        quality: words.quality,
        ..Existing::Overwrite.into()
    };
    if let Some(mut made) = made {
        // All else is as a run of this strength would have it.
        result.origin = input.origin.clone();
        made.settings.strength = words.strength;
        saving.strip_metadata = made.strip_metadata;
        saving = made.told_in(saving);
    }
    for warning in image_io::encode(&result, &words.output, format, &saving)? {
        screen.note(&format!("{}: {warning}", words.output.display()));
    }
    screen.note(&format!(
        "{} -> {} ({} x {})",
        words.result.display(),
        words.output.display(),
        result.width,
        result.height
    ));
    Ok(())
}
