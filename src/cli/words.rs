//! Words that are not on the command line: variables such as `MINKDS_STEPS`, and a configuration file.
//!
//! They become flags in front of the person's own, so that each is checked and explained like a flag.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use crate::error::{Error, Result};

/// What variables' names begin with.
const PREFIX: &str = "MINKDS_";
/// Names that are about this very mechanism, or about the program as a whole.
const OWN: [&str; 3] = ["config", "help", "version"];
/// A configuration is a page of text.
const LONGEST_CONFIG: u64 = 1 << 20;
/// From here on two names are alike enough to be suggested.
const ALIKE: f64 = 0.7;

/// A value that was given elsewhere.
struct Given {
    /// Where, for messages.
    source: String,
    value: OsString,
}

/// `words` with what `variable` (an environment) and the configuration file say in front, if there is anything
/// to be said; `matches` is what `words` alone mean.
///
/// # Errors
/// [`Error::Setting`] for a file that cannot be used, a key that is no flag, and a value that its flag does not
/// take, naming where it stands.
pub fn complete(
    words: &[OsString],
    matches: &ArgMatches,
    command: &Command,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Vec<OsString>> {
    let mut flags: Vec<&Arg> = command.get_arguments().collect();
    flags.retain(|flag| flag.get_long().is_some_and(|name| !OWN.contains(&name)));
    let config = match config_path(matches, variable) {
        Some((path, source)) => read(&path, &source, &flags)?,
        None => toml::Table::new(),
    };
    let program = words.first().cloned().unwrap_or_default();
    let mut all = vec![program.clone()];
    for flag in flags {
        let named = matches.value_source(flag.get_id().as_str()) == Some(ValueSource::CommandLine);
        let Some(given) = given(flag, &config, variable).filter(|_| !named) else {
            continue;
        };
        let Some(word) = word(flag, &given)? else {
            continue;
        };
        let alone = command
            .clone()
            .try_get_matches_from([program.clone(), word.clone()]);
        if let Err(error) = alone {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            let what = line.trim_start_matches("error: ");
            return Err(Error::Setting(format!("{}: {what}", given.source)));
        }
        all.push(word);
    }
    all.extend(words.iter().skip(1).cloned());
    Ok(all)
}

/// The configuration file, and who named it.
fn config_path(
    matches: &ArgMatches,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Option<(PathBuf, String)> {
    if let Some(path) = matches.get_one::<PathBuf>("config") {
        return Some((path.clone(), "--config".into()));
    }
    let name = variable_name("config");
    let path = variable(&name).filter(|path| !path.is_empty())?;
    Some((path.into(), name))
}

/// The file's keys and values; all keys are flags.
fn read(path: &Path, source: &str, flags: &[&Arg]) -> Result<toml::Table> {
    let wrong = |what: String| Error::Setting(format!("{source} {}: {what}", path.display()));
    let found = path
        .metadata()
        .map_err(|e| wrong(format!("cannot be read: {e}")))?;
    if !found.is_file() || found.len() > LONGEST_CONFIG {
        return Err(wrong("is no TOML file of at most a mebibyte".into()));
    }
    let text = std::fs::read_to_string(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    let table: toml::Table = toml::from_str(&text).map_err(|e| {
        let line = e.span().map_or(1, |span| {
            let before = text.get(..span.start).unwrap_or_default();
            1 + before.matches('\n').count()
        });
        wrong(format!("line {line} is no TOML ({})", e.message()))
    })?;
    let names: Vec<&str> = flags.iter().flat_map(|flag| names(flag)).collect();
    for key in table.keys() {
        if names.contains(&key.as_str()) {
            continue;
        }
        let alike = |name: &&str| strsim::jaro_winkler(name, key);
        let nearest = (names.iter().copied())
            .map(|name| (alike(&name), name))
            .filter(|(likeness, _)| *likeness >= ALIKE)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        return Err(wrong(match nearest {
            Some((_, name)) => format!("{key} is no setting; did you mean {name}?"),
            None => format!("{key} is no setting; keys are the flags' names without --"),
        }));
    }
    Ok(table)
}

/// A flag's name and its other names.
fn names(flag: &Arg) -> Vec<&str> {
    let mut names: Vec<&str> = flag.get_long().into_iter().collect();
    names.extend(flag.get_all_aliases().unwrap_or_default());
    names
}

fn variable_name(flag: &str) -> String {
    format!("{PREFIX}{}", flag.replace('-', "_").to_uppercase())
}

/// What the environment says about `flag`, else the file. An empty variable says nothing.
fn given(
    flag: &Arg,
    config: &toml::Table,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Option<Given> {
    let name = variable_name(flag.get_long()?);
    if let Some(value) = variable(&name).filter(|value| !value.is_empty()) {
        return Some(Given {
            source: format!("{name}={}", value.display()),
            value,
        });
    }
    let (key, value) = names(flag)
        .into_iter()
        .find_map(|name| config.get_key_value(name))?;
    let value = match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(Given {
        source: format!("{key} = {value} in the configuration"),
        value: value.into(),
    })
}

/// The flag as one word; nothing for a switch that is off.
fn word(flag: &Arg, given: &Given) -> Result<Option<OsString>> {
    let mut word = OsString::from(format!("--{}", flag.get_long().unwrap_or_default()));
    let takes_value = flag.get_action().takes_values()
        && flag
            .get_num_args()
            .is_none_or(|count| count.max_values() > 0);
    if takes_value {
        word.push("=");
        word.push(&given.value);
        return Ok(Some(word));
    }
    match given.value.to_string_lossy().to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(Some(word)),
        "false" | "0" | "no" | "off" => Ok(None),
        _ => Err(Error::Setting(format!(
            "{}: use true or false",
            given.source
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::cli::args::Args;

    /// What the program understands.
    fn understood(
        words: &str,
        variables: &[(&str, &str)],
        config: Option<&str>,
    ) -> std::result::Result<Args, String> {
        let folder = tempfile::tempdir().unwrap();
        let mut words: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
        words.insert(0, "minkds".into());
        if let Some(text) = config {
            let path = folder.path().join("minkds.toml");
            std::fs::write(&path, text).unwrap();
            words.extend(["--config".into(), path.into()]);
        }
        let variables: HashMap<String, OsString> = variables
            .iter()
            .map(|(name, value)| (name.to_string(), OsString::from(value)))
            .collect();
        let mut command = Args::command();
        command.build();
        let parse = |words: &[OsString]| command.clone().try_get_matches_from(words);
        let matches = parse(&words).map_err(|e| e.to_string())?;
        let variable = |name: &str| variables.get(name).cloned();
        let words = complete(&words, &matches, &command, &variable).map_err(|e| e.to_string())?;
        let matches = parse(&words).map_err(|e| e.to_string())?;
        Args::from_arg_matches(&matches).map_err(|e| e.to_string())
    }

    #[test]
    fn the_command_line_comes_before_variables_and_those_before_the_file() {
        let file = "steps = 7\nparticles = 3\nband-width = 2.5\nvanilla = true\ndevice = 'cpu'\n";
        let args = understood(
            "--steps 5 a.png",
            &[("MINKDS_STEPS", "6"), ("MINKDS_PARTICLES", "2")],
            Some(file),
        )
        .unwrap();
        assert_eq!(args.settings.steps, Some(5));
        assert_eq!(args.settings.particles, Some(2));
        assert_eq!(args.settings.bandwidth.unwrap().value(), 2.5);
        assert_eq!(args.settings.vanilla, Some(true));
        assert_eq!(args.device.to_string(), "cpu");
        assert_eq!(args.inputs, [Path::new("a.png")]);
        let off = [("MINKDS_VANILLA", "0"), ("MINKDS_QUIET", "yes")];
        let args = understood("-v", &off, Some(file)).unwrap();
        assert_eq!(args.settings.vanilla, None);
        assert!(args.verbose && !args.quiet);
    }

    #[test]
    fn what_is_wrong_says_where_it_stands() {
        for (variables, file, says) in [
            (&[("MINKDS_STEPS", "many")][..], None, "MINKDS_STEPS=many: "),
            (&[("MINKDS_VANILLA", "maybe")], None, "true or false"),
            (&[], Some("steps = -1"), "steps = -1 in the configuration"),
            (
                &[],
                Some("step = 1"),
                "step is no setting; did you mean steps?",
            ),
            (&[], Some("gamma_0 = 1"), "did you mean gamma-0?"),
            (&[], Some("x = 1"), "keys are the flags' names"),
            (&[], Some("steps = 1\nsteps ="), "line 2 is no TOML"),
            (&[], Some("steps = [1, 2]"), "steps = [1, 2]"),
            (
                &[("MINKDS_CONFIG", "/no/such")],
                None,
                "MINKDS_CONFIG /no/such: ",
            ),
        ] {
            let said = understood("a.png", variables, file).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn variables_of_tests_and_empty_ones_change_nothing() {
        let names = ["REQUIRE_GPU", "REQUIRE_DISPLAY", "FUZZ_CASES", "KILL_CASES"];
        let names: Vec<String> = names.iter().map(|name| format!("{PREFIX}{name}")).collect();
        let mut variables: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
        variables.push(("MINKDS_STEPS", ""));
        let args = understood("a.png", &variables, None).unwrap();
        assert_eq!(args.settings, Default::default());
    }
}
