//! The program. Everything it does is in the library.

use std::io::Write;
use std::process::ExitCode;

/// What a person sees if the program itself is at fault.
const APOLOGY: &str = "minkds: internal error, nothing half-written was left; please report this";

fn main() -> ExitCode {
    // Mesa's Vulkan asks Wayland which card is preferred, and complains on standard error where there
    // is no desktop at all.
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: no other thread has been started.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
    // burn turns some failures into panics that the pipeline catches and explains.
    std::panic::set_hook(Box::new(|_| ()));
    std::panic::catch_unwind(|| minkds::cli::main(std::env::args_os())).unwrap_or_else(|panic| {
        let text = minkds::error::words_of(&*panic);
        let _ = writeln!(std::io::stderr(), "{APOLOGY}: {text}");
        ExitCode::FAILURE
    })
}
