//! `cargo xtask bench server`: how soon the dashboard answers, what it holds in memory, what its first
//! page weighs on the wire.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::Args;

use super::statistics::median;
use crate::{
    process::say,
    server,
    wasm::{self, Profile},
};

#[derive(Args)]
pub struct Options {
    /// How often the server is started
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    starts: u32,
}

/// Measures the release build and prints a table.
pub fn measure(options: &Options) -> anyhow::Result<()> {
    wasm::build(Profile::Release)?;
    let chandler = server::build(Profile::Release, &server::Features::default())?.canonicalize()?;
    let scratch = Path::new("target/bench-server");
    fs::create_dir_all(scratch)?;
    let mut ready = Vec::new();
    let mut resident = Vec::new();
    let mut weight = Weight::default();
    for number in 1..=options.starts {
        let running = Running::start(&chandler, scratch)?;
        ready.push(running.ready.as_secs_f64() * 1e3);
        weight = first_page(running.address)?;
        resident.push(running.resident_mb()?);
        say(format!("start {number}: ready after {:.0} ms", running.ready.as_secs_f64() * 1e3));
    }
    println!("{:<36} {:>8.0} ms", "first answer after the start, median", median(&ready));
    println!("{:<36} {:>8.1} MB", "resident after the first page", median(&resident));
    for (path, bytes) in &weight.parts {
        println!("{path:<36} {:>8.1} KB", *bytes as f64 / 1e3);
    }
    println!("{:<36} {:>8.1} KB", "first page over the wire", weight.total() as f64 / 1e3);
    Ok(())
}

/// A server of this benchmark, ended when dropped.
struct Running {
    process: Child,
    address: SocketAddr,
    ready: Duration,
}

impl Running {
    /// Starts the server on a free port and waits until it answers.
    fn start(chandler: &Path, scratch: &Path) -> anyhow::Result<Running> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let start = Instant::now();
        let process = Command::new(chandler)
            .args(["webui", "--host", "127.0.0.1", "--port", &address.port().to_string(), "--runs-dir"])
            .arg(scratch.join("runs"))
            .env("LEPTOS_SITE_ROOT", wasm::site().canonicalize()?)
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", chandler.display()))?;
        let mut running = Running { process, address, ready: Duration::ZERO };
        while get(address, "/healthz", "identity").is_err() {
            if let Some(status) = running.process.try_wait()? {
                bail!("the server ended with {status}");
            }
            if start.elapsed() > Duration::from_secs(30) {
                bail!("the server did not answer within 30 s");
            }
            thread::sleep(Duration::from_millis(2));
        }
        running.ready = start.elapsed();
        Ok(running)
    }

    fn resident_mb(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let kilobytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .context("/proc has no VmRSS")?;
        Ok(kilobytes.parse::<f64>()? / 1024.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Bytes on the wire, headers included, by path.
#[derive(Default)]
struct Weight {
    parts: Vec<(String, usize)>,
}

impl Weight {
    fn total(&self) -> usize {
        self.parts.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// The history page with everything that it names.
fn first_page(address: SocketAddr) -> anyhow::Result<Weight> {
    let page = get(address, "/", "identity")?;
    let page = String::from_utf8_lossy(&page);
    let mut paths = linked(&page);
    paths.insert("/".to_owned());
    let mut weight = Weight::default();
    for path in paths {
        let bytes = get(address, &path, "br, gzip")?.len();
        weight.parts.push((path, bytes));
    }
    Ok(weight)
}

/// Paths of this server that a page loads: scripts, the module, styles, fonts, icons.
fn linked(page: &str) -> BTreeSet<String> {
    let quoted = page.split(['"', '\'']).filter(|text| text.starts_with('/') && !text.starts_with("//"));
    let files = quoted.filter(|text| {
        let kind = text.rsplit('.').next().unwrap_or_default();
        ["js", "wasm", "css", "woff2", "svg", "ico"].contains(&kind)
    });
    files.map(str::to_owned).collect()
}

/// The whole answer to a GET request, headers included; anything but 200 is an error.
fn get(address: SocketAddr, path: &str, encoding: &str) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/html, */*\r\n")?;
    write!(stream, "Accept-Encoding: {encoding}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    if !answer.starts_with(b"HTTP/1.1 200") {
        let line = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
        bail!("GET {path} was answered with {line:?}");
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_page_loads() {
        let page = r#"<link href="/pkg/chandler.css"><a href="/new">x</a><script>import('/pkg/chandler.js')</script>
            <link href="//other/x.css"><link rel="preload" href="/fonts/inter.woff2">"#;
        let found = linked(page);
        let expected = ["/fonts/inter.woff2", "/pkg/chandler.css", "/pkg/chandler.js"];
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }
}
