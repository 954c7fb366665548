//! Everything that can be done by key or button, in one table: the keys and the sheet that explains them
//! are read from it.

use eframe::egui::{self, Key, KeyboardShortcut, Modifiers};

use super::state::{Mode, State};

/// Something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask which pictures to open.
    Open,
    /// Save the whole result.
    Save,
    /// Ask where to save it.
    SaveAs,
    /// Save what is compared, side by side.
    SaveComparison,
    /// Put the result into the clipboard.
    Copy,
    /// Put the command that makes the result into the clipboard.
    CopyCommand,
    /// The settings before.
    Undo,
    /// The settings after.
    Redo,
    /// Make the whole picture.
    EnlargeAll,
    /// Stop what is running.
    Cancel,
    /// All of the picture.
    Fit,
    /// One pixel of the result for each of the screen.
    FullSize,
    /// Nearer.
    ZoomIn,
    /// Farther.
    ZoomOut,
    /// Another way of comparing.
    Mode(Mode),
    /// The other of two pictures.
    Flip,
    /// The magnifying glass.
    Loupe,
    /// Try settings where one looks.
    TryHere,
    /// Whether settings are tried at once.
    Live,
    /// The curves.
    Curves,
    /// The sheet of keys.
    Help,
    /// Close the window.
    Close,
}

const NOTHING_TO_SAVE: &str =
    "there is no whole result of this picture to save yet: enlarge it first";
const COMMAND: Modifiers = Modifiers::COMMAND;
const COMMAND_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);

/// Keys, what they do, and the words for it. Those with more modifiers come first, since fewer would match
/// them, too.
pub const TABLE: &[(Modifiers, Key, Action, &str)] = &[
    (
        COMMAND_SHIFT,
        Key::S,
        Action::SaveAs,
        "save the result as …",
    ),
    (COMMAND_SHIFT, Key::Z, Action::Redo, "redo settings"),
    (
        COMMAND_SHIFT,
        Key::C,
        Action::CopyCommand,
        "copy as command line",
    ),
    (COMMAND, Key::O, Action::Open, "open pictures"),
    (
        COMMAND,
        Key::S,
        Action::Save,
        "save the result beside its input",
    ),
    (
        COMMAND,
        Key::E,
        Action::SaveComparison,
        "save the comparison",
    ),
    (
        COMMAND,
        Key::Enter,
        Action::EnlargeAll,
        "enlarge the picture",
    ),
    (COMMAND, Key::Z, Action::Undo, "undo settings"),
    (COMMAND, Key::Q, Action::Close, "close"),
    (COMMAND, Key::Num0, Action::Fit, "all of the picture"),
    (
        COMMAND,
        Key::Num1,
        Action::FullSize,
        "100 %: one pixel for each of the screen",
    ),
    (
        Modifiers::NONE,
        Key::Escape,
        Action::Cancel,
        "cancel what is running",
    ),
    (
        Modifiers::NONE,
        Key::Num0,
        Action::Fit,
        "all of the picture",
    ),
    (
        Modifiers::NONE,
        Key::Z,
        Action::FullSize,
        "100 %: one pixel for each of the screen",
    ),
    (Modifiers::NONE, Key::Plus, Action::ZoomIn, "zoom in"),
    (Modifiers::NONE, Key::Equals, Action::ZoomIn, "zoom in"),
    (Modifiers::NONE, Key::Minus, Action::ZoomOut, "zoom out"),
    (
        Modifiers::NONE,
        Key::Num1,
        Action::Mode(Mode::Divider),
        "divider",
    ),
    (
        Modifiers::NONE,
        Key::Num2,
        Action::Mode(Mode::SideBySide),
        "vanilla beside KDS",
    ),
    (
        Modifiers::NONE,
        Key::Num3,
        Action::Mode(Mode::Three),
        "input, vanilla, KDS",
    ),
    (
        Modifiers::NONE,
        Key::Num4,
        Action::Mode(Mode::Flicker),
        "flicker",
    ),
    (
        Modifiers::NONE,
        Key::Num5,
        Action::Mode(Mode::Difference),
        "difference",
    ),
    (
        Modifiers::NONE,
        Key::Num6,
        Action::Mode(Mode::Particles),
        "particles",
    ),
    (
        Modifiers::NONE,
        Key::Num7,
        Action::Mode(Mode::Spread),
        "spread",
    ),
    (
        Modifiers::NONE,
        Key::Space,
        Action::Flip,
        "the other picture (flicker)",
    ),
    (Modifiers::NONE, Key::L, Action::Loupe, "magnifying glass"),
    (
        Modifiers::NONE,
        Key::T,
        Action::TryHere,
        "try settings in the middle of the view",
    ),
    (
        Modifiers::NONE,
        Key::V,
        Action::Live,
        "try settings at once, or not",
    ),
    (
        Modifiers::NONE,
        Key::G,
        Action::Curves,
        "curves of the particles",
    ),
    (
        Modifiers::NONE,
        Key::Questionmark,
        Action::Help,
        "this sheet",
    ),
    (Modifiers::NONE, Key::F1, Action::Help, "this sheet"),
];

/// The key of an action, for hover texts.
pub fn key_of(action: Action, context: &egui::Context) -> String {
    let found = TABLE.iter().find(|(.., of, _)| *of == action);
    found.map_or(String::new(), |(modifiers, key, ..)| {
        shortcut(*modifiers, *key, context)
    })
}

/// A key as it is written on it, with its modifiers.
pub fn shortcut(modifiers: Modifiers, key: Key, context: &egui::Context) -> String {
    match modifiers.is_none() {
        true => key.symbol_or_name().into(),
        false => context.format_shortcut(&KeyboardShortcut::new(modifiers, key)),
    }
}

/// What the keys of this frame ask for; none while somebody types.
pub fn of_keys(context: &egui::Context) -> Vec<Action> {
    // What is open over the window has its own use for keys.
    let has_modal = context.memory(|memory| memory.top_modal_layer().is_some());
    let types = context.text_edit_focused() || has_modal || context.any_popup_open();
    let has_focus = context.memory(|memory| memory.focused().is_some());
    context.input_mut(|input| {
        let mut actions = Vec::new();
        if types {
            return actions;
        }
        for (modifiers, key, action, _) in TABLE {
            // A focused button or slider has its own use for these.
            if has_focus && matches!(key, Key::Space | Key::Plus | Key::Minus) {
                continue;
            }
            // `?` needs Shift on most keyboards.
            let pressed = match key {
                Key::Questionmark | Key::Plus => {
                    input.key_pressed(*key) && !input.modifiers.command
                }
                _ => input.consume_key(*modifiers, *key),
            };
            if pressed {
                actions.push(*action);
            }
        }
        if input.events.contains(&egui::Event::Copy) {
            actions.push(Action::Copy);
        }
        actions.dedup();
        actions
    })
}

impl Action {
    /// Does it, as far as the state is concerned.
    pub fn apply(self, state: &mut State, context: &egui::Context) {
        match self {
            Action::Open => state.ask_open(),
            Action::Save => match state.run_to_save().map(|run| run.id) {
                Some(run) => state.save(run),
                None => state.note(NOTHING_TO_SAVE.into()),
            },
            Action::SaveAs => match state.run_to_save().map(|run| run.id) {
                Some(run) => state.save_as(run),
                None => state.note(NOTHING_TO_SAVE.into()),
            },
            Action::SaveComparison => state.save_comparison(),
            Action::Copy => state.copy(context),
            Action::CopyCommand => {
                let selected = state
                    .history
                    .selected
                    .and_then(|id| state.history.run(id))
                    .cloned();
                match selected.map(|run| state.command_line(&run)) {
                    Some(Ok(line)) => {
                        context.copy_text(line);
                        state.note("the command line is in the clipboard".into());
                    }
                    Some(Err(why)) => state.note(why),
                    None => state.note("there is no run yet".into()),
                }
            }
            Action::Undo => state.undo(),
            Action::Redo => state.redo(),
            Action::EnlargeAll => state.enlarge_all(),
            Action::Cancel => state.cancel(),
            Action::Fit => state.view.fit = true,
            Action::FullSize => state.zoom_to = Some(1.0),
            Action::ZoomIn => state.zoom_to = Some(state.view.zoom * 2f64.sqrt()),
            Action::ZoomOut => state.zoom_to = Some(state.view.zoom / 2f64.sqrt()),
            Action::Mode(mode) => {
                state.mode = mode;
                state.look.step = None;
            }
            Action::Flip => state.look.flipped = !state.look.flipped,
            Action::Loupe => state.look.loupe = !state.look.loupe,
            Action::TryHere => {
                let [x, y] = state.view.center.map(|v| v / crate::model::SCALE as f64);
                state.try_at(x, y);
            }
            Action::Live => state.set_live(!state.is_live),
            Action::Curves => state.look.shows_curves = !state.look.shows_curves,
            Action::Help => (),
            Action::Close => context.send_viewport_cmd(egui::ViewportCommand::Close),
        }
    }
}
