//! Requests, and downloads that go on where they broke off.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body, config::RedirectAuthHeaders};

use super::error::{Error, Result};
use super::{Progress, Watch};

/// Attempts after which a download that makes no progress is given up.
const ATTEMPTS: u32 = 5;
const CONNECT: Duration = Duration::from_secs(20);
/// Longest silence before a response.
const SILENCE: Duration = Duration::from_secs(60);

/// A client for one hub; proxies come from the environment.
#[derive(Clone, Debug)]
pub(super) struct Client {
    agent: Agent,
    /// Sent with every request to the hub itself, never to where it redirects.
    headers: Vec<(&'static str, String)>,
    /// The hub's name, for messages.
    pub hub: &'static str,
    /// What helps where access is denied.
    pub login: &'static str,
    /// Between attempts; grows with their number.
    pause: Duration,
}

/// A file to fetch.
pub(super) struct Wanted<'a> {
    pub url: &'a str,
    /// For messages: repository and path.
    pub name: &'a str,
    pub size: Option<u64>,
}

impl Client {
    pub fn new(hub: &'static str, login: &'static str, headers: Vec<(&'static str, String)>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .user_agent(concat!("chandler/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: Agent::new_with_config(config), headers, hub, login, pause: Duration::from_millis(400) }
    }

    fn get(&self, url: &str, range_from: u64) -> Result<Response<Body>> {
        let mut request = self.agent.get(url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if range_from > 0 {
            request = request.header("Range", format!("bytes={range_from}-"));
        }
        request.call().map_err(|e| network(url, &e))
    }

    /// Headers of `url`, of the hub's own answer where that is a redirect to another host.
    pub fn head(&self, url: &str, what: &str) -> Result<HeaderMap> {
        let mut request = self.agent.head(url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.config().max_redirects(0).max_redirects_will_error(false).build();
        let response = request.call().map_err(|e| network(url, &e))?;
        match response.status().as_u16() {
            200..=399 => Ok(response.headers().clone()),
            status => Err(self.refusal(url, what, status, String::new())),
        }
    }

    /// The JSON at `url`, tried again where it may help.
    pub fn json(&self, url: &str, what: &str) -> Result<Value> {
        let mut attempt = 1;
        loop {
            match self.json_once(url, what) {
                Err(error) if error.is_passing() && attempt < 3 => {
                    std::thread::sleep(self.pause * attempt);
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    fn json_once(&self, url: &str, what: &str) -> Result<Value> {
        let mut response = self.get(url, 0)?;
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(64 << 20).read_to_string();
        let text = text.map_err(|e| network(url, &e))?;
        if status != 200 {
            return Err(self.refusal(url, what, status, text));
        }
        serde_json::from_str(&text)
            .map_err(|e| Error::contents(url, format!("the answer is not valid JSON: {e}")))
    }

    /// What a status other than success means.
    fn refusal(&self, url: &str, what: &str, status: u16, body: String) -> Error {
        let said = serde_json::from_str::<Value>(&body).ok();
        let said =
            said.and_then(|body| Some(body.get("error").or(body.get("Message"))?.as_str()?.to_owned()));
        let (what, hub) = (what.to_owned(), self.hub);
        match status {
            401 | 403 => {
                let message = said.map(|said| one_line(&said) + "; ").unwrap_or_default();
                Error::Denied { what, hub, status, message: format!("{message}{}", self.login) }
            }
            404 => Error::Missing { what, hub, status, hint: " and the revision" },
            _ => {
                let message = said.map(|said| format!(": {}", one_line(&said))).unwrap_or_default();
                Error::Status { url: url.to_owned(), status, message }
            }
        }
    }

    /// Downloads to `part`, going on behind what is already there, until all is there or nothing more comes.
    pub fn download(&self, wanted: &Wanted<'_>, part: &Path, watch: Watch) -> Result<()> {
        let io = |e| Error::io(part, e);
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(part).map_err(io)?;
        let mut attempt = 0;
        loop {
            let before = file.metadata().map_err(io)?.len();
            if wanted.size.is_some_and(|size| before > size) {
                file.set_len(0).map_err(io)?;
                continue;
            }
            if wanted.size == Some(before) && before > 0 {
                break;
            }
            match self.fetch(wanted, &mut file, part, before, watch) {
                Ok(()) => break,
                Err(error) if error.is_passing() => {
                    let after = file.metadata().map_err(io)?.len();
                    attempt = if after > before { 1 } else { attempt + 1 };
                    if attempt >= ATTEMPTS {
                        return Err(error);
                    }
                    std::thread::sleep(self.pause * attempt);
                }
                Err(error) => return Err(error),
            }
        }
        file.sync_all().map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        match wanted.size {
            Some(size) if size != length => {
                let message = format!("{length} bytes came, but {} says it has {size}", self.hub);
                Err(Error::contents(wanted.name, message))
            }
            _ => Ok(()),
        }
    }

    /// One request, appended to `file`, which holds `from` bytes.
    fn fetch(
        &self,
        wanted: &Wanted<'_>,
        file: &mut File,
        part: &Path,
        from: u64,
        watch: Watch,
    ) -> Result<()> {
        let io = |e| Error::io(part, e);
        let mut response = self.get(wanted.url, from)?;
        let status = response.status().as_u16();
        let mut done = match status {
            206 if starts_at(response.headers(), from) => from,
            // The whole file comes, asked for or not.
            200 => {
                file.set_len(0).map_err(io)?;
                0
            }
            206 | 416 => {
                file.set_len(0).map_err(io)?;
                let message = "the rest of the file cannot be had; it starts again".to_owned();
                return Err(Error::Network { url: wanted.url.to_owned(), message });
            }
            _ => {
                let text = response.body_mut().read_to_string().unwrap_or_default();
                return Err(self.refusal(wanted.url, wanted.name, status, text));
            }
        };
        file.seek(SeekFrom::End(0)).map_err(io)?;
        let length = length_of(response.headers());
        let total = wanted.size.or(length.map(|length| length + done));
        let end = length.map(|length| length + done);
        let mut reader = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            if watch(&Progress { file: wanted.name, done, total }).is_break() {
                return Err(Error::Stopped);
            }
            let read = reader.read(&mut buffer).map_err(|e| Error::Network {
                url: wanted.url.to_owned(),
                message: one_line(&e.to_string()),
            })?;
            if read == 0 {
                break;
            }
            file.write_all(&buffer[..read]).map_err(io)?;
            done += read as u64;
        }
        match end {
            Some(end) if done < end => {
                let message = format!("the connection was cut after {done} of {end} bytes");
                Err(Error::Network { url: wanted.url.to_owned(), message })
            }
            _ => Ok(()),
        }
    }
}

fn length_of(headers: &HeaderMap) -> Option<u64> {
    headers.get("content-length")?.to_str().ok()?.parse().ok()
}

/// Whether a part starts where it was asked to (`Content-Range: bytes 5-9/10`).
fn starts_at(headers: &HeaderMap, from: u64) -> bool {
    let range = headers.get("content-range").and_then(|range| range.to_str().ok());
    let start = range.and_then(|range| range.trim().strip_prefix("bytes ")?.split('-').next()?.parse().ok());
    start == Some(from)
}

fn network(url: &str, error: &ureq::Error) -> Error {
    Error::Network { url: url.to_owned(), message: one_line(&error.to_string()) }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `text` as part of a URL's path; slashes stay.
pub(super) fn escape_path(text: &str) -> String {
    escape(text, b"/-._~")
}

/// `text` as the value of a URL's query.
pub(super) fn escape_value(text: &str) -> String {
    escape(text, b"-._~")
}

fn escape(text: &str, allowed: &[u8]) -> String {
    let one = |byte: u8| match byte {
        _ if byte.is_ascii_alphanumeric() || allowed.contains(&byte) => (byte as char).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}
