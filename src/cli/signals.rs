//! Ctrl-C and its like.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::INTERRUPTED;
use crate::pipeline::Cancel;

/// While it computes, the first Ctrl-C (or SIGTERM, or hang-up) stops at the next network evaluation, the
/// second at once; while a model is downloaded or read, the first does (the download goes on from there next
/// time).
pub fn stop_on_signal(cancel: &Cancel, computing: &Arc<AtomicBool>) {
    let (cancel, computing) = (cancel.clone(), computing.clone());
    let set = || {
        // Without a handler the system's default stops the program, which is fine too.
        let _ = ctrlc::set_handler(move || {
            if cancel.is_cancelled() || !computing.load(Ordering::SeqCst) {
                std::process::exit(i32::from(INTERRUPTED));
            }
            cancel.cancel();
        });
    };
    keep_ignored(set);
}

/// Does `set`, and ignores again what was ignored before: `nohup` asks for that with hang-ups, and scripts
/// with Ctrl-C for what they start in the background.
#[cfg(unix)]
fn keep_ignored(set: impl FnOnce()) {
    use std::ffi::c_int;
    unsafe extern "C" {
        fn signal(number: c_int, action: usize) -> usize;
    }
    // The same on every Unix.
    const SIGHUP: c_int = 1;
    const SIGINT: c_int = 2;
    const IGNORE: usize = 1;
    // SAFETY: no action but "ignore" is set, and what was found is put back.
    let is_ignored = |number: &c_int| unsafe {
        let action = signal(*number, IGNORE);
        signal(*number, action);
        action == IGNORE
    };
    let mut ignored = vec![SIGHUP, SIGINT];
    ignored.retain(is_ignored);
    set();
    for number in ignored {
        // SAFETY: as above.
        unsafe { signal(number, IGNORE) };
    }
}

#[cfg(not(unix))]
fn keep_ignored(set: impl FnOnce()) {
    set();
}
