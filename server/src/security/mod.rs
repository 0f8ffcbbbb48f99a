//! Who may ask: the address that a request was sent to, the page it comes from, and the password.
//!
//! A board on loopback needs no password, but any page open in the same browser could still reach it.
//! Requests to a foreign `Host` (DNS rebinding) and requests from another site's page (CSRF, websockets,
//! scripts that read) are refused with 403, with a password or without. Links to the board may be followed.

mod headers;
mod login;
mod origin;
pub mod paths;
mod sessions;

pub use headers::{page_policy, set_headers};
pub use login::{login, login_page, logout};
pub use origin::{Hosts, is_loopback};
pub use sessions::random_word;

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};

use sessions::Sessions;

/// Decides over every request.
pub struct Gate {
    hosts: Hosts,
    sessions: Option<Sessions>,
}

impl Gate {
    /// `password`: asked of everyone, where there is one.
    pub fn new(hosts: Hosts, password: Option<&str>) -> Gate {
        Gate { hosts, sessions: password.map(Sessions::new) }
    }
}

/// Paths that anyone may fetch: the login page with what it looks like, and the health check.
fn is_public(path: &str) -> bool {
    matches!(path, "/login" | "/healthz" | "/favicon.ico" | "/favicon.svg" | "/robots.txt")
        || path.strip_prefix("/pkg/").is_some_and(|file| file.ends_with(".css"))
        || path.starts_with("/fonts/")
}

/// The outermost check of the router.
pub async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    if let Err(why) = gate.hosts.check(&request) {
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    match &gate.sessions {
        Some(sessions) if !is_public(request.uri().path()) && !sessions.admits(request.headers()) => {
            ask_for_password(&request)
        }
        _ => next.run(request).await,
    }
}

fn ask_for_password(request: &Request) -> Response {
    let wants_page = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if request.method() == Method::GET && wants_page {
        let next = encode(request.uri());
        return Redirect::to(&format!("/login?next={next}")).into_response();
    }
    (StatusCode::UNAUTHORIZED, "log in first").into_response()
}

/// Path and query of `uri` as the value of a query parameter.
fn encode(uri: &Uri) -> String {
    use std::fmt::Write;
    let mut encoded = String::new();
    for byte in uri.path_and_query().map_or("/", |path| path.as_str()).bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                encoded.push(byte.into())
            }
            other => {
                let _ = write!(encoded, "%{other:02X}");
            }
        }
    }
    encoded
}
