//! Ways of comparing: which pictures lie over each other in each pane.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Shown, State};
use crate::app::raster::Raster;
use crate::app::state::shown::same_run;
use crate::app::tiles::Source;
use crate::app::worker::{Drawn, Side};
use crate::image_io::resize::Filter;
use crate::kds::Choice;
use crate::model::SCALE;
use crate::pipeline::Region;
use crate::settings::Settings;

/// A way of comparing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// One picture, before left of a line and after right of it.
    #[default]
    Divider,
    /// Vanilla beside KDS.
    SideBySide,
    /// Input, vanilla, KDS.
    Three,
    /// One or the other, by key.
    Flicker,
    /// How much they differ.
    Difference,
    /// Every particle.
    Particles,
    /// Where particles differ.
    Spread,
}

impl Mode {
    /// All of them, in the order of their keys 1 to 7.
    pub const ALL: [Mode; 7] = [
        Mode::Divider,
        Mode::SideBySide,
        Mode::Three,
        Mode::Flicker,
        Mode::Difference,
        Mode::Particles,
        Mode::Spread,
    ];

    /// Its name and what it shows.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Mode::Divider => (
                "Divider",
                "Before left of the line, after right of it: drag the line",
            ),
            Mode::SideBySide => (
                "Vanilla | KDS",
                "The chosen version without steering beside the same one with it, from the same noise",
            ),
            Mode::Three => ("Three", "Input, vanilla and KDS beside each other"),
            Mode::Flicker => (
                "Flicker",
                "One picture over the other: Space changes between them",
            ),
            Mode::Difference => (
                "Difference",
                "Where result and comparison differ, amplified",
            ),
            Mode::Particles => (
                "Particles",
                "All versions that are drawn together; click one to look closer",
            ),
            Mode::Spread => (
                "Spread",
                "How far versions differ that are left alone: bright is where the model is guessing",
            ),
        }
    }

    /// Whether it shows plain sampling.
    pub fn needs_plain(self, look: &Look) -> bool {
        match self {
            Mode::SideBySide | Mode::Three => true,
            Mode::Divider | Mode::Flicker | Mode::Difference => {
                look.reference == Reference::Vanilla
            }
            Mode::Particles | Mode::Spread => false,
        }
    }
}

/// What the result is compared with where two pictures share one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reference {
    /// The input, plainly enlarged.
    #[default]
    Input,
    /// The same particle without steering.
    Vanilla,
}

/// Details of comparing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Look {
    /// How the input is enlarged for comparison.
    pub before: Filter,
    /// With what the result is compared.
    pub reference: Reference,
    /// The line's place, 0 (left) to 1.
    pub divider: f32,
    /// How much differences are amplified.
    pub gain: f32,
    /// Whether the pointer carries a magnifying glass.
    pub loupe: bool,
    /// Whether the curves are shown.
    pub shows_curves: bool,
    /// Whether the settings beyond the method's own are shown.
    pub shows_more: bool,
    /// Whether it is shown how files are written.
    pub shows_files: bool,
    /// Whether flicker shows the comparison at this moment.
    #[serde(skip)]
    pub flipped: bool,
    /// Whether slow comparisons of the whole picture are to be made, too.
    #[serde(skip)]
    pub wants_whole: bool,
    /// A step whose preview is looked at.
    #[serde(skip)]
    pub step: Option<(Side, usize)>,
}

impl Default for Look {
    fn default() -> Self {
        Look {
            before: Filter::Bicubic,
            reference: Reference::Input,
            divider: 0.5,
            gain: 8.0,
            loupe: false,
            shows_curves: true,
            shows_more: false,
            shows_files: false,
            flipped: false,
            wants_whole: false,
            step: None,
        }
    }
}

/// One picture on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    /// The input, plainly enlarged.
    Before,
    /// Without steering.
    Vanilla,
    /// The result.
    Kds,
    /// How much the result differs from its comparison.
    Difference,
    /// How far particles differ.
    Spread,
    /// A finished run that was pinned: 0 or 1.
    Pin(usize),
    /// The particle that was clicked.
    Inspected,
}

/// A picture at its place.
#[derive(Clone)]
pub struct Layer {
    /// The picture.
    pub source: Source,
    /// Its left top corner, in pixels of the enlargement.
    pub at: [usize; 2],
    /// How many of them it covers.
    pub size: [usize; 2],
    /// How much of it is seen over what lies below.
    pub strength: f32,
}

/// One particle as the grid shows it.
pub struct Particle {
    /// With steering or without.
    pub side: Side,
    /// Its number.
    pub index: usize,
    /// Its picture.
    pub picture: Arc<Raster>,
    /// Whether it is the one that becomes the picture.
    pub is_chosen: bool,
    /// Whether it went through the decoder, not only through the quick preview.
    pub is_decoded: bool,
}

impl State {
    /// The panes of the mode, from left to right.
    pub fn panes(&self) -> Vec<Pane> {
        if self.compares_pins() {
            return vec![Pane::Pin(0), Pane::Pin(1)];
        }
        match self.mode {
            Mode::Divider | Mode::Flicker => vec![self.reference(), Pane::Kds],
            Mode::SideBySide => vec![Pane::Vanilla, Pane::Kds],
            Mode::Three => vec![Pane::Before, Pane::Vanilla, Pane::Kds],
            Mode::Difference => vec![Pane::Difference],
            // Beside the grid.
            Mode::Particles => self
                .inspected
                .map(|_| Pane::Inspected)
                .into_iter()
                .collect(),
            Mode::Spread => vec![Pane::Spread],
        }
    }

    /// Whether two pinned runs are compared instead of before and after.
    pub fn compares_pins(&self) -> bool {
        let suits = matches!(self.mode, Mode::Divider | Mode::Flicker | Mode::SideBySide);
        suits
            && self
                .history
                .pins()
                .iter()
                .all(|pin| self.history.picture(*pin).is_some())
    }

    fn reference(&self) -> Pane {
        match self.look.reference {
            Reference::Input => Pane::Before,
            Reference::Vanilla => Pane::Vanilla,
        }
    }

    /// What a pane is called.
    pub fn title(&self, pane: Pane) -> String {
        let busy = |side: Side| self.front().previews.contains_key(&side);
        let working = |name: &str, side: Side| {
            if let Some((of, index)) = self.look.step
                && of == side
            {
                format!("{name}, step {}", index + 1)
            } else if busy(side) {
                format!("{name}, being drawn")
            } else {
                name.to_string()
            }
        };
        match pane {
            Pane::Before => format!("input, {}", filter_name(self.look.before)),
            Pane::Vanilla => working("vanilla", Side::Plain),
            Pane::Kds => {
                let settings = self.settings_shown().unwrap_or(&self.settings);
                let name = match settings.vanilla {
                    true => "without steering",
                    false => "KDS",
                };
                let title = working(name, Side::Steered);
                match same_run(settings, &self.settings) || title != name {
                    true => title,
                    false => format!("{name}, other settings"),
                }
            }
            Pane::Difference => format!("difference × {:.0}", self.look.gain),
            Pane::Spread => "spread of the unsteered versions".into(),
            Pane::Inspected => match self.inspected {
                Some((Side::Steered, index)) => format!("KDS {index}"),
                Some((Side::Plain, index)) => format!("vanilla {index}"),
                None => String::new(),
            },
            Pane::Pin(pin) => match self.history.pins()[pin].and_then(|id| self.history.run(id)) {
                Some(run) => run.title(),
                None => "nothing pinned".into(),
            },
        }
    }

    /// How the steered picture that is seen was made, or is being made.
    fn settings_shown(&self) -> Option<&Settings> {
        let front = self.front();
        let drawn = match front.previews.contains_key(&Side::Steered) {
            true => None,
            false => front.steered.as_ref(),
        };
        let run = drawn.and_then(|drawn| self.history.run(drawn.drawing));
        run.map(|run| &run.settings).or(front.settings())
    }

    /// The slot that the person is looking at: the tried part, or the whole.
    pub fn front(&self) -> &Shown {
        if self.shows_live() {
            &self.live
        } else {
            &self.whole
        }
    }

    /// Whether the tried part lies over the whole picture.
    pub fn shows_live(&self) -> bool {
        let Some(input) = &self.input else {
            return false;
        };
        self.live.is_wanted()
            && !self.whole.is_busy()
            && !self.whole.is_of(input, None, &self.settings)
    }

    /// The pictures of a pane, the lowest first.
    pub fn layers(&self, pane: Pane) -> Vec<Layer> {
        let Some(input) = &self.input else {
            return Vec::new();
        };
        let whole = input.enlarged_size();
        // A result is mixed with the bicubic enlargement, here as in its file.
        let filter = match pane {
            Pane::Before => self.look.before,
            _ => Filter::Bicubic,
        };
        let base = Layer {
            source: Source::Enlarged(input.raster.clone(), filter),
            at: [0, 0],
            size: whole,
            strength: 1.0,
        };
        let mut slots = vec![&self.whole];
        if self.shows_live() {
            slots.push(&self.live);
        }
        let mut layers = vec![base];
        match pane {
            Pane::Before => (),
            Pane::Kds | Pane::Vanilla => {
                let side = match pane {
                    Pane::Kds => Side::Steered,
                    _ => Side::Plain,
                };
                for shown in slots {
                    let Some((picture, region)) = self.picture_of(shown, side) else {
                        continue;
                    };
                    let strength = self.share_of(shown, side);
                    if input.has_alpha() && strength >= 1.0 && region == Region::whole(&input.rgb) {
                        // Through what is transparent, nothing of it may be seen.
                        layers.clear();
                    }
                    layers.push(placed(Source::Picture(picture), region, strength));
                }
            }
            Pane::Inspected => {
                let particles = self.particles();
                let found = particles
                    .into_iter()
                    .find(|particle| Some((particle.side, particle.index)) == self.inspected);
                let region = self.front().steered.as_ref().map(|drawn| drawn.region);
                if let (Some(particle), Some(region)) = (found, region) {
                    layers.push(placed(Source::Picture(particle.picture), region, 1.0));
                }
            }
            Pane::Difference => {
                layers.clear();
                for shown in slots {
                    let Some(steered) = &shown.steered else {
                        continue;
                    };
                    let gain = self.look.gain * self.share_of(shown, Side::Steered);
                    let Some(source) = self.difference(shown, steered, gain) else {
                        continue;
                    };
                    layers.push(placed(source, steered.region, 1.0));
                }
            }
            Pane::Spread => {
                for shown in slots {
                    let (Some(spread), Some(plain)) = (&shown.spread, &shown.plain) else {
                        continue;
                    };
                    layers.push(placed(
                        Source::Picture(spread.picture.clone()),
                        plain.region,
                        1.0,
                    ));
                }
            }
            Pane::Pin(pin) => {
                let id = self.history.pins()[pin];
                if let (Some(picture), Some(run)) = (
                    self.history.picture(id),
                    id.and_then(|id| self.history.run(id)),
                ) {
                    let region = run.region.unwrap_or(Region::whole(&input.rgb));
                    let strength = run.share(run.settings.strength) as f32;
                    layers.push(placed(Source::Picture(picture), region, strength));
                }
            }
        }
        layers
    }

    /// The picture of one side: of the run in progress where it shows something already, else the finished
    /// one; or the step that is being pointed at.
    fn picture_of(&self, shown: &Shown, side: Side) -> Option<(Arc<Raster>, Region)> {
        let drawn = shown.side(side);
        if let Some((of, index)) = self.look.step
            && of == side
            && std::ptr::eq(shown, self.front())
            && let Some(step) = shown.curves.get(&side).and_then(|curve| curve.get(index))
            && let Some(picture) = &step.preview
        {
            let preview = shown.previews.get(&side).map(|preview| preview.region);
            let region = preview.or(drawn.map(|drawn| drawn.region))?;
            return Some((picture.clone(), region));
        }
        if let Some(preview) = shown.previews.get(&side)
            && let Some(first) = preview.particles.first()
        {
            return Some((first.clone(), preview.region));
        }
        let drawn = drawn?;
        Some((drawn.picture.clone(), drawn.region))
    }

    /// How much of a side's picture is seen over the plain enlargement: what is finished was mixed already.
    fn share_of(&self, shown: &Shown, side: Side) -> f32 {
        let strength = self.settings.strength;
        let is_drawn = side == Side::Steered && !shown.previews.contains_key(&side);
        let drawn = shown.side(side).filter(|_| is_drawn);
        let run = drawn.and_then(|drawn| self.history.run(drawn.drawing));
        run.map_or(strength, |run| run.share(strength)) as f32
    }

    fn difference(&self, shown: &Shown, steered: &Drawn, gain: f32) -> Option<Source> {
        let input = self.input.as_ref()?;
        let (from, at) = match self.look.reference {
            Reference::Input => (
                Source::Enlarged(input.raster.clone(), self.look.before),
                [steered.region.left * SCALE, steered.region.top * SCALE],
            ),
            Reference::Vanilla => {
                let plain = shown
                    .plain
                    .as_ref()
                    .filter(|plain| plain.region == steered.region)?;
                (Source::Picture(plain.picture.clone()), [0, 0])
            }
        };
        Some(Source::Difference {
            of: steered.picture.clone(),
            from: Box::new(from),
            at,
            gain,
        })
    }

    /// All particles of what is looked at, steered ones first; those of the run in progress as they are.
    pub fn particles(&self) -> Vec<Particle> {
        let shown = self.front();
        let mut particles = Vec::new();
        for side in [Side::Steered, Side::Plain] {
            let drawn = shown.side(side);
            let chosen = drawn.map(|drawn| drawn.choice);
            let preview = shown.previews.get(&side);
            let pictures: &[Arc<Raster>] = match (preview, drawn) {
                (Some(preview), _) => &preview.particles,
                (None, Some(drawn)) => &drawn.particles,
                (None, None) => &[],
            };
            for (index, quick) in pictures.iter().enumerate() {
                let is_chosen = preview.is_none() && chosen == Some(Choice::Particle(index));
                let decoded = match drawn {
                    Some(_) if preview.is_some() => None,
                    Some(drawn) if is_chosen => Some(&drawn.picture),
                    _ => shown.decoded.get(&(side, index)),
                };
                particles.push(Particle {
                    side,
                    index,
                    picture: decoded.unwrap_or(quick).clone(),
                    is_chosen,
                    is_decoded: decoded.is_some(),
                });
            }
        }
        particles
    }
}

fn placed(source: Source, region: Region, strength: f32) -> Layer {
    Layer {
        source,
        at: [region.left * SCALE, region.top * SCALE],
        size: [region.width * SCALE, region.height * SCALE],
        strength,
    }
}

/// What the way of enlarging the input is called.
pub fn filter_name(filter: Filter) -> &'static str {
    match filter {
        Filter::Nearest => "nearest",
        Filter::Bicubic => "bicubic",
        Filter::Lanczos => "Lanczos",
    }
}
