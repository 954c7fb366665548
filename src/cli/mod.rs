//! The command line: words in, a job run, progress and messages out, an exit code at the end.

mod args;
mod batch;
mod blend;
mod devices;
mod dry_run;
mod events;
mod progress;
mod signals;
mod words;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};

use self::args::{Args, Batch, Command, Writing};
use self::progress::Screen;
use crate::app::{self, Setup, Start};
use crate::device;
use crate::error::{Error, Result};
use crate::image_io::{DecodeProblem, ImageError};
use crate::model::{Model, ModelSource};
use crate::settings::{Patch, Settings};

const NAME: &str = "minkds";
const ALL_DONE: u8 = 0;
const SOME_FAILED: u8 = 1;
const NOT_STARTED: u8 = 2;
const INTERRUPTED: u8 = 130;

/// Runs the program with `words` (the first is its name) and returns its exit code: 0 all done, 1
/// some input failed, 2 nothing was started, 130 interrupted.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    let args = match parsed(&words) {
        Ok(Ok(args)) => args,
        Ok(Err(error)) => {
            Screen::new(false, false).error(&error.to_string());
            return ExitCode::from(NOT_STARTED);
        }
        Err(message) => {
            // Help and version are no errors; clap knows which stream is right.
            let _ = message.print();
            return ExitCode::from(if message.use_stderr() {
                NOT_STARTED
            } else {
                ALL_DONE
            });
        }
    };
    let screen = Screen::new(args.quiet, args.verbose);
    let done = match &args.command {
        Some(command) => run(command, &screen).map(|()| true),
        None if args.no_gui => batch::enlarge(&args, &screen),
        None => open_window(args).map(|()| true),
    };
    let code = match done {
        Ok(true) => ALL_DONE,
        Ok(false) => SOME_FAILED,
        // Whoever was interrupted has said so.
        Err(Error::Cancelled) => INTERRUPTED,
        Err(error) => {
            screen.error(&error.to_string());
            NOT_STARTED
        }
    };
    ExitCode::from(code)
}

/// What `words` mean, with what variables and a configuration file add. The outer error is about the words
/// themselves.
fn parsed(words: &[OsString]) -> std::result::Result<Result<Args>, clap::Error> {
    let mut command = command();
    command.build();
    let parse = |words: &[OsString]| -> std::result::Result<(Args, ArgMatches), clap::Error> {
        let matches = command.clone().try_get_matches_from(words)?;
        Ok((Args::from_arg_matches(&matches)?, matches))
    };
    let (args, matches) = parse(words)?;
    if args.command.is_some() {
        return Ok(Ok(args));
    }
    match words::complete(words, &matches, &command, &|name| std::env::var_os(name)) {
        Ok(words) => {
            let (mut completed, _) = parse(&words)?;
            if completed.writing.recreate.is_some() {
                only_as_named(&mut completed, &args);
            }
            match windowless(&args) {
                Some(flag) if !completed.no_gui => Ok(Err(Error::Setting(format!(
                    "{flag} works without a window only: say --no-gui"
                )))),
                _ => Ok(Ok(completed)),
            }
        }
        Err(error) => Ok(Err(error)),
    }
}

/// What is made again is as its file says; only what the command line itself names can contradict that.
fn only_as_named(completed: &mut Args, named: &Args) {
    completed.settings = named.settings.clone();
    completed.preset = named.preset;
    completed.latents = named.latents.clone();
    completed.writing.quality = named.writing.quality;
    completed.writing.strip_metadata = named.writing.strip_metadata;
}

/// All settings, the model's own below what `args` say.
fn resolve(args: &Args, model: &Model) -> Result<Settings> {
    let own = &model.recommended().settings;
    Settings::resolve(own, args.preset, &args.settings, args.latents.is_none())
}

/// The command line's grammar, with the bundled model's settings below the help.
fn command() -> clap::Command {
    let command = Args::command();
    match Model::bundled_settings() {
        Ok(settings) => command.after_help(format!(
            "Settings that are not named are the model's. The bundled model's are:\n{}",
            settings.command_line()
        )),
        Err(_) => command,
    }
}

/// Everything but pictures.
fn run(command: &Command, screen: &Screen) -> Result<()> {
    let mut out = std::io::stdout();
    let text = match command {
        Command::Devices => devices::list(),
        Command::Doctor(words) => match words.examine {
            Some(choice) => devices::examine(choice, words.precision)?,
            None => return devices::doctor(words, screen, &mut out),
        },
        Command::Blend(words) => return blend::blend(words, screen),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut self::command(), NAME, &mut text);
            String::from_utf8_lossy(&text).into_owned()
        }
        Command::Man { output } => manual(output.as_deref())?,
    };
    // A closed pipe is nobody's loss.
    let _ = out.write_all(text.as_bytes());
    Ok(())
}

/// The manual page, unless all pages go into a folder.
fn manual(folder: Option<&Path>) -> Result<String> {
    let failed = |e: std::io::Error| Error::Paths(format!("the manual cannot be written: {e}"));
    let Some(folder) = folder else {
        let mut text = Vec::new();
        clap_mangen::Man::new(command())
            .render(&mut text)
            .map_err(failed)?;
        return Ok(String::from_utf8_lossy(&text).into_owned());
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(command(), folder).map_err(failed)?;
    Ok(String::new())
}

/// The first flag on the command line that means nothing to the window. Variables and configurations may
/// hold such things for other times.
fn windowless(args: &Args) -> Option<&'static str> {
    let Batch {
        dry_run,
        report,
        json,
        shard,
        ..
    } = &args.batch;
    let Writing {
        no_provenance,
        recreate,
        ..
    } = &args.writing;
    let windowless = [
        ("--no-provenance", *no_provenance),
        ("--recreate", recreate.is_some()),
        ("--dry-run", *dry_run),
        ("--report", report.is_some()),
        ("--json", *json),
        ("--shard", shard.is_some()),
    ];
    let named = windowless.iter().find(|(_, is_named)| *is_named);
    named.map(|(flag, _)| *flag)
}

/// The window, beginning with what the command line says.
fn open_window(args: Args) -> Result<()> {
    Settings::resolve(&Patch::default(), args.preset, &args.settings, false)?;
    if args.latents.is_some() || args.save_latents.is_some() {
        return Err(Error::Setting(
            "--latents and --save-latents work without a window only: say --no-gui".into(),
        ));
    }
    if let Some(missing) = args.inputs.iter().find(|path| !path.exists()) {
        let path = missing.clone();
        let problem = DecodeProblem::Missing;
        return Err(ImageError::Decode { path, problem }.into());
    }
    let model = match &args.model {
        Some(text) => ModelSource::parse(text)?,
        None => ModelSource::Bundled,
    };
    device::use_threads(args.threads)?;
    app::run(Start {
        inputs: args.inputs,
        output: args.output,
        setup: Setup {
            model,
            device: args.device,
            precision: args.precision,
            memory_limit: args.memory_limit,
        },
        names_model: args.model.is_some(),
        // The window shows what is drawn; files alone have another size.
        flags: Patch {
            scale: None,
            ..args.settings
        },
        preset: args.preset,
        check: !args.no_check,
        writing: app::Writing {
            scale: args.settings.scale,
            quality: args.writing.quality,
            strip_metadata: args.writing.strip_metadata,
        },
    })
}
