//! Pictures on the command line: what is asked for becomes a job, its events lines, a bar and a report.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::args::Args;
use super::dry_run::dry_run;
use super::events::Events;
use super::progress::{Screen, lasting};
use super::resolve;
use super::signals::stop_on_signal;
use crate::device::{self, DeviceChoice};
use crate::doctor;
use crate::error::{Error, Result};
use crate::image_io::{self, Existing, ImageError, Saving, write_atomically};
use crate::job::{
    Arranged, Ended, Engine, Job, LeftOut, Order, Provenance, Reading, Report, Task, arrange,
    refuse_missing_folder, refuse_no_file,
};
use crate::model::ModelSource;
use crate::pipeline::Cancel;
use crate::settings::{Patch, Settings};

/// What takes more seconds than this is announced.
const LONG: f64 = 1800.0;

/// Does all that `args` ask for, and returns whether nothing failed.
pub fn enlarge(args: &Args, screen: &Screen) -> Result<bool> {
    // Everything that can be wrong without the model is said before it is loaded.
    Settings::resolve(&Patch::default(), args.preset, &args.settings, false)?;
    let arranged = arranged(args)?;
    let recreated = match &args.writing.recreate {
        Some(old) => Some(recreated(old, args, &arranged)?),
        None => None,
    };
    refuse_quality_for_nothing(args.writing.quality, &arranged.tasks)?;
    if let Some(path) = &args.batch.report {
        refuse_missing_folder(path, "--report")?;
        refuse_no_file(path)?;
        arranged.protected.refuse(path)?;
    }
    let source = match &args.model {
        Some(text) => ModelSource::parse(text)?,
        None => ModelSource::Bundled,
    };
    device::use_threads(args.threads)?;
    tell_left_out(&arranged, args, screen);

    let cancel = Cancel::default();
    let computing = Arc::new(AtomicBool::new(false));
    stop_on_signal(&cancel, &computing);
    let mut engines = engines(args, &source, screen)?;
    let Some(engine) = engines.first() else {
        return Err(Error::Device("there is no device to compute on".into()));
    };
    let settings = match &recreated {
        Some(made) => made.settings_for(engine.model())?,
        None => resolve(args, engine.model())?,
    };
    if let Some(program) = recreated.as_ref().and_then(Provenance::other_program) {
        screen.note(&format!(
            "it was made by {program}; this version may make it differently"
        ));
    }
    let folder = arranged.folder.clone();
    let job = Job {
        protected: arranged.protected,
        latents: args.latents.clone(),
        particles_given: args.settings.particles.is_some(),
        save_latents: args.save_latents.clone(),
        memory_limit: args.memory_limit,
        check: !args.no_check,
        saving: match &recreated {
            Some(made) => made.saving(),
            None => Saving {
                quality: args.writing.quality,
                strip_metadata: args.writing.strip_metadata,
                ..Saving::default()
            },
        },
        provenance: !args.writing.no_provenance,
        only: recreated.as_ref().and_then(|made| made.particle),
        journal: arranged.folder,
        resume: !args.batch.no_resume,
        force: args.batch.force,
        fail_fast: args.batch.fail_fast,
        ..Job::new(arranged.tasks)
    };
    let mut report = Report::new(&job.tasks);
    report.model = engine.model().name().into();
    report.devices = engines
        .iter()
        .map(|engine| engine.model().target().place().name())
        .collect();
    report.settings = job.recipe(engine.model(), &settings)?;
    report.shard = args.batch.shard.map(|shard| shard.to_string());
    let events = Events::new(args.batch.json);
    if args.batch.dry_run {
        if args.batch.report.is_some() {
            screen.note("a dry run writes no --report");
        }
        let summary = dry_run(&job, engine, &settings, &events)?;
        return Ok(summary.failed == 0);
    }
    screen.detail(&format!(
        "{} on {}; {}",
        report.model,
        report.devices.join(", "),
        settings.command_line()
    ));

    if !args.quiet
        && let Some(seconds) = job.duration(engine.model(), &settings)?
        && seconds >= LONG
    {
        screen.note(&format!(
            "this takes about {}",
            lasting(Duration::from_secs_f64(seconds))
        ));
    }
    computing.store(true, Ordering::SeqCst);
    events.begun(&report);
    let mut bar = screen.bar(&job.tasks);
    let ended = job.run_on(
        &mut engines,
        &settings,
        &mut |event| {
            events.show(&event, report.hear(&event));
            bar.show(event);
        },
        &cancel,
    );
    bar.clear();
    let stopped = args.batch.fail_fast && ended.as_ref().is_ok_and(|summary| summary.failed > 0);
    report.end(match &ended {
        Ok(_) if stopped => Ended::Interrupted,
        Ok(_) => Ended::Completed,
        Err(Error::Cancelled) => Ended::Interrupted,
        Err(_) => Ended::Refused,
    });
    events.ended(&report);
    if report.ended == Ended::Refused {
        // A report of an earlier run stays.
        return ended.map(|_| false);
    }
    if job.tasks.len() > 1 {
        screen.summary(&report);
    }
    let saved = match &args.batch.report {
        Some(path) => save(&report, path),
        None => Ok(()),
    };
    if let Err(error) = &saved {
        screen.error(&error.to_string());
    }
    if let Err(Error::Cancelled) = &ended {
        screen.error(&interrupted(folder.is_some() && !args.batch.no_resume));
    }
    Ok(ended?.failed == 0 && saved.is_ok())
}

/// The tasks, from the words.
fn arranged(args: &Args) -> Result<Arranged> {
    let order = Order {
        words: &args.inputs,
        reading: Reading {
            recursive: args.batch.recursive,
            null: args.batch.null,
        },
        output: args.output.as_deref(),
        on_conflict: args.on_conflict,
        seed: args.settings.seed.unwrap_or(Settings::default().seed),
        shard: args.batch.shard,
    };
    arrange(&order, &mut std::io::stdin().lock())
}

/// How `old`, which is to be made again, was made.
fn recreated(old: &Path, args: &Args, arranged: &Arranged) -> Result<Provenance> {
    let wrong = |what: &str| {
        Err(Error::Setting(format!(
            "--recreate {}: {what}",
            old.display()
        )))
    };
    if args.settings != Patch::default()
        || args.preset.is_some()
        || args.latents.is_some()
        || args.writing.quality.is_some()
        || args.writing.strip_metadata
    {
        return wrong("everything is as the file says; name no settings besides");
    }
    if arranged.tasks.len() != 1 || args.output.is_none() {
        return wrong("name the one input that it was made from, and a new file with -o");
    }
    match image_io::provenance(old)? {
        Some(text) => Provenance::from_text(&text),
        None => wrong("it does not say how it was made"),
    }
}

/// A quality that no result can have is a mistake.
fn refuse_quality_for_nothing(quality: Option<u8>, tasks: &[Task]) -> Result<()> {
    match tasks.first() {
        Some(task) if quality.is_some() && !tasks.iter().any(|task| task.format.has_quality()) => {
            Err(Error::Setting(format!(
                "--quality is for JPEG and WebP; {} is always lossless",
                task.format
            )))
        }
        _ => Ok(()),
    }
}

/// What of folders and lists is not enlarged.
fn tell_left_out(arranged: &Arranged, args: &Args, screen: &Screen) {
    let LeftOut {
        others,
        hidden,
        unreadable,
        folders,
        outputs,
        results,
    } = arranged.left_out;
    let count = |n: usize, one: &str, many: &str| match n {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {many}")),
    };
    let parts = [
        count(
            others,
            "file that is no picture",
            "files that are no pictures",
        ),
        count(hidden, "hidden name", "hidden names"),
        count(
            unreadable,
            "name that leads nowhere",
            "names that lead nowhere",
        ),
        count(
            folders,
            "folder (--recursive enters it)",
            "folders (--recursive enters them)",
        ),
        count(
            results,
            "result of an earlier run",
            "results of earlier runs",
        ),
        outputs.then(|| "the output folder".to_string()),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if !parts.is_empty() {
        screen.note(&format!("left out: {}", parts.join(", ")));
    }
    if let Some(shard) = args.batch.shard {
        screen.note(&format!(
            "part {shard}: {} of {} pictures",
            arranged.tasks.len(),
            arranged.total
        ));
    }
}

/// The model, on every device that was asked for.
fn engines(args: &Args, source: &ModelSource, screen: &Screen) -> Result<Vec<Engine>> {
    let mut note = |text: &str| screen.note(text);
    let targets = match args.device {
        DeviceChoice::AllGpus => doctor::open_all(args.precision, &mut note)?,
        choice => vec![doctor::open(choice, args.precision, &mut note)?],
    };
    targets
        .iter()
        .map(|target| {
            Engine::load(source, target, &mut |file, done, total| {
                screen.download(file, done, total);
                Ok(())
            })
        })
        .collect()
}

fn save(report: &Report, path: &Path) -> Result<()> {
    let json = report
        .to_json()
        .map_err(|e| Error::Paths(format!("the report cannot be written: {e}")))?;
    write_atomically(path, Existing::Overwrite, |sink| sink.write_all(&json))
        .map_err(|e| ImageError::from(e).into())
}

/// What is said after Ctrl-C.
fn interrupted(goes_on: bool) -> String {
    let mut text = "interrupted; finished results are kept".to_string();
    if goes_on {
        let words: Option<Vec<_>> = std::env::args_os()
            .map(|word| word.into_string().ok())
            .collect();
        let words = words.unwrap_or_default();
        let line = shlex::try_join(words.iter().map(String::as_str)).unwrap_or_default();
        text += match line.is_empty() {
            true => "; the same command goes on from here",
            false => "; this goes on from here: ",
        };
        text += &line;
    }
    text
}
