//! Requests to a hub.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body, config::RedirectAuthHeaders};

use super::error::{Error, Result};

const CONNECT: Duration = Duration::from_secs(20);
/// Longest silence before a response, and within one.
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
    pub pause: Duration,
    /// After how long a connection that says nothing is given up.
    pub silence: Duration,
}

/// A file to fetch.
pub(super) struct Wanted<'a> {
    pub url: &'a str,
    /// For messages: repository and path.
    pub name: &'a str,
    pub size: Option<u64>,
    /// Where it is a hash, of the contents.
    pub etag: Option<&'a str>,
}

impl Client {
    pub(super) fn new(hub: &'static str, login: &'static str, headers: Vec<(&'static str, String)>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .user_agent(concat!("chandler/", env!("CARGO_PKG_VERSION")))
            .build();
        let (agent, pause) = (Agent::new_with_config(config), Duration::from_millis(400));
        Self { agent, headers, hub, login, pause, silence: SILENCE }
    }

    /// Whether anything is said of who asks.
    pub(super) fn has_headers(&self) -> bool {
        !self.headers.is_empty()
    }

    pub(super) fn get(&self, url: &str, range_from: u64) -> Result<Response<Body>> {
        let mut request = self.agent.get(url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if range_from > 0 {
            request = request.header("Range", format!("bytes={range_from}-"));
        }
        let silence = Some(self.silence);
        let request = request.config().timeout_recv_response(silence).timeout_per_read(silence).build();
        request.call().map_err(|e| network(url, &e))
    }

    /// Headers of `url`, of the hub's own answer where that is a redirect to another host.
    pub(super) fn head(&self, url: &str, what: &str) -> Result<HeaderMap> {
        let mut request = self.agent.head(url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.config().timeout_recv_response(Some(self.silence));
        let request = request.max_redirects(0).max_redirects_will_error(false).build();
        let response = request.call().map_err(|e| network(url, &e))?;
        match response.status().as_u16() {
            200..=399 => Ok(response.headers().clone()),
            status => Err(self.refusal(url, what, status, String::new())),
        }
    }

    /// The JSON at `url`, tried again where it may help.
    pub(super) fn json(&self, url: &str, what: &str) -> Result<Value> {
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
    pub(super) fn refusal(&self, url: &str, what: &str, status: u16, body: String) -> Error {
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
}

fn network(url: &str, error: &ureq::Error) -> Error {
    Error::Network { url: url.to_owned(), message: one_line(&error.to_string()) }
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a URL's query may not hold as it is: all but RFC 3986's unreserved characters.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// `text` as part of a URL's path; slashes stay.
pub(super) fn escape_path(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// `text` as the value of a URL's query.
pub(super) fn escape_value(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}
