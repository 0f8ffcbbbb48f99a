//! `chandler version`

use super::CliError;

/// CPU features that the engine's kernels look for at run time.
#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<&'static str> {
    let found = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ];
    found.into_iter().filter_map(|(name, found)| found.then_some(name)).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_features() -> Vec<&'static str> {
    Vec::new()
}

pub fn run() -> Result<(), CliError> {
    let commit = env!("CHANDLER_COMMIT");
    let commit = if commit.is_empty() { String::new() } else { format!(" ({commit})") };
    println!("chandler {}{commit}", env!("CARGO_PKG_VERSION"));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let features = cpu_features();
    let features =
        if features.is_empty() { "no special instructions".to_owned() } else { features.join(" ") };
    println!("{} {}, {threads} threads, {features}", std::env::consts::OS, std::env::consts::ARCH);
    Ok(())
}
