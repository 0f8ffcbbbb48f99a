//! Who may ask: the address that a request was sent to, the page it comes from, and the password.
//!
//! A board on loopback needs no password, but any page open in the same browser could still reach it.
//! Requests to a foreign `Host` (DNS rebinding) and requests from another site's page (CSRF, websockets,
//! scripts that read) are refused with 403, with a password or without. Links to the board may be followed.

mod brake;
mod headers;
mod login;
mod origin;
pub mod paths;
mod public_url;
mod sessions;

pub use headers::{page_policy, set_headers};
pub use login::{login, login_page, logout, preferences};
pub use origin::{Hosts, is_loopback};
pub use public_url::{NotAnAddress, PublicUrl};
pub use sessions::SessionEnd;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use sessions::{Attempt, Scope, Sessions};

/// Decides over every request.
pub struct Gate {
    hosts: Hosts,
    sessions: Option<Sessions>,
    public: Option<PublicUrl>,
}

impl Gate {
    /// `password`: asked of everyone, where there is one.
    pub fn new(hosts: Hosts, password: Option<&str>) -> Gate {
        Gate { hosts, sessions: password.map(Sessions::new), public: None }
    }

    /// The same behind a proxy that shows the board at `public`.
    pub fn behind(self, public: PublicUrl) -> Gate {
        Gate { hosts: self.hosts.behind(public.clone()), public: Some(public), ..self }
    }

    /// Whether visitors are asked for a password.
    pub fn has_password(&self) -> bool {
        self.sessions.is_some()
    }

    /// The folder of its site that leads to the board: nothing where it is the whole site.
    pub fn base(&self) -> &str {
        self.public.as_ref().map_or("", PublicUrl::base)
    }

    /// Leads to a path of the board.
    fn lead_to(&self, path: &str) -> Redirect {
        Redirect::to(&format!("{}{path}", self.base()))
    }

    /// A try of the password like every other, for a single request.
    async fn admits_monitor(&self, headers: &HeaderMap, from: IpAddr) -> Option<SessionEnd> {
        let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let sessions = self.sessions.as_ref()?;
        let attempt = sessions.try_password(from, headers, self.scope(headers), token).await;
        (attempt == Attempt::Right).then(SessionEnd::default)
    }

    /// Where the cookies of an answer go. Without an address for the public a proxy's word is enough, and so is the
    /// page's own origin: whoever lies keeps nothing from anyone else.
    fn scope(&self, headers: &HeaderMap) -> Scope<'_> {
        let says = |name: &str, start: &[u8]| {
            headers.get(name).is_some_and(|value| value.as_bytes().to_ascii_lowercase().starts_with(start))
        };
        let is_public = self.public.as_ref().is_some_and(PublicUrl::is_secure);
        Scope {
            base: self.base(),
            is_secure: is_public || says("x-forwarded-proto", b"https") || says("origin", b"https:"),
            is_host_only: is_public && self.base().is_empty(),
        }
    }
}

/// What monitors fetch, which keep no cookies: they may send the password as a bearer token (RFC 6750, 2.1).
const METRICS: &str = "/metrics";

/// Paths that anyone may fetch: the login page with what it looks like, and the health check.
fn is_public(path: &str) -> bool {
    matches!(path, "/login" | "/healthz" | "/favicon.ico" | "/favicon.svg" | "/robots.txt")
        || path.strip_prefix("/pkg/").is_some_and(|file| file.ends_with(".css"))
        || path.starts_with("/fonts/")
}

/// The outermost check of the router. A request that is let in carries the [`SessionEnd`] of its session.
pub async fn guard(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Err(why) = gate.hosts.check(&request) {
        tracing::warn!("refused {} {}: {why}", request.method(), request.uri().path());
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let mut end = match &gate.sessions {
        Some(sessions) => sessions.admits(request.headers(), gate.scope(request.headers())),
        None => Some(SessionEnd::default()),
    };
    if end.is_none() && request.uri().path() == METRICS {
        end = gate.admits_monitor(request.headers(), from.ip()).await;
    }
    match end {
        Some(end) => drop(request.extensions_mut().insert(end)),
        None if is_public(request.uri().path()) => {}
        None => return ask_for_password(&gate, &request),
    }
    next.run(request).await
}

fn ask_for_password(gate: &Gate, request: &Request) -> Response {
    let wants_page = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if request.method() == Method::GET && wants_page {
        let next = encode(request.uri());
        return gate.lead_to(&format!("/login?next={next}")).into_response();
    }
    (StatusCode::UNAUTHORIZED, "log in first").into_response()
}

/// What a query parameter's value may not hold as it is: all but RFC 3986's unreserved characters, and slashes.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Path and query of `uri` as the value of a query parameter.
fn encode(uri: &Uri) -> String {
    utf8_percent_encode(uri.path_and_query().map_or("/", |path| path.as_str()), VALUE).to_string()
}
