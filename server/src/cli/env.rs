//! `chandler env`: what a bug report needs, as a list that can be pasted into one. Secrets are named, never shown.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use engine::{device, hub::Hubs, kernel::gemm::kernel_name, limits, memory, text};

use super::CliError;
use crate::config::Folders;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    folders: Folders,
}

/// Beginnings of the names of variables that change what Chandler does.
const VARIABLES: [&str; 15] = [
    "CHANDLER_",
    "HF_",
    "HUGGING",
    "TRANSFORMERS_OFFLINE",
    "MODELSCOPE_",
    "USE_MODELSCOPE_HUB",
    "XDG_CACHE_HOME",
    "CUDA_",
    "NVIDIA_",
    "RAYON_",
    "RUST_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// Parts of the names of variables that may hold a secret; the address of a proxy may hold a password.
const SECRETS: [&str; 7] = ["TOKEN", "PASSWORD", "SECRET", "KEY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// What of a processor's features the kernels ask for, or could, as Linux names them.
const FEATURES: [&str; 17] = [
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "avx_vnni",
    "amx_tile",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "bf16",
    "i8mm",
    "sve",
];

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let told = [
        ("chandler", program()),
        ("system", system()),
        ("container", container().unwrap_or("none seen").to_owned()),
        ("processor", processor()),
        ("kernels", kernel_name().to_owned()),
        ("memory", memory_text()),
        ("accelerators", accelerators()),
        ("models run on", chosen()),
    ];
    for (name, value) in told {
        println!("- {name}: {value}");
    }
    for (name, path) in folders(&args.folders) {
        println!("- {name}: {}", folder_text(&path));
    }
    for line in hubs(&Hubs::from_env()) {
        println!("- {line}");
    }
    let set: Vec<_> = std::env::vars_os().filter_map(|(name, value)| shown(&name, &value)).collect();
    println!("- variables:{}", if set.is_empty() { " none" } else { "" });
    for line in sorted(set) {
        println!("  - {line}");
    }
    Ok(())
}

/// Version, commit, and how it was built.
fn program() -> String {
    let commit =
        Some(env!("CHANDLER_COMMIT")).filter(|commit| !commit.is_empty()).unwrap_or("unknown commit");
    let kind = if cfg!(debug_assertions) { "debug" } else { "release" };
    let cuda = if cfg!(feature = "cuda") { ", with CUDA" } else { "" };
    let (version, compiler, target) =
        (env!("CARGO_PKG_VERSION"), env!("CHANDLER_RUSTC"), env!("CHANDLER_TARGET"));
    format!("{version}, {commit}, {kind} build for {target}{cuda} by {compiler}")
}

fn system() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let name = name.map_or(std::env::consts::OS, |name| name.trim_matches('"'));
    let kernel = rustix::system::uname();
    let part = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    format!("{name}, {} {} {}", part(kernel.sysname()), part(kernel.release()), part(kernel.machine()))
}

/// What this process is shut into, by the marks that Docker, Podman, systemd and Kubernetes leave.
fn container() -> Option<&'static str> {
    let marks = [("/.dockerenv", "Docker"), ("/run/.containerenv", "Podman")];
    let marked = marks.into_iter().find(|(file, _)| Path::new(file).exists()).map(|(_, name)| name);
    let set = |name: &str| std::env::var_os(name).is_some();
    let named = [("KUBERNETES_SERVICE_HOST", "Kubernetes"), ("container", "yes")];
    marked.or_else(|| named.into_iter().find(|(name, _)| set(name)).map(|(_, name)| name))
}

fn processor() -> String {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |names: &[&str]| {
        let mut fields = about.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| names.contains(&name.trim())).map(|(_, value)| value.trim())
    };
    let model = field(&["model name", "Model"]).unwrap_or(std::env::consts::ARCH);
    let has: Vec<_> = field(&["flags", "Features"]).unwrap_or_default().split(' ').collect();
    let features: Vec<_> = FEATURES.into_iter().filter(|feature| has.contains(feature)).collect();
    let cores = about.lines().filter(|line| line.starts_with("processor")).count();
    let usable = limits::threads();
    let features = if features.is_empty() { "unknown features".to_owned() } else { features.join(" ") };
    format!("{model}, {usable} threads usable of {}, {features}", cores.max(usable))
}

fn memory_text() -> String {
    let about = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = about.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let total = total.and_then(|total| total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    let total = total.map_or_else(|| "unknown".to_owned(), |kib| gib(kib << 10));
    format!("{} available of {total}", gib(memory::available() as u64))
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

/// Graphics cards as NVIDIA's own tool names them, whether or not this build can use them.
fn accelerators() -> String {
    let query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"];
    let listed = Command::new("nvidia-smi").args(query).output().ok().filter(|out| out.status.success());
    let listed = listed.map(|out| String::from_utf8_lossy(&out.stdout).trim().replace('\n', "; "));
    listed.filter(|cards| !cards.is_empty()).unwrap_or_else(|| "none seen".to_owned())
}

/// The device of a run, and why it is not another.
fn chosen() -> String {
    let mut why = Vec::new();
    let device = device::choose(false, &mut |message| why.push(message));
    [device::describe(&device)].into_iter().chain(why).collect::<Vec<_>>().join("; ")
}

fn folders(folders: &Folders) -> [(&'static str, PathBuf); 6] {
    let hubs = Hubs::from_env();
    [
        ("models", folders.models_dir.clone()),
        ("data", folders.data_dir.clone()),
        ("runs", folders.runs_dir.clone()),
        ("encoded data", text::cache_folder()),
        ("cache of Hugging Face", hubs.hugging_face.cache().to_owned()),
        ("cache of ModelScope", hubs.model_scope.cache().to_owned()),
    ]
}

/// A folder, and what room there is.
fn folder_text(folder: &Path) -> String {
    let path = folder.canonicalize();
    let free = |path: &Path| rustix::fs::statvfs(path).ok().map(|found| gib(found.f_frsize * found.f_bavail));
    match &path {
        Ok(path) => {
            let free = free(path).map(|free| format!(", {free} free")).unwrap_or_default();
            format!("{}{free}", path.display())
        }
        Err(_) => format!("{}, not there", folder.display()),
    }
}

/// Where each hub is, and who asks.
fn hubs(hubs: &Hubs) -> [String; 2] {
    let line = |name: &str, endpoint: &str, has_token: bool, offline: Option<&str>, first: bool| {
        let token = if has_token { "set" } else { "not set" };
        let offline = offline.map(|by| format!(", offline by {by}")).unwrap_or_default();
        let first = if first { ", asked first" } else { "" };
        format!("{name}: {}, token {token}{offline}{first}", without_user(endpoint))
    };
    let (face, scope) = (&hubs.hugging_face, &hubs.model_scope);
    [
        line("Hugging Face", face.endpoint(), face.has_token(), face.offline(), !hubs.prefer_model_scope),
        line("ModelScope", scope.endpoint(), scope.has_token(), scope.offline(), hubs.prefer_model_scope),
    ]
}

/// An address without the name and password that it may hold.
fn without_user(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (host, path) =
        rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// `NAME=value` of a variable that matters; of one that may hold a secret, that it is set.
fn shown(name: &std::ffi::OsStr, value: &std::ffi::OsStr) -> Option<String> {
    let (name, value) = (name.to_str()?, value.to_string_lossy());
    let upper = name.to_uppercase();
    if !VARIABLES.iter().any(|start| upper.starts_with(start)) {
        return None;
    }
    // A path to a token is none.
    let is_secret = SECRETS.iter().any(|part| upper.contains(part)) && !upper.ends_with("_PATH");
    let value = match (value.is_empty(), is_secret) {
        (true, _) => "(empty)".to_owned(),
        (false, true) => "(set)".to_owned(),
        (false, false) => without_user(&value),
    };
    Some(format!("{name}={value}"))
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, value: &str) -> Option<String> {
        shown(name.as_ref(), value.as_ref())
    }

    #[test]
    fn secrets_are_named_and_not_shown() {
        for name in
            ["CHANDLER_PASSWORD", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MODELSCOPE_API_TOKEN", "https_proxy"]
        {
            assert_eq!(told(name, "s3cret"), Some(format!("{name}=(set)")));
        }
        assert_eq!(
            told("HF_ENDPOINT", "https://me:s3cret@host/x").as_deref(),
            Some("HF_ENDPOINT=https://host/x")
        );
        assert_eq!(told("HF_TOKEN", "").as_deref(), Some("HF_TOKEN=(empty)"));
    }

    #[test]
    fn variables_of_others_are_not_told() {
        assert_eq!(told("CHANDLER_PORT", "80").as_deref(), Some("CHANDLER_PORT=80"));
        assert_eq!(told("HF_TOKEN_PATH", "/a/token").as_deref(), Some("HF_TOKEN_PATH=/a/token"));
        assert_eq!(told("AWS_SECRET_ACCESS_KEY", "x"), None);
        assert_eq!(told("HOME", "/root"), None);
    }
}
