//! Colours and sizes: neutral greys around pictures, one accent colour, the same shapes in both themes.

use eframe::egui::{self, Color32, CornerRadius, Stroke, Theme, Visuals};

/// Lines and handles over pictures.
pub const ACCENT: Color32 = Color32::from_rgb(255, 176, 64);
/// Curves without steering.
pub const VANILLA: Color32 = Color32::from_rgb(110, 160, 220);
/// What lies around pictures, whatever the theme: a neutral grey misleads the eye least.
pub const SURROUND_DARK: Color32 = Color32::from_gray(22);
const SURROUND_LIGHT: Color32 = Color32::from_gray(200);

/// What lies around pictures.
pub fn surround(ui: &egui::Ui) -> Color32 {
    if ui.visuals().dark_mode {
        SURROUND_DARK
    } else {
        SURROUND_LIGHT
    }
}

/// A warning's colour that can be read on the panel.
pub fn error(ui: &egui::Ui) -> Color32 {
    ui.visuals().error_fg_color
}

/// Sets both themes up.
pub fn apply(context: &egui::Context) {
    for theme in [Theme::Dark, Theme::Light] {
        let mut visuals = match theme {
            Theme::Dark => Visuals::dark(),
            Theme::Light => Visuals::light(),
        };
        let corner = CornerRadius::same(4);
        for widget in [
            &mut visuals.widgets.noninteractive,
            &mut visuals.widgets.inactive,
            &mut visuals.widgets.hovered,
            &mut visuals.widgets.active,
            &mut visuals.widgets.open,
        ] {
            widget.corner_radius = corner;
        }
        let (accent, ink) = match theme {
            Theme::Dark => (
                Color32::from_rgb(122, 82, 22),
                Color32::from_rgb(255, 226, 186),
            ),
            Theme::Light => (
                Color32::from_rgb(255, 205, 135),
                Color32::from_rgb(74, 44, 0),
            ),
        };
        visuals.selection.bg_fill = accent;
        visuals.selection.stroke = Stroke::new(1.0, ink);
        visuals.slider_trailing_fill = true;
        if theme == Theme::Dark {
            visuals.panel_fill = Color32::from_gray(30);
            visuals.window_fill = Color32::from_gray(34);
            visuals.override_text_color = Some(Color32::from_gray(205));
        } else {
            visuals.panel_fill = Color32::from_gray(240);
            visuals.override_text_color = Some(Color32::from_gray(40));
        }
        context.set_visuals_of(theme, visuals);
        context.style_mut_of(theme, |style| {
            style.spacing.item_spacing = egui::vec2(8.0, 6.0);
            style.spacing.slider_width = 150.0;
            style.spacing.interact_size.y = 22.0;
            // Text that is pointed at is no text to be selected: the picture is dragged across it.
            style.interaction.selectable_labels = false;
        });
    }
}

/// The window's icon: a soft square beside a sharp one.
pub fn icon() -> egui::IconData {
    const SIDE: u32 = 64;
    let mut rgba = Vec::with_capacity((SIDE * SIDE * 4) as usize);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let middle = SIDE / 2;
            // Large cells left of the line, small ones right of it.
            let cell = if x < middle { 16 } else { 4 };
            let is_bright = (x / cell + y / cell) % 2 == 0;
            let shade = if is_bright { 226 } else { 58 };
            let pixel = if x.abs_diff(middle) < 2 {
                [ACCENT.r(), ACCENT.g(), ACCENT.b(), 255]
            } else {
                [shade, shade, shade, 255]
            };
            rgba.extend(pixel);
        }
    }
    egui::IconData {
        rgba,
        width: SIDE,
        height: SIDE,
    }
}
