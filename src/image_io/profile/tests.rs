use moxcms::{
    ColorProfile, LocalizableString, ProfileText, ToneReprCurve, TransferCharacteristics,
    curve_from_gamma,
};

use super::*;

fn parsed(profile: &ColorProfile) -> Result<Profile, Unusable> {
    Profile::parse(&profile.encode().unwrap())
}

fn of_curve(curve: ToneReprCurve) -> ColorProfile {
    let mut profile = ColorProfile::new_display_p3();
    profile.cicp = None;
    profile.red_trc = Some(curve.clone());
    profile.green_trc = Some(curve.clone());
    profile.blue_trc = Some(curve);
    profile
}

#[test]
fn every_curve_is_undone_by_its_inverse() {
    let srgb = vec![2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045];
    let table: Vec<u16> = (0..1024_u32).map(|i| (i * i / 18 + 3 * i) as u16).collect();
    let curves = [
        ToneReprCurve::Lut(vec![]),
        curve_from_gamma(1.8),
        ToneReprCurve::Lut(table),
        ToneReprCurve::Parametric(vec![2.2]),
        ToneReprCurve::Parametric(srgb.clone()),
        // All seven parameters: the same, lifted and scaled.
        ToneReprCurve::Parametric([&srgb[..], &[0.01, 0.01]].concat()),
    ];
    for curve in curves {
        let own = Curve::of(Some(&curve)).unwrap();
        for i in 0..=1000 {
            let x = f64::from(i) / 1000.0;
            let again = own.back(own.forth(x));
            // Parameters are f32, which leaves a gap at the seam of pieces.
            assert!((again - x).abs() < 1e-5, "{curve:?}: {x} becomes {again}");
        }
        assert_eq!((own.back(-1.0), own.back(2.0)), (0.0, 1.0), "{curve:?}");
    }
}

#[test]
fn curves_without_an_inverse_are_refused() {
    let falling = ToneReprCurve::Lut((0..256).rev().map(|i| i * 257).collect());
    let level = ToneReprCurve::Lut(vec![7; 256]);
    let nothing = ToneReprCurve::Lut(vec![0]);
    let negative = ToneReprCurve::Parametric(vec![-2.0]);
    for curve in [falling, level, nothing, negative] {
        let problem = Curve::of(Some(&curve)).unwrap_err();
        assert!(matches!(problem, Unusable::Unknown(_)), "{curve:?}");
    }
    assert!(Curve::of(None).is_err());
}

#[test]
fn profiles_near_srgb_change_nothing_and_others_do() {
    let srgb = parsed(&ColorProfile::new_srgb()).unwrap();
    assert!(srgb.is_srgb());
    let mut values = vec![0.1, 0.5, 0.9];
    srgb.to_srgb(&mut values);
    srgb.to_file(&mut values);
    assert_eq!(values, [0.1, 0.5, 0.9]);
    for other in [
        ColorProfile::new_display_p3(),
        ColorProfile::new_adobe_rgb(),
        ColorProfile::new_bt2020(),
    ] {
        assert!(!parsed(&other).unwrap().is_srgb());
    }
}

#[test]
fn high_dynamic_range_is_known_by_code_points_by_name_and_by_curve() {
    let name = |profile: &ColorProfile| match parsed(profile) {
        Err(Unusable::Hdr(name)) => name[..2].to_string(),
        Err(other) => panic!("{other:?}"),
        Ok(_) => "none".into(),
    };
    assert_eq!(name(&ColorProfile::new_bt2020_pq()), "PQ");
    assert_eq!(name(&ColorProfile::new_bt2020_hlg()), "HL");
    for (transfer, expected) in [
        (TransferCharacteristics::Smpte2084, "PQ"),
        (TransferCharacteristics::Hlg, "HL"),
    ] {
        let values = (0..4096).map(|i| {
            let x = f64::from(i) / 4095.0;
            let share = transfer.linearize(x) / transfer.linearize(1.0);
            (65535.0 * share).round() as u16
        });
        let profile = of_curve(ToneReprCurve::Lut(values.collect()));
        assert_eq!(name(&profile), expected);
    }
    let mut named = of_curve(curve_from_gamma(2.2));
    assert_eq!(name(&named), "none");
    let text = LocalizableString::new("en".into(), "US".into(), "Rec. 2100 HLG".into());
    named.description = Some(ProfileText::Localizable(vec![text]));
    assert_eq!(name(&named), "HL");
    // Steep, but no more than a curve may be.
    assert_eq!(name(&of_curve(curve_from_gamma(2.8))), "none");
}

#[test]
fn code_points_and_gamma_become_profiles() {
    assert_eq!(of_code_points(1, 13), Ok(None));
    assert_eq!(of_code_points(2, 2), Ok(None));
    assert!(matches!(of_code_points(9, 16), Err(Unusable::Hdr(_))));
    assert!(matches!(of_code_points(9, 18), Err(Unusable::Hdr(_))));
    assert!(matches!(
        of_code_points(200, 200),
        Err(Unusable::Unknown(_))
    ));
    // Display P3: the profile of the same name.
    let coded = Profile::parse(&of_code_points(12, 13).unwrap().unwrap()).unwrap();
    let named = parsed(&ColorProfile::new_display_p3()).unwrap();
    let mut values = [vec![1.0, 0.2, 0.1], vec![1.0, 0.2, 0.1]];
    coded.to_srgb(&mut values[0]);
    named.to_srgb(&mut values[1]);
    let pairs = values[0].iter().zip(&values[1]);
    assert!(
        pairs.into_iter().all(|(a, b)| (a - b).abs() < 5e-4),
        "{values:?}"
    );

    assert_eq!(of_gamma(None, None), None);
    let srgb = [0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06];
    assert_eq!(of_gamma(Some(0.45455), Some(srgb)), None);
    assert_eq!(of_gamma(Some(1e9), None), None);
    assert_eq!(of_gamma(None, Some([f64::NAN; 8])), None);
    assert_eq!(of_gamma(None, Some([0.0; 8])), None);
    let linear = Profile::parse(&of_gamma(Some(1.0), None).unwrap()).unwrap();
    let mut values = vec![0.5; 3];
    linear.to_srgb(&mut values);
    // sRGB's code of half the light.
    assert!(
        values.iter().all(|value| (value - 0.735_357).abs() < 5e-4),
        "{values:?}"
    );
}

#[test]
fn damaged_and_foreign_profiles_are_refused_with_the_reason() {
    let whole = ColorProfile::new_adobe_rgb().encode().unwrap();
    for length in [0, 1, 100, 131, 140, whole.len() / 2] {
        let problem = Profile::parse(&whole[..length]).err();
        assert!(matches!(problem, Some(Unusable::Unknown(_))), "{length}");
    }
    let mut ink = whole.clone();
    ink[16..20].copy_from_slice(b"CMYK");
    let Some(Unusable::Unknown(what)) = Profile::parse(&ink).err() else {
        panic!("a profile for inks is used");
    };
    assert!(what.contains("Cmyk"), "{what}");
    let mut flat = ColorProfile::new_adobe_rgb();
    flat.green_colorant = flat.red_colorant;
    assert!(matches!(parsed(&flat), Err(Unusable::Unknown(_))));
    assert!(matches!(
        Profile::parse(&vec![0; MAX_BYTES + 1]),
        Err(Unusable::Unknown(_))
    ));
}

#[test]
fn encoding_and_its_inverse_agree_far_beyond_the_range() {
    for i in -2000..=2000 {
        let value = f64::from(i) / 1000.0;
        assert!((linear(encoded(value)) - value).abs() < 1e-9, "{value}");
        assert_eq!(encoded(-value), -encoded(value));
    }
}
