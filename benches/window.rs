//! How long a frame of the window takes, without the drawing of triangles, which is the graphics card's: one
//! JSON object a line for each situation, all while the picture is being moved.
//!
//!     cargo bench --bench window

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui;
use minkds::app::{Remembered, Start, Window};
use minkds::device::DeviceChoice;
use serde_json::json;

/// Of a window on a common screen.
const SIZE: egui::Vec2 = egui::vec2(1920.0, 1080.0);
/// Time from frame to frame at 60 per second.
const FRAME: Duration = Duration::from_micros(16_667);
const FRAMES: usize = 600;
/// Side of the input of a 100-megapixel result.
const LARGE: usize = 2500;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let large = folder.path().join("large.png");
    let picture = image::RgbImage::from_fn(LARGE as u32, LARGE as u32, |x, y| {
        image::Rgb([(x ^ y) as u8, (x / 3 + y) as u8, (x * y / 97) as u8])
    });
    picture.save(&large).expect("a picture");

    let mut bench = Bench::open(folder.path().join("a"), Vec::new());
    bench.measure("example, nothing else to do", |_| ());
    bench.window.state.enlarge_all();
    bench.measure("example, while it is enlarged on the processor", |window| {
        if !window.state.whole.is_busy() {
            window.state.enlarge_all();
        }
    });
    drop(bench);
    let mut bench = Bench::open(folder.path().join("b"), vec![large]);
    bench.window.state.zoom_to = Some(1.0);
    bench.measure("100 megapixels at 100 %", |_| ());
    bench.window.state.zoom_to = Some(0.4);
    bench.measure("100 megapixels at 40 %", |_| ());
}

struct Bench {
    context: egui::Context,
    window: Window,
    start: Instant,
}

impl Bench {
    fn open(cache: PathBuf, inputs: Vec<PathBuf>) -> Self {
        let context = egui::Context::default();
        let mut start = Start {
            inputs,
            ..Start::default()
        };
        start.setup.device = DeviceChoice::Cpu;
        let remembered = Remembered {
            is_live: false,
            ..Remembered::default()
        };
        let window = Window::new(&context, start, remembered, &cache).expect("a window");
        let mut bench = Bench {
            context,
            window,
            start: Instant::now(),
        };
        while bench.window.state.ready().is_none() || bench.window.state.input.is_none() {
            bench.frame(Vec::new());
            std::thread::sleep(FRAME);
        }
        bench
    }

    /// One frame: how long it took, and the bytes of new textures.
    fn frame(&mut self, events: Vec<egui::Event>) -> (Duration, usize) {
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, SIZE)),
            time: Some(self.start.elapsed().as_secs_f64()),
            events,
            ..egui::RawInput::default()
        };
        let begin = Instant::now();
        let window = &mut self.window;
        let mut output = self.context.run_ui(input, |ui| {
            window.listen(ui.ctx());
            window.show(ui);
        });
        let images = output.textures_delta.set.values().flatten();
        let bytes = images
            .map(|delta| delta.image.width() * delta.image.height() * 4)
            .sum();
        let shapes = std::mem::take(&mut output.shapes);
        let shapes = self.context.tessellate(shapes, output.pixels_per_point);
        output.drop_without_applying_deltas();
        drop(std::hint::black_box(Arc::new(shapes)));
        (begin.elapsed(), bytes)
    }

    fn measure(&mut self, situation: &str, mut meanwhile: impl FnMut(&mut Window)) {
        let mut times = Vec::new();
        let mut most_bytes = 0;
        for frame in 0..FRAMES {
            let begin = Instant::now();
            meanwhile(&mut self.window);
            // The pointer drags the picture in circles.
            let turn = frame as f32 / 40.0;
            let pos = egui::pos2(700.0, 450.0) + 250.0 * egui::Vec2::angled(turn);
            let mut events = vec![egui::Event::PointerMoved(pos)];
            if frame == 0 || frame + 1 == FRAMES {
                events.push(egui::Event::PointerButton {
                    pos,
                    button: egui::PointerButton::Primary,
                    pressed: frame == 0,
                    modifiers: egui::Modifiers::NONE,
                });
            }
            let (time, bytes) = self.frame(events);
            times.push(time.as_secs_f64() * 1e3);
            most_bytes = most_bytes.max(bytes);
            std::thread::sleep(FRAME.saturating_sub(begin.elapsed()));
        }
        times.sort_by(f64::total_cmp);
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        let line = json!({
            "situation": situation,
            "frames": times.len(),
            "median_ms": at(0.5),
            "p99_ms": at(0.99),
            "max_ms": at(1.0),
            "over_16_ms": times.iter().filter(|time| **time > 16.0).count(),
            "run_seconds": self.window.state.whole.steered.as_ref().and_then(|drawn| drawn.seconds),
            "most_texture_mib": most_bytes as f64 / f64::from(1 << 20),
        });
        println!("{line}");
    }
}
