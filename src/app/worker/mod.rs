//! The thread that computes: it owns device and model, takes wishes from its desk, and reports what
//! happens. Nothing else in the window touches a tensor.

mod desk;
mod draw;
mod reports;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread::JoinHandle;

use burn::tensor::FloatDType;

pub use self::desk::{Desk, Drawing, Needs, Queue, Setup};
pub use self::reports::{
    Drawn, Inbox, Preview, QueueReport, Ready, Report, Side, Slot, Spread, Step,
};

use self::desk::Errand;
use self::draw::Studio;
use crate::device::{DeviceChoice, Kind, adapters};
use crate::doctor;
use crate::error::{Error, Result, caught};
use crate::image_io;
use crate::job::{self, Engine, JobEvent, Provenance};
use crate::pipeline::{Cancel, Estimator, Event};
use crate::settings::{Patch, Settings};

/// The thread. Dropping it stops what runs and waits for the end, one network evaluation at most; a model
/// that is being loaded is left to the end of the process.
pub struct Worker {
    desk: Desk,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread; reports go to `inbox`.
    ///
    /// # Errors
    /// [`Error::Device`] where the system has no thread left.
    pub fn start(inbox: Inbox) -> Result<Self> {
        let desk = Desk::default();
        let own = desk.clone();
        let thread = std::thread::Builder::new()
            .name("minkds-worker".into())
            .spawn(move || work(&own, &inbox))
            .map_err(|error| Error::Device(format!("no thread can be started: {error}")))?;
        let thread = Some(thread);
        Ok(Worker { desk, thread })
    }

    /// Where wishes are laid.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let ends_soon = self.desk.close();
        if let Some(thread) = self.thread.take().filter(|_| ends_soon) {
            let _ = thread.join();
        }
    }
}

/// The engine and what was drawn with it.
struct Loaded {
    engine: Engine,
    studio: Studio,
    memory_limit: Option<u64>,
}

fn work(desk: &Desk, inbox: &Inbox) {
    let mut loaded: Option<Loaded> = None;
    while let Some((errand, cancel)) = desk.next(loaded.is_some()) {
        match errand {
            Errand::Setup(setup) => {
                // Its memory is needed for the next one.
                loaded = None;
                match caught(|| load(&setup, inbox, &cancel)) {
                    Ok((engine, ready)) => {
                        inbox.say(Report::Ready(Box::new(ready)));
                        loaded = Some(Loaded {
                            engine,
                            studio: Studio::default(),
                            memory_limit: setup.memory_limit,
                        });
                    }
                    // Stopped for another setup: that one's turn comes next.
                    Err(Error::Cancelled) if desk.has_setup() => (),
                    Err(Error::Cancelled) => inbox.say(Report::DownloadStopped),
                    Err(error) => inbox.say(Report::NotReady(error.to_string())),
                }
            }
            Errand::Draw(slot, drawing) => {
                let Some(loaded) = &mut loaded else { continue };
                let (id, needs) = (drawing.id, drawing.needs);
                let limit = loaded.memory_limit;
                let drawn = caught(|| {
                    let studio = &mut loaded.studio;
                    studio.draw(&mut loaded.engine, slot, &drawing, limit, inbox, &cancel)
                });
                match drawn {
                    Ok(()) => {
                        desk.met(slot, id, needs);
                        inbox.say(Report::Finished(slot, id));
                    }
                    // Stopped for something more urgent: its turn comes again.
                    Err(Error::Cancelled) if desk.is_wanted(slot, id) => (),
                    Err(Error::Cancelled) => inbox.say(Report::Stopped(slot, id)),
                    Err(error) => {
                        desk.met(slot, id, needs);
                        inbox.say(Report::Failed(slot, id, error.to_string()));
                    }
                }
            }
            Errand::Queue(queue) => {
                let Some(loaded) = &mut loaded else { continue };
                let ended = caught(|| enlarge(queue, &mut loaded.engine, desk, inbox, &cancel));
                if let Err(error) = &ended
                    && !matches!(error, Error::Cancelled)
                {
                    inbox.say(Report::Note(error.to_string()));
                }
                inbox.say(Report::Queue(QueueReport::Ended(ended.is_ok())));
            }
        }
    }
    // burn's own threads may be at fault here; the window is closing anyway.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(loaded)));
}

/// Opens the device, loads the model, and measures how fast they are. Only a download heeds `cancel`; what
/// else takes long here is over within seconds.
fn load(setup: &Setup, inbox: &Inbox, cancel: &Cancel) -> Result<(Engine, Ready)> {
    let mut notice = |text: &str| inbox.say(Report::Note(text.to_string()));
    let target = doctor::open(setup.device, setup.precision, &mut notice)?;
    let engine = Engine::load(&setup.model, &target, &mut |file, done, total| {
        inbox.say(Report::Download(file.to_string(), done, total));
        cancel.check()
    })?;
    let model = engine.model();
    let estimator = Estimator::of(model);
    let own = &model.recommended().settings;
    let recommended = Settings::resolve(own, None, &Patch::default(), true)?;
    let ready = Ready {
        name: model.name().to_string(),
        is_bundled: model.is_bundled(),
        knows_clean: model.unet().knows_clean(),
        own_settings: own.clone(),
        device: target.place().name(),
        precision: match target.floats() {
            FloatDType::F16 => "f16",
            _ => "f32",
        },
        recommended,
        rate: job::speed(model, &estimator)?,
        estimator,
        multiple: model.unet().size_multiple(),
        devices: devices(setup.device),
    };
    Ok((engine, ready))
}

/// What `--device` may name anywhere.
pub fn usual_devices() -> Vec<(String, String)> {
    vec![
        ("auto".to_string(), "the best one".to_string()),
        ("cpu".to_string(), "the processor".to_string()),
    ]
}

/// What `--device` may name here. Drivers are only asked where one of them is in use: with `cpu`, nothing
/// but the choice itself is offered until another is taken.
fn devices(choice: DeviceChoice) -> Vec<(String, String)> {
    let mut devices = usual_devices();
    if choice == DeviceChoice::Cpu {
        devices.push(("gpu".to_string(), "the graphics card".to_string()));
        return devices;
    }
    for adapter in adapters() {
        let software = if adapter.kind == Kind::Software {
            " (software)"
        } else {
            ""
        };
        let name = format!("{}{software}", adapter.id.name);
        devices.push((format!("gpu:{}", adapter.number), name));
    }
    if cfg!(feature = "cuda") {
        devices.push((
            "cuda".to_string(),
            "the first card through CUDA".to_string(),
        ));
    }
    devices
}

/// A queue of files, as on the command line.
fn enlarge(
    queue: Queue,
    engine: &mut Engine,
    desk: &Desk,
    inbox: &Inbox,
    cancel: &Cancel,
) -> Result<()> {
    let model = engine.model().fingerprint()?.to_string();
    let mut pass_on = |event: JobEvent| {
        let report = match event {
            JobEvent::Started { index, .. } => QueueReport::Started(index),
            JobEvent::Run { index, event } => match event {
                Event::Progress(part) => QueueReport::Progress(index, part),
                Event::Warning(text) => {
                    inbox.say(Report::Note(text));
                    return;
                }
                _ => return,
            },
            JobEvent::Done { index, done, .. } => match done.written.first() {
                Some(written) => QueueReport::Done(index, written.path.clone()),
                None => return,
            },
            JobEvent::Skipped {
                index, existing, ..
            } => {
                let settings = settings_of(existing, &model).map(Box::new);
                QueueReport::Skipped(index, existing.to_path_buf(), settings)
            }
            JobEvent::Failed { index, error, .. } => QueueReport::Failed(index, error.to_string()),
        };
        inbox.say(Report::Queue(report));
        desk.wait_while_paused(cancel);
    };
    queue
        .job
        .run(engine, &queue.settings, &mut pass_on, cancel)
        .map(drop)
}

/// The settings with which `model`, a fingerprint, made a file, if the file says so.
fn settings_of(file: &Path, model: &str) -> Option<Settings> {
    let text = image_io::provenance(file).ok()??;
    let made = Provenance::from_text(&text).ok()?;
    (made.model_sha256 == model).then_some(made.settings)
}
