//! Finished runs: settings, a thumbnail and a file each; at most the pinned ones as pictures in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{BUSY, Item, Made, State};
use crate::app::input::{Input, Place};
use crate::app::raster::Raster;
use crate::app::worker::{Drawn, Setup, Side, Slot};
use crate::error::Error;
use crate::job;
use crate::kds::Choice;
use crate::model::SCALE;
use crate::pipeline::Region;
use crate::settings::Settings;

/// Longest side of a thumbnail.
const THUMBNAIL: usize = 96;
/// Runs that only tried something, at most; older ones are forgotten with their files.
const MOST_TRIALS: usize = 40;

/// The picture that a run is of. Its pixels are read again when they are needed.
#[derive(Clone)]
pub struct Origin {
    /// Its number among all that were opened.
    pub id: u64,
    /// Where it comes from.
    pub place: Place,
    /// By which factor it was reduced.
    prescale: f64,
    /// Columns and rows before that, and after.
    original: [usize; 2],
    size: [usize; 2],
}

impl Origin {
    fn of(input: &Input) -> Self {
        Origin {
            id: input.id,
            place: input.place.clone(),
            prescale: input.prescale,
            original: input.original,
            size: [input.rgb.width, input.rgb.height],
        }
    }

    /// The picture, read again; it keeps its number.
    ///
    /// # Errors
    /// Those of [`Input::open`], and [`Error::Paths`] if it has another size now.
    pub fn input(&self) -> Result<Arc<Input>, Error> {
        let mut input = Input::open(self.place.clone(), self.prescale)?;
        if input.original != self.original {
            return Err(Error::Paths(format!(
                "{} is another picture than it was: its results are kept, but cannot be shown beside it",
                self.place.name()
            )));
        }
        input.id = self.id;
        Ok(Arc::new(input))
    }
}

/// A finished run.
#[derive(Clone)]
pub struct Run {
    /// Its drawing's number.
    pub id: u64,
    /// The picture.
    pub origin: Origin,
    /// By which model, and where.
    pub setup: Setup,
    /// How it was drawn.
    pub settings: Settings,
    /// The part, if it is not the whole.
    pub region: Option<Region>,
    /// Which particle it is.
    pub choice: Choice,
    /// Small.
    pub thumbnail: Arc<Raster>,
    /// The picture's file: this window's own PNG, or one that is finished.
    pub file: PathBuf,
    /// With these settings the file was finished already: mixed and sized.
    pub finished: Option<Settings>,
    /// Seconds that it took.
    pub seconds: Option<f64>,
    /// Where the person saved it.
    pub saved: Option<PathBuf>,
    /// Whether its settings are those with which it was made; a file that was there may not say.
    pub is_told: bool,
}

impl Run {
    /// Columns and rows of the picture, or of the part of it, that was enlarged.
    pub fn size(&self) -> [usize; 2] {
        self.region
            .map_or(self.origin.size, |region| [region.width, region.height])
    }

    /// Those of its file, finished with `settings`.
    pub fn finished_size(&self, settings: &Settings) -> [usize; 2] {
        match self.region {
            Some(_) => self
                .size()
                .map(|side| job::resulting(side as f64, settings.scale)),
            None => job::sizes(settings, self.origin.original[0], self.origin.original[1])[1],
        }
    }

    /// Those of what was drawn.
    pub fn drawn_size(&self) -> [usize; 2] {
        self.size().map(|side| side * SCALE)
    }

    /// How much of its file is in a picture of this strength, 0..=1: what is finished was mixed already.
    pub fn share(&self, strength: f64) -> f64 {
        let mixed = self.finished.as_ref().map_or(1.0, |made| made.strength);
        // Where nothing of the result is left, 0 / 0, the file is as good as any.
        (strength / mixed).min(1.0)
    }

    /// What tells it from others.
    pub fn title(&self) -> String {
        if !self.is_told {
            return "whole: made elsewhere".into();
        }
        let settings = &self.settings;
        let steering = if settings.vanilla {
            "vanilla".to_string()
        } else {
            format!(
                "h {:.3}, p {}, γ {:.2}",
                settings.bandwidth.value(),
                settings.patch_size,
                settings.gamma_0
            )
        };
        let clean = if settings.clean { ", clean" } else { "" };
        let reduced = match settings.prescale {
            1.0 => String::new(),
            prescale => format!(", reduced to {prescale:.2}"),
        };
        let part = if self.region.is_some() {
            "tried"
        } else {
            "whole"
        };
        format!(
            "{part}: N {}, {steering}, {} steps{clean}{reduced}",
            settings.particles, settings.steps
        )
    }
}

/// All of them.
#[derive(Default)]
pub struct History {
    runs: Vec<Run>,
    pins: [Option<u64>; 2],
    pictures: Vec<(u64, Arc<Raster>)>,
    /// The run that is looked at.
    pub selected: Option<u64>,
}

impl History {
    /// The oldest first.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// One of them.
    pub fn run(&self, id: u64) -> Option<&Run> {
        self.runs.iter().find(|run| run.id == id)
    }

    /// The two that are compared.
    pub fn pins(&self) -> [Option<u64>; 2] {
        self.pins
    }

    /// A pinned run's picture, once it is loaded.
    pub fn picture(&self, id: Option<u64>) -> Option<Arc<Raster>> {
        let found = self.pictures.iter().find(|(of, _)| Some(*of) == id);
        found.map(|(_, picture)| picture.clone())
    }

    /// Whole results that were not saved.
    pub fn unsaved(&self) -> impl Iterator<Item = &Run> {
        let whole = |run: &&Run| run.region.is_none() && run.saved.is_none();
        let own = |run: &&Run| !matches!(run.origin.place, Place::Example);
        self.runs.iter().filter(whole).filter(own)
    }

    pub(super) fn saved(&mut self, id: u64, path: PathBuf) {
        if let Some(run) = self.runs.iter_mut().find(|run| run.id == id) {
            run.saved = Some(path);
        }
    }

    pub(super) fn unpin(&mut self) {
        self.pins = [None; 2];
        self.pictures.clear();
    }

    fn add(&mut self, run: Run) {
        self.selected = Some(run.id);
        if self.runs.iter().any(|known| known.id == run.id) {
            return;
        }
        self.runs.push(run);
        let is_old_trial = |run: &Run| run.region.is_some() && !self.pins.contains(&Some(run.id));
        let trials = self.runs.iter().filter(|run| run.region.is_some()).count();
        if trials > MOST_TRIALS
            && let Some(oldest) = self.runs.iter().position(is_old_trial)
        {
            // Its file is this window's own; if it stays, the folder's end takes it along.
            let _ = std::fs::remove_file(self.runs.remove(oldest).file);
        }
    }
}

impl State {
    /// A finished steered run goes into the history.
    pub(super) fn remember(&mut self, drawn: &Drawn) {
        let shown = match drawn.slot {
            Slot::Whole => &self.whole,
            Slot::Live => &self.live,
        };
        let Some((input, settings)) = shown.wanted_as(drawn.drawing) else {
            return;
        };
        let Some(file) = drawn.file.clone().filter(|_| drawn.side == Side::Steered) else {
            return;
        };
        self.history.add(Run {
            id: drawn.drawing,
            origin: Origin::of(&input),
            setup: self.setup.clone(),
            settings,
            region: (drawn.slot == Slot::Live).then_some(drawn.region),
            choice: drawn.choice,
            thumbnail: Arc::new(drawn.picture.reduced_to(THUMBNAIL)),
            file,
            finished: None,
            seconds: drawn.seconds,
            saved: None,
            is_told: true,
        });
    }

    /// Back to a run: its picture and its settings.
    pub fn select(&mut self, id: u64) {
        let Some(run) = self.history.run(id).cloned() else {
            return;
        };
        if self.whole.is_busy() {
            return self.note(BUSY.into());
        }
        if self.open_as(&run).is_none() {
            return self.errands.reopen(&run);
        }
        self.history.selected = Some(id);
        self.set_settings(run.settings.clone());
        if run.region.is_some() {
            self.region = run.region;
        }
        if run.region.is_none() && self.whole.is_current_of(id) {
            return;
        }
        // Until its picture is there, nothing is tried in its place.
        self.selecting = Some(id);
        self.errands.load_run(&run);
    }

    /// The picture of a run, if that is the one that is open.
    pub(super) fn open_as(&self, run: &Run) -> Option<Arc<Input>> {
        let input = self.input.as_ref()?;
        (input.id == run.origin.id).then(|| input.clone())
    }

    pub(super) fn run_reopened(&mut self, id: u64, input: Arc<Input>) {
        if !self.whole.is_busy() {
            self.open(input);
            self.select(id);
        }
    }

    /// Pins a run for comparing, or lets it go; a third one takes the older one's place.
    pub fn pin(&mut self, id: u64) {
        let history = &mut self.history;
        if let Some(pinned) = history.pins.iter().position(|pin| *pin == Some(id)) {
            history.pins[pinned] = None;
            history.pictures.retain(|(of, _)| *of != id);
            return;
        }
        let Some(run) = self.history.run(id).cloned() else {
            return;
        };
        if self.open_as(&run).is_none() {
            return self.note("only runs of the picture that is open can be compared".into());
        }
        let History { pins, pictures, .. } = &mut self.history;
        match pins.iter().position(Option::is_none) {
            Some(free) => pins[free] = Some(id),
            None => *pins = [pins[1], Some(id)],
        }
        pictures.retain(|(of, _)| pins.contains(&Some(*of)));
        self.errands.load_run(&run);
    }

    pub(super) fn run_loaded(&mut self, id: u64, picture: Arc<Raster>) {
        if self.history.pins.contains(&Some(id)) && self.history.picture(Some(id)).is_none() {
            self.history.pictures.push((id, picture.clone()));
        }
        let Some(run) = self.history.run(id).cloned() else {
            return;
        };
        if self.selecting != Some(id) {
            return;
        }
        self.selecting = None;
        let Some(input) = self.open_as(&run).filter(|_| !self.whole.is_busy()) else {
            return;
        };
        let drawn = Drawn {
            slot: if run.region.is_some() {
                Slot::Live
            } else {
                Slot::Whole
            },
            drawing: id,
            side: Side::Steered,
            region: run.region.unwrap_or(Region::whole(&input.rgb)),
            choice: run.choice,
            picture,
            file: Some(run.file.clone()),
            particles: Vec::new(),
            curve: Arc::default(),
            seconds: run.seconds,
        };
        // Another model's particles cannot be drawn again by this one.
        let can_draw = run.is_told && run.setup.model == self.setup.model;
        match run.region {
            None => self.whole.set(input, None, run.settings, drawn, can_draw),
            region => self.live.set(input, region, run.settings, drawn, can_draw),
        }
    }

    /// The run that a finished file of the queue became when it was looked at before.
    pub(super) fn run_of(&self, item: &Item) -> Option<u64> {
        let made = item.made.as_ref().map(|made| &made.settings);
        let is_it = |run: &&Run| {
            let settings = run.finished.as_ref().filter(|_| run.is_told);
            run.finished.is_some() && settings == made && Some(&*run.file) == item.result()
        };
        self.history.runs.iter().find(is_it).map(|run| run.id)
    }

    /// A finished file of the queue is a run like any other, saved already.
    pub(super) fn show_result_of_queue(&mut self) {
        let (Some(input), Some(item)) = (self.input.clone(), self.opens_item.take()) else {
            return;
        };
        let Some(result) = item.result().map(Path::to_path_buf) else {
            return;
        };
        if input.place.path() != Some(&item.path) {
            return;
        }
        let is_told = item.made.is_some();
        if !is_told {
            let what = "was there already, and does not say that this model made it";
            self.note(format!("{} {what}", result.display()));
        }
        let made = item.made.unwrap_or_else(|| Made {
            settings: self.settings.clone(),
            setup: self.setup.clone(),
        });
        let id = self.new_id();
        self.history.add(Run {
            id,
            origin: Origin::of(&input),
            setup: made.setup,
            settings: Settings {
                scale: self.settings.scale,
                ..made.settings.clone()
            },
            region: None,
            choice: Choice::Particle(0),
            thumbnail: Arc::new(input.raster.reduced_to(THUMBNAIL)),
            file: result.clone(),
            finished: Some(made.settings),
            seconds: None,
            saved: Some(result),
            is_told,
        });
        self.select(id);
    }

    /// The example's own result, made beforehand with the model's settings, so that there is something to
    /// see at once.
    pub(super) fn show_ready_example(&mut self) {
        let (Some(input), Some(ready)) = (self.input.clone(), self.ready()) else {
            return;
        };
        let is_example =
            matches!(input.place, Place::Example) && input.prescale == ready.recommended.prescale;
        if !is_example || !ready.is_bundled || self.whole.is_wanted() {
            return;
        }
        let settings = ready.recommended.clone();
        let id = self.new_id();
        self.errands.example_result(id, self.session.file(id));
        self.selecting = Some(id);
        self.whole.expect(id, input.clone(), None, settings.clone());
        self.history.add(Run {
            id,
            region: None,
            choice: Choice::Particle(0),
            thumbnail: Arc::new(input.raster.reduced_to(THUMBNAIL)),
            origin: Origin::of(&input),
            setup: self.setup.clone(),
            settings,
            file: self.session.file(id),
            finished: None,
            seconds: None,
            saved: None,
            is_told: true,
        });
    }
}
