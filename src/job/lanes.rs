//! How pictures run through a job: on each device one is computed while the next one is read and the one
//! before is written. All devices take from one queue.
//!
//! A lane is a thread that reads, the thread that owns the device, and a thread that writes. Between them
//! there is room for one picture each, so that the memory stays bounded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::journal::{Journal, Known, Recipe};
use super::{Context, Done, Job, Prepared, Read};
use crate::error::{Error, Result, words_of};
use crate::image_io;
use crate::pipeline::{Cancel, Event, Outcome};
use crate::settings::Settings;

/// A picture of more pixels is read only when the network is done with the one before.
const MOST_AHEAD: u64 = 4 << 20;
/// What reading such a picture ahead may take: as much as the decoder of JPEG XL.
pub const BYTES_AHEAD: u64 = MOST_AHEAD * 32;

/// Whether a picture of this size may be read ahead.
pub fn is_small((width, height): (u32, u32)) -> bool {
    u64::from(width) * u64::from(height) <= MOST_AHEAD
}

/// What the lanes of a job share.
pub struct Shared<'a> {
    pub job: &'a Job,
    pub settings: &'a Settings,
    pub context: Context,
    pub recipe: Recipe,
    pub known: Known,
    pub journal: Mutex<Option<Journal>>,
    pub cancel: &'a Cancel,
    /// No further picture is begun.
    pub stop: AtomicBool,
    /// The next picture.
    pub next: AtomicUsize,
    /// How many lanes there are.
    pub lanes: usize,
}

/// Something that happened to the picture of this number.
pub struct Message {
    pub index: usize,
    pub what: What,
}

pub enum What {
    Started,
    Run(Event),
    Done(Box<Done>),
    Skipped { existing: PathBuf, known: bool },
    Failed(Error),
}

/// Computes a picture: its result, and what computed it. The function without arguments waits until the result
/// before it is written, which takes memory.
pub type Network<'a> = &'a mut dyn FnMut(
    &mut Prepared,
    &mut dyn FnMut(),
    &mut dyn FnMut(Event),
) -> Result<(Outcome, String)>;

/// A picture on its way from the network to the disk.
struct Computed {
    index: usize,
    prepared: Box<Prepared>,
    outcome: Outcome,
    device: String,
    network: f64,
}

/// The result that a lane is writing, if there is one.
struct Writing(Mutex<Receiver<()>>);

impl Writing {
    fn new() -> Self {
        Writing(Mutex::new(channel().1))
    }

    /// Another one begins, and lasts until what is returned is dropped.
    fn begin(&self) -> Sender<()> {
        let (lasts, ended) = channel();
        *self.lock() = ended;
        lasts
    }

    /// Returns when it has ended.
    fn wait(&self) {
        let _ = self.lock().recv();
    }

    fn lock(&self) -> MutexGuard<'_, Receiver<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes to the thread that owns the device.
enum News {
    /// The next picture was read, or not.
    Read(usize, Result<Read>),
    /// There is none.
    NoMore,
    /// Something happened on another thread.
    Said(Message),
}

impl Shared<'_> {
    /// Takes a picture from the queue.
    fn take(&self) -> Option<usize> {
        if self.stop.load(Ordering::Relaxed) || self.cancel.is_cancelled() {
            return None;
        }
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.job.tasks.len()).then_some(index)
    }

    /// The journal, to be written by one thread at a time.
    pub fn journal(&self) -> MutexGuard<'_, Option<Journal>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the next picture may be read ahead: it is known to be small enough, and there is one for every other
    /// device too, so that none stays idle while another holds two.
    pub fn may_read_ahead(&self) -> bool {
        let next = self.next.load(Ordering::Relaxed);
        if self.job.tasks.len().saturating_sub(next) < self.lanes {
            return false;
        }
        let next = self.job.tasks.get(next);
        let size = next.and_then(|task| image_io::peek(&task.input));
        size.is_some_and(is_small)
    }
}

/// Runs pictures through `network` until the queue is empty or everything stops; what happens goes to `say`.
pub fn lane(shared: &Shared, network: Network, say: &mut dyn FnMut(Message)) {
    let (permits, permitted) = channel();
    let (news, inbox) = channel();
    let (to_disk, computed) = sync_channel(0);
    let writing = &Writing::new();
    thread::scope(|scope| {
        let own = news.clone();
        scope.spawn(move || read_all(shared, &permitted, writing, &own));
        scope.spawn(move || write_all(shared, &computed, &news));
        let permit = || {
            // It fails only if the reader is gone, which has said that there is no more.
            let _ = permits.send(());
        };
        permit();
        for message in &inbox {
            match message {
                News::Said(message) => say(message),
                News::NoMore => break,
                News::Read(..) if shared.cancel.is_cancelled() => break,
                News::Read(index, read) => {
                    let ahead = shared.may_read_ahead();
                    if ahead {
                        permit();
                    }
                    let computed = compute(index, read, network, writing, say);
                    if matches!(computed, Err(Error::Cancelled)) {
                        break;
                    }
                    if let Ok(Some(computed)) = computed {
                        // It fails only if the writer is gone, which has said why.
                        let _ = to_disk.send((computed, writing.begin()));
                    }
                    if !ahead {
                        permit();
                    }
                }
            }
        }
        drop((permits, to_disk));
        for message in &inbox {
            if let News::Said(message) = message {
                say(message);
            }
        }
    });
}

/// The network's part of one picture; `None` if nothing is to be written.
fn compute(
    index: usize,
    read: Result<Read>,
    network: Network,
    writing: &Writing,
    say: &mut dyn FnMut(Message),
) -> Result<Option<Computed>> {
    let mut say = |what| say(Message { index, what });
    say(What::Started);
    let mut prepared = match read {
        Ok(Read::Ready(prepared)) => prepared,
        Ok(Read::Exists { existing, known }) => {
            say(What::Skipped { existing, known });
            return Ok(None);
        }
        Err(error) => {
            say(What::Failed(error));
            return Ok(None);
        }
    };
    for warning in std::mem::take(&mut prepared.warnings) {
        say(What::Run(Event::Warning(warning)));
    }
    let start = Instant::now();
    let wait = &mut || writing.wait();
    match network(&mut prepared, wait, &mut |event| say(What::Run(event))) {
        Ok((outcome, device)) => Ok(Some(Computed {
            index,
            prepared,
            outcome,
            device,
            network: start.elapsed().as_secs_f64(),
        })),
        Err(Error::Cancelled) => Err(Error::Cancelled),
        Err(error) => {
            say(What::Failed(error));
            Ok(None)
        }
    }
}

fn read_all(shared: &Shared, permitted: &Receiver<()>, writing: &Writing, news: &Sender<News>) {
    while permitted.recv().is_ok() {
        let Some((index, task)) = shared
            .take()
            .and_then(|index| Some((index, shared.job.tasks.get(index)?)))
        else {
            let _ = news.send(News::NoMore);
            return;
        };
        let read = guarded("reading", &task.input, || {
            shared.job.read(shared, task, &|| writing.wait())
        });
        let _ = news.send(News::Read(index, read));
    }
}

fn write_all(shared: &Shared, computed: &Receiver<(Computed, Sender<()>)>, news: &Sender<News>) {
    for (computed, lasts) in computed {
        let Computed {
            index,
            prepared,
            outcome,
            device,
            network,
        } = computed;
        let Some(task) = shared.job.tasks.get(index) else {
            continue;
        };
        let say = |what| drop(news.send(News::Said(Message { index, what })));
        let start = Instant::now();
        let (input, read) = ((prepared.width, prepared.height), prepared.seconds);
        let warn = &mut |text| say(What::Run(Event::Warning(text)));
        let written = guarded("writing the result of", &task.input, || {
            shared.job.write(shared, task, *prepared, outcome, warn)
        });
        drop(lasts);
        say(match written {
            Ok(written) => What::Done(Box::new(Done {
                written,
                input,
                device,
                seconds: super::Seconds {
                    read,
                    network,
                    write: start.elapsed().as_secs_f64(),
                },
            })),
            Err(error) => What::Failed(error),
        });
    }
}

/// A panic in the middle of one picture is that picture's failure.
pub fn guarded<T>(doing: &str, what: &Path, step: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
        Err(Error::Paths(format!(
            "{doing} {} made the program stumble ({}); please report this",
            what.display(),
            words_of(&*panic)
        )))
    })
}
