//! Profiles for colours that a file describes without one, and the names of profiles.

use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, LocalizableString,
    MatrixCoefficients, ProfileText, ToneReprCurve, TransferCharacteristics, XyY,
};

use super::Unusable;

/// An ICC profile of Adobe RGB (1998), which cameras name without embedding it.
pub(in super::super) fn adobe_rgb() -> Option<Vec<u8>> {
    ColorProfile::new_adobe_rgb().encode().ok()
}

/// An ICC profile for the code points of ITU-T H.273; `None` for sRGB, and for what is not specified.
///
/// # Errors
/// [`Unusable`] for PQ and HLG, and for code points that nothing is known of.
pub(in super::super) fn of_code_points(
    primaries: u8,
    transfer: u8,
) -> Result<Option<Vec<u8>>, Unusable> {
    const UNSPECIFIED: u8 = 2;
    const BT_709: u8 = 1;
    const SRGB: u8 = 13;
    let known = |value: u8, default: u8| if value == UNSPECIFIED { default } else { value };
    let (primaries, transfer) = (known(primaries, BT_709), known(transfer, SRGB));
    if (primaries, transfer) == (BT_709, SRGB) {
        return Ok(None);
    }
    let unknown = || {
        Unusable::Unknown(format!(
            "is given by code points that are not known ({primaries} and {transfer})"
        ))
    };
    let color_primaries = CicpColorPrimaries::try_from(primaries).map_err(|_| unknown())?;
    let transfer_characteristics =
        TransferCharacteristics::try_from(transfer).map_err(|_| unknown())?;
    let mut profile = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries,
        transfer_characteristics,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    if let Some(name) = super::hdr(&profile) {
        return Err(Unusable::Hdr(name));
    }
    if profile.green_trc.is_none() {
        return Err(unknown());
    }
    name(&mut profile, format!("ITU-T H.273 {primaries}/{transfer}"));
    profile.encode().map(Some).map_err(|_| unknown())
}

/// An ICC profile for PNG's `gAMA` (the exponent of encoding, 0.45455 for 2.2) and `cHRM` (x and y of white,
/// red, green and blue); `None` where they say sRGB, or nothing that makes sense.
pub(in super::super) fn of_gamma(
    gamma: Option<f64>,
    chromaticities: Option<[f64; 8]>,
) -> Option<Vec<u8>> {
    const SRGB_GAMMA: f64 = 1.0 / 2.2;
    const SRGB: [f64; 8] = [0.3127, 0.329, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06];
    let chromaticities = chromaticities.unwrap_or(SRGB);
    let is_srgb = (chromaticities.iter().zip(SRGB)).all(|(own, srgb)| (own - srgb).abs() < 2e-3);
    let gamma = gamma.filter(|gamma| (0.1..=4.0).contains(gamma));
    let is_usual = gamma.is_none_or(|gamma| (gamma - SRGB_GAMMA).abs() < 2e-3);
    if is_srgb && is_usual {
        return None;
    }
    if !(chromaticities.iter()).all(|value| (-0.5..=1.5).contains(value))
        || chromaticities[1] <= 0.0
    {
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    if !is_srgb {
        let [wx, wy, rx, ry, gx, gy, bx, by] = chromaticities;
        let colour = |x: f64, y: f64| Chromaticity::new(x as f32, y as f32);
        let primaries = ColorPrimaries {
            red: colour(rx, ry),
            green: colour(gx, gy),
            blue: colour(bx, by),
        };
        profile.update_rgb_colorimetry(XyY::new(wx, wy, 1.0), primaries);
    }
    profile.cicp = None;
    if !is_usual {
        let curve = ToneReprCurve::Parametric(vec![1.0 / gamma? as f32]);
        profile.red_trc = Some(curve.clone());
        profile.green_trc = Some(curve.clone());
        profile.blue_trc = Some(curve);
    }
    name(&mut profile, "PNG gAMA and cHRM".into());
    profile.encode().ok()
}

fn name(profile: &mut ColorProfile, name: String) {
    let text = |text: String| {
        let text = LocalizableString::new("en".into(), "US".into(), text);
        Some(ProfileText::Localizable(vec![text]))
    };
    profile.description = text(name);
    profile.copyright = text("Public Domain".into());
}

/// What a text of a profile says, in all its languages.
pub(super) fn text(text: &ProfileText) -> String {
    match text {
        ProfileText::PlainString(text) => text.clone(),
        ProfileText::Localizable(texts) => {
            let texts: Vec<&str> = texts.iter().map(|text| text.value.as_str()).collect();
            texts.join(" ")
        }
        ProfileText::Description(text) => format!("{} {}", text.ascii_string, text.unicode_string),
    }
}
