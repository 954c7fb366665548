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
    use libc::{SIG_IGN, SIGHUP, SIGINT, signal};
    // SAFETY: no action but "ignore" is set, and what was found is put back.
    let is_ignored = |number: &libc::c_int| unsafe {
        let action = signal(*number, SIG_IGN);
        signal(*number, action);
        action == SIG_IGN
    };
    let mut ignored = vec![SIGHUP, SIGINT];
    ignored.retain(is_ignored);
    set();
    for number in ignored {
        // SAFETY: as above.
        unsafe { signal(number, SIG_IGN) };
    }
}

#[cfg(not(unix))]
fn keep_ignored(set: impl FnOnce()) {
    set();
}
