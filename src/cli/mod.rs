//! The command line: words in, a job run, progress and messages out, an exit code at the end.

mod args;
mod devices;
mod progress;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{CommandFactory, FromArgMatches};

use self::args::{Args, Command};
use self::progress::Screen;
use crate::app::{self, Setup, Start};
use crate::device;
use crate::doctor;
use crate::error::{Error, Result};
use crate::image_io::{DecodeProblem, ImageError};
use crate::job::{self, Engine, Job, Summary};
use crate::model::{Model, ModelSource};
use crate::pipeline::Cancel;
use crate::settings::{Patch, Settings};

const ALL_DONE: u8 = 0;
const SOME_FAILED: u8 = 1;
const NOT_STARTED: u8 = 2;
const INTERRUPTED: u8 = 130;

/// Runs the program with `words` (the first is its name) and returns its exit code: 0 all done, 1
/// some input failed, 2 nothing was started, 130 interrupted.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = command()
        .try_get_matches_from(words)
        .and_then(|matches| Args::from_arg_matches(&matches));
    let args = match parsed {
        Ok(args) => args,
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
    let screen = Screen::new(args.quiet);
    let done = match &args.command {
        Some(command) => run(command, &screen).map(|()| Summary::default()),
        None if args.no_gui => enlarge(&args, &screen),
        None => open_window(args).map(|()| Summary::default()),
    };
    let code = match done {
        Ok(summary) if summary.failed > 0 => SOME_FAILED,
        Ok(_) => ALL_DONE,
        Err(Error::Cancelled) => {
            screen.error("interrupted; finished results are kept");
            INTERRUPTED
        }
        Err(error) => {
            screen.error(&error.to_string());
            NOT_STARTED
        }
    };
    ExitCode::from(code)
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
    };
    // A closed pipe is nobody's loss.
    let _ = out.write_all(text.as_bytes());
    Ok(())
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
        flags: args.settings,
        preset: args.preset,
        check: !args.no_check,
    })
}

fn enlarge(args: &Args, screen: &Screen) -> Result<Summary> {
    // Everything that can be wrong without the model is said before it is loaded.
    Settings::resolve(&Patch::default(), args.preset, &args.settings, false)?;
    let tasks = job::plan(&args.inputs, args.output.as_deref(), args.on_conflict)?;
    let source = match &args.model {
        Some(text) => ModelSource::parse(text)?,
        None => ModelSource::Bundled,
    };
    device::use_threads(args.threads)?;

    let cancel = Cancel::default();
    let computing = Arc::new(AtomicBool::new(false));
    stop_on_signal(&cancel, &computing);
    let target = doctor::open(args.device, args.precision, &mut |text| screen.note(text))?;
    let mut engine = Engine::load(&source, &target, &mut |file, done, total| {
        screen.download(file, done, total);
    })?;
    let model = engine.model();
    let keeps_colors = model.is_bundled() && args.latents.is_none();
    let settings = Settings::resolve(
        &model.recommended().settings,
        args.preset,
        &args.settings,
        keeps_colors,
    )?;
    let job = Job {
        tasks,
        latents: args.latents.clone(),
        particles_given: args.settings.particles.is_some(),
        save_latents: args.save_latents.clone(),
        memory_limit: args.memory_limit,
        check: !args.no_check,
    };
    computing.store(true, Ordering::SeqCst);
    let mut bar = screen.bar(job.tasks.len());
    let summary = job.run(
        &mut engine,
        &settings,
        &mut |event| bar.show(event),
        &cancel,
    );
    bar.clear();
    summary
}

/// While it computes, the first Ctrl-C stops at the next network evaluation, the second at once;
/// while a model is downloaded or read, the first does (the download goes on from there next time).
fn stop_on_signal(cancel: &Cancel, computing: &Arc<AtomicBool>) {
    let (cancel, computing) = (cancel.clone(), computing.clone());
    // Without a handler the system's default stops the program, which is fine too.
    let _ = ctrlc::set_handler(move || {
        if cancel.is_cancelled() || !computing.load(Ordering::SeqCst) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        cancel.cancel();
    });
}
