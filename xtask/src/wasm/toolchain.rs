//! Which compiler on this machine can build for the browser.
//!
//! 1. The default toolchain already has the target.
//! 2. `rustup target add` brings it, unless `WASM_TOOLCHAIN=debian` says not to ask rustup's server.
//! 3. Debian's rustc-web with rust-web-src: the standard library is built once into a private sysroot,
//!    which is linked as rustup's toolchain `debian-wasm`.

use std::{
    env, fmt, fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, bail};

use crate::{
    process::{command, output, probe, run, say, succeeds_within},
    system,
};

pub const TARGET: &str = "wasm32-unknown-unknown";
const LINKED: &str = "debian-wasm";

/// A toolchain that has the target.
pub enum Toolchain {
    /// The one that cargo uses anyway.
    Default,
    /// One known to rustup by this name.
    Rustup(&'static str),
    /// A sysroot with `bin/rustc`, on a machine without rustup.
    Sysroot(PathBuf),
}

impl Toolchain {
    /// Makes a cargo command use this toolchain.
    pub fn apply(&self, cargo: &mut Command) {
        match self {
            Toolchain::Default => {}
            Toolchain::Rustup(name) => {
                cargo.env("RUSTUP_TOOLCHAIN", name);
            }
            Toolchain::Sysroot(path) => {
                cargo.env("RUSTC", path.join("bin/rustc"));
            }
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Toolchain::Default => f.write_str("the default one"),
            Toolchain::Rustup(name) => write!(f, "{name}"),
            Toolchain::Sysroot(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Finds a toolchain for [`TARGET`], or makes one.
pub fn find() -> anyhow::Result<Toolchain> {
    if has_target(&mut Command::new("rustc")) {
        return Ok(Toolchain::Default);
    }
    let rustup = probe(&mut command("rustup", ["--version"])).is_some();
    let debian_only = env::var("WASM_TOOLCHAIN").is_ok_and(|choice| choice == "debian");
    if rustup && !debian_only && !linked_is_usable() {
        say(format!("adding {TARGET} with rustup"));
        let mut add = command("rustup", ["target", "add", TARGET]);
        if succeeds_within(&mut add, Duration::from_secs(180)) && has_target(&mut Command::new("rustc")) {
            return Ok(Toolchain::Default);
        }
        say("rustup cannot bring it; going on with Debian's packages");
    }
    let sysroot = debian()?;
    if !rustup {
        return Ok(Toolchain::Sysroot(sysroot));
    }
    link(&sysroot)?;
    Ok(Toolchain::Rustup(LINKED))
}

/// Whether this compiler finds a standard library for the target.
fn has_target(rustc: &mut Command) -> bool {
    let Some(folder) = probe(rustc.args(["--print", "target-libdir", "--target", TARGET])) else {
        return false;
    };
    has_core(Path::new(&folder))
}

fn has_core(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libcore-") && name.ends_with(".rlib")
    })
}

fn linked_is_usable() -> bool {
    has_target(command("rustc", ["+debian-wasm"]).env_remove("RUSTUP_TOOLCHAIN"))
}

fn link(sysroot: &Path) -> anyhow::Result<()> {
    let current =
        probe(command("rustc", ["+debian-wasm", "--print", "sysroot"]).env_remove("RUSTUP_TOOLCHAIN"));
    if current.as_deref() == sysroot.to_str() {
        return Ok(());
    }
    run(Command::new("rustup").args(["toolchain", "link", LINKED]).arg(sysroot))
}

/// The sysroot made from Debian's packages, built at the first call and after each update of theirs.
fn debian() -> anyhow::Result<PathBuf> {
    let installed = Path::new("/usr/bin/rustc").exists()
        && Path::new("/usr/bin/cargo").exists()
        && Path::new("/usr/lib/rustlib/src/rust/library").is_dir()
        && newest_lld().is_some();
    if !installed {
        system::install(&["rustc-web", "cargo-web", "rust-web-src", "lld-22"], "compiling for the browser")?;
    }
    let verbose = output(&mut command("/usr/bin/rustc", ["-vV"]))?;
    let field = |name: &str| {
        let line = verbose.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim).with_context(|| format!("`rustc -vV` printed no {name}"))
    };
    let (release, host) = (field("release:")?, field("host:")?);
    let sysroot = data_home()?.join("rust-debian-wasm").join(release);
    if !has_core(&sysroot.join("lib/rustlib").join(TARGET).join("lib")) {
        say(format!("building Rust's standard library for {TARGET}, once, into {}", sysroot.display()));
        make_sysroot(&sysroot, host)
            .with_context(|| format!("cannot make a toolchain for {TARGET} in {}", sysroot.display()))?;
    }
    Ok(sysroot)
}

fn data_home() -> anyhow::Result<PathBuf> {
    if let Some(folder) = env::var_os("XDG_DATA_HOME").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    Ok(PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".local/share"))
}

/// Debian names its linkers by version: `/usr/bin/lld-22`.
fn newest_lld() -> Option<PathBuf> {
    let entries = fs::read_dir("/usr/bin").ok()?.flatten();
    let versions =
        entries.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("lld-")?.parse::<u32>().ok());
    versions.max().map(|version| PathBuf::from(format!("/usr/bin/lld-{version}")))
}

/// Builds std with the compiler's own sources and lays it out as rustc expects a sysroot.
fn make_sysroot(sysroot: &Path, host: &str) -> anyhow::Result<()> {
    let parent = sysroot.parent().context("no parent folder")?;
    let work = parent.join(format!("building-{}", std::process::id()));
    let built = build_std(&work.join("probe"))?;

    let stage = work.join("sysroot");
    let libraries = stage.join("lib/rustlib").join(TARGET).join("lib");
    let host_tools = stage.join("lib/rustlib").join(host).join("bin");
    for folder in [&stage.join("bin"), &libraries, &host_tools] {
        fs::create_dir_all(folder)?;
    }
    for entry in fs::read_dir(&built)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        let library = path.extension().is_some_and(|kind| kind == "rlib" || kind == "rmeta");
        if library && !name.to_string_lossy().starts_with("libprobe") {
            fs::copy(&path, libraries.join(name))?;
        }
    }
    // Build scripts and procedural macros run on the host: its library is the packaged one.
    symlink(
        Path::new("/usr/lib/rustlib").join(host).join("lib"),
        stage.join("lib/rustlib").join(host).join("lib"),
    )?;
    symlink(newest_lld().context("Debian's lld-22 is not installed")?, host_tools.join("rust-lld"))?;
    symlink("/usr/bin/cargo", stage.join("bin/cargo"))?;
    for tool in ["rustc", "rustdoc"] {
        // Not a link: rustc would find its sysroot through the link's target.
        let wrapper = format!("#!/bin/sh\nexec /usr/bin/{tool} --sysroot \"{}\" \"$@\"\n", sysroot.display());
        let path = stage.join("bin").join(tool);
        fs::write(&path, wrapper)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    if sysroot.exists() {
        fs::remove_dir_all(sysroot)?;
    }
    fs::rename(&stage, sysroot)?;
    fs::remove_dir_all(&work)?;
    Ok(())
}

/// Compiles an empty crate with `-Z build-std`; answers with the folder that holds std's libraries.
fn build_std(probe: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(probe.join("src"))?;
    fs::write(probe.join("src/lib.rs"), "")?;
    let manifest = "[package]\nname = \"probe\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
                    [workspace]\n[profile.release]\npanic = \"abort\"\n";
    fs::write(probe.join("Cargo.toml"), manifest)?;
    let mut build = command("/usr/bin/cargo", ["build", "--release", "--target", TARGET]);
    build.args(["-Z", "build-std=std,panic_abort,proc_macro,test"]).current_dir(probe);
    for variable in ["RUSTUP_TOOLCHAIN", "RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO"] {
        build.env_remove(variable);
    }
    // The flag is for nightly compilers; building std from its own sources is what it is meant for.
    run(build.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1"))?;
    let built = probe.join("target").join(TARGET).join("release/deps");
    if !has_core(&built) {
        bail!("cargo left no libcore in {}", built.display());
    }
    Ok(built)
}
