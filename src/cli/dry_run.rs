//! `--dry-run`: what would be done, how long it would take, and what it would need.

use std::io::Write;
use std::time::Duration;

use bytesize::ByteSize;
use serde_json::json;

use super::events::{Events, with_event};
use super::progress::lasting;
use crate::error::Result;
use crate::job::{Engine, Forecast, Job, Summary, path_in_json, sizes};
use crate::settings::Settings;

/// Lists everything on standard output and writes nothing. What would be refused counts as failed.
pub fn dry_run(
    job: &Job,
    engine: &Engine,
    settings: &Settings,
    events: &Events,
) -> Result<Summary> {
    let forecasts = job.forecast(engine.model(), settings)?;
    let mut summary = Summary::default();
    let (mut seconds, mut memory) = (0.0, 0u64);
    for (task, forecast) in job.tasks.iter().zip(&forecasts) {
        let (input, output) = (task.input.display(), task.output.display());
        let (line, value) = match forecast {
            Forecast::Enlarged {
                size: (width, height),
                seconds: own,
                memory: needed,
            } => {
                summary.done += 1;
                seconds += own;
                memory = memory.max(*needed);
                let [_, [w, h]] = sizes(settings, *width as usize, *height as usize);
                let line = format!(
                    "{input} -> {output} ({width} x {height} -> {w} x {h}, about {}, {})",
                    lasting(Duration::from_secs_f64(*own)),
                    bytes(*needed)
                );
                let value = json!({"state": "waiting", "width": width, "height": height, "seconds": own, "memory": needed});
                (line, value)
            }
            Forecast::Skipped(why) => {
                summary.skipped += 1;
                let line = format!("{input}: would be skipped, {why}");
                (line, json!({"state": "skipped", "why": why}))
            }
            Forecast::Refused(why) => {
                summary.failed += 1;
                let line = format!("{input}: would fail: {why}");
                (line, json!({"state": "failed", "error": why}))
            }
        };
        events.line(|| {
            let mut value = with_event("planned", value);
            value["input"] = path_in_json(&task.input);
            value["output"] = path_in_json(&task.output);
            value
        });
        say(events, &line);
    }
    let Summary {
        done,
        skipped,
        failed,
    } = summary;
    events.line(|| {
        json!({"event": "forecast", "files": job.tasks.len(), "waiting": done, "skipped": skipped, "failed": failed,
               "seconds": seconds, "memory": memory})
    });
    say(
        events,
        &format!(
            "{done} to enlarge, {skipped} to skip, {failed} that would fail; about {} in all on {}, up to {} beside \
             the model. The time is measured by one small evaluation: it may be off by half. Nothing was written.",
            lasting(Duration::from_secs_f64(seconds)),
            engine.model().target().place().name(),
            bytes(memory)
        ),
    );
    Ok(summary)
}

/// A line for people; where JSON is wanted, there are none.
fn say(events: &Events, line: &str) {
    if !events.are_wanted() {
        // A closed pipe is nobody's loss.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

fn bytes(count: u64) -> String {
    ByteSize::b(count).display().iec().to_string()
}
