//! Examining a device in a process of its own: a driver that crashes or hangs takes only that along.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use burn::tensor::FloatDType;

use super::{Verdict, name_of};
use crate::device::Place;

/// A card needs seconds, lavapipe about ten.
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(20);

/// [`examine`](super::examine) in a copy of this program, which must be the `minkds` binary.
pub fn examine_apart(place: &Place, floats: FloatDType) -> Verdict {
    let word = match place {
        Place::Cpu => "cpu".to_string(),
        Place::Gpu(adapter) => format!("gpu:{}", adapter.number),
        Place::Cuda(number) => format!("cuda:{number}"),
    };
    let child = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .args(["doctor", "--examine", &word, "--precision", name_of(floats)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    });
    match child {
        Ok(child) => wait(child, PATIENCE),
        Err(error) => Verdict::failed(format!("it cannot be examined: {error}")),
    }
}

fn wait(mut child: Child, patience: Duration) -> Verdict {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(_)) => break,
            Ok(None) if begun.elapsed() < patience => std::thread::sleep(PAUSE),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                let seconds = patience.as_secs();
                return Verdict::failed(format!("its check did not end within {seconds} s"));
            }
        }
    }
    // A verdict is far smaller than a pipe holds, so that the process could end before this.
    match child.wait_with_output() {
        Ok(output) => serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| Verdict::failed(format!("its driver crashed ({})", output.status))),
        Err(error) => Verdict::failed(format!("its check gave no answer: {error}")),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        command.spawn().unwrap()
    }

    #[test]
    fn what_a_check_may_end_like() {
        let long = Duration::from_secs(20);
        let told = wait(
            shell(r#"echo '{"checks":[],"failure":"no card","speed":null}'"#),
            long,
        );
        assert_eq!(told, Verdict::failed("no card"));
        let crashed = wait(shell("kill -SEGV $$"), long).complaint().unwrap();
        assert!(
            crashed.contains("crashed") && crashed.contains("11"),
            "{crashed}"
        );
        let begun = Instant::now();
        let hung = wait(shell("exec sleep 60"), Duration::from_millis(300));
        assert!(hung.complaint().unwrap().contains("did not end"));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
