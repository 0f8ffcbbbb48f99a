//! `chandler version`

use engine::{device, kernel::gemm::kernel_name, limits};

use super::CliError;

pub(super) fn run() -> Result<(), CliError> {
    let commit = env!("CHANDLER_COMMIT");
    let commit = if commit.is_empty() { String::new() } else { format!(" ({commit})") };
    println!("chandler {}{commit}", env!("CARGO_PKG_VERSION"));
    let threads = limits::threads();
    let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    println!("{system} {processor}, {threads} threads, matrix products on {}", kernel_name());
    let device = device::choose(false, &mut |message| println!("{message}"));
    println!("models run on {}", device::describe(&device));
    Ok(())
}
