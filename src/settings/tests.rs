use super::*;

fn resolve(flags: Patch) -> Result<Settings> {
    Settings::resolve(&Patch::default(), None, &flags, false)
}

#[test]
fn flags_win_over_presets_and_presets_over_the_model() {
    let model = Patch {
        steps: Some(15),
        seed: Some(3),
        color_fix: Some(ColorFix::Consistency),
        ..Patch::default()
    };
    let flags = Patch {
        gamma_0: Some(0.7),
        ..Patch::default()
    };
    let plain = Settings::resolve(&model, None, &flags, true).unwrap();
    assert_eq!((plain.steps, plain.seed, plain.gamma_0), (15, 3, 0.7));
    assert_eq!(plain.color_fix, ColorFix::Consistency);
    let preset = Settings::resolve(&model, Some(Preset::Minkds), &flags, true).unwrap();
    assert_eq!((preset.steps, preset.particles), (50, 10));
    assert_eq!((preset.gamma_0, preset.color_fix), (0.7, ColorFix::None));
    let other = Settings::resolve(&model, None, &flags, false).unwrap();
    assert_eq!(other.color_fix, ColorFix::None);
}

#[test]
fn the_command_line_asks_for_the_same_settings() {
    #[derive(clap::Parser)]
    struct Words {
        #[command(flatten)]
        patch: Patch,
    }
    let all = Settings {
        particles: 7,
        bandwidth: Bandwidth::Fixed(1.25),
        patch_size: 3,
        gamma_0: 0.1,
        kernel: Kernel::Minkds,
        window: Window(0.25, 0.75),
        select: Select::LowestVariance,
        vanilla: true,
        clean: true,
        solver: Solver::DpmSolver,
        steps: 9,
        eta: 0.0,
        color_fix: ColorFix::Wavelet,
        tile: TileSize::Side(200),
        overlap: 40,
        prescale: 0.5,
        scale: 1.75,
        strength: 0.625,
        seed: u64::MAX,
        scheduler: SchedulerVariant::Diffusers,
    };
    for settings in [Settings::default(), all] {
        let line = format!("minkds {}", settings.command_line());
        let words = <Words as clap::Parser>::try_parse_from(line.split(' ')).unwrap();
        let other = Patch {
            steps: Some(77),
            select: Some(Select::Mean),
            ..Patch::default()
        };
        let parsed = Settings::resolve(&other, None, &words.patch, true).unwrap();
        assert_eq!(parsed, settings);
    }
}

#[test]
fn vanilla_draws_one_particle_unless_told() {
    let vanilla = Patch {
        vanilla: Some(true),
        ..Patch::default()
    };
    assert_eq!(resolve(vanilla.clone()).unwrap().particles, 1);
    let three = Patch {
        particles: Some(3),
        ..vanilla
    };
    let settings = resolve(three).unwrap();
    assert_eq!((settings.particles, settings.gamma(0.5)), (3, 0.0));
}

#[test]
fn steering_acts_inside_the_half_open_window() {
    let settings = resolve(Patch {
        window: Some(Window(0.3, 0.8)),
        gamma_0: Some(0.5),
        ..Patch::default()
    })
    .unwrap();
    for (time, gamma) in [(0.3, 0.0), (0.301, 0.5), (0.8, 0.5), (0.801, 0.0)] {
        assert_eq!(settings.gamma(time), gamma, "at {time}");
    }
}

#[test]
fn values_from_json_meet_the_same_checks_as_flags() {
    for bad in [
        r#"{"particles": 0}"#,
        r#"{"particles": 65}"#,
        r#"{"bandwidth": 0}"#,
        r#"{"bandwidth": -1}"#,
        r#"{"patch_size": 129}"#,
        r#"{"gamma_0": 1.01}"#,
        r#"{"window": [0.9, 0.1]}"#,
        r#"{"steps": 0}"#,
        r#"{"eta": 2}"#,
        r#"{"eta": 0.5, "solver": "dpm++"}"#,
    ] {
        let patch: Patch = serde_json::from_str(bad).unwrap();
        let error = resolve(patch).expect_err(bad).to_string();
        assert!(error.contains("use") || error.contains("must"), "{error}");
    }
    assert!(serde_json::from_str::<Patch>(r#"{"gama": 1}"#).is_err());
}

#[test]
fn typed_values_meet_the_range_table() {
    for bad in ["nan", "inf", "-inf", "0", "-1", "1e999", "x", ""] {
        assert!(bad.parse::<Bandwidth>().is_err(), "bandwidth {bad}");
    }
    for bad in [
        "0.9..0.1", "words", "a..b", "0..2", "nan..1", "0.5", "-1..1",
    ] {
        assert!(bad.parse::<Window>().is_err(), "window {bad}");
    }
    assert_eq!("0.3..1".parse(), Ok(Window(0.3, 1.0)));
    for bad in ["0", "65", "-1", "nan", "inf", "1.5", ""] {
        assert!(range::PARTICLES.parse(bad).is_err(), "particles {bad}");
    }
}
