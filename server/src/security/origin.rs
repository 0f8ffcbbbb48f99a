//! `Host` and `Origin` checks.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{Method, header, uri::Authority},
};

use super::PublicUrl;

/// Addresses that the board answers to.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// Names, in lower case, without port.
    names: Vec<String>,
    /// Whether any numeric address is right: no name can be rebound to it.
    any_address: bool,
    /// Where a proxy shows the board: pages of this origin are ours, whatever `Host` the proxy sends.
    public: Option<PublicUrl>,
}

impl Hosts {
    /// The loopback names, the address the board listens on, and `more` (host names the user allows,
    /// for a board behind a proxy).
    pub fn new(listen: &str, more: &[String]) -> Hosts {
        let mut names = vec!["localhost".to_owned()];
        names.extend(more.iter().chain([&listen.to_owned()]).map(|name| bare(name).to_ascii_lowercase()));
        Hosts { names, any_address: !is_loopback(listen), public: None }
    }

    /// The same behind a proxy, where browsers know the board by `public`.
    pub(super) fn behind(mut self, public: PublicUrl) -> Hosts {
        self.names.push(bare(public.authority().host()).to_ascii_lowercase());
        self.public = Some(public);
        self
    }

    /// Why the request is refused, if it is: what was received, and what to set where it should not be.
    pub(super) fn check(&self, request: &Request) -> Result<(), String> {
        let asked_for = received(request, header::HOST.as_str());
        let host = host(request).filter(|host| self.allows(host)).ok_or_else(|| {
            format!(
                "This board does not answer to this host name (Host: {asked_for}). If it should, start it with \
                 --allow-host NAME (CHANDLER_ALLOW_HOST); behind a proxy, with --public-url https://NAME \
                 (CHANDLER_PUBLIC_URL)."
            )
        })?;
        if self.is_from_here(request, &host) {
            return Ok(());
        }
        let origin = received(request, header::ORIGIN.as_str());
        Err(format!(
            "This request comes from another site's page and is refused (Host: {asked_for}, Origin: {origin}). If that \
             is this board's own page, as it looks through a proxy, start the board with the address that browsers open, \
             --public-url https://NAME:PORT/FOLDER (CHANDLER_PUBLIC_URL)."
        ))
    }

    fn allows(&self, host: &Authority) -> bool {
        let name = bare(host.host());
        match name.parse::<IpAddr>() {
            Ok(address) => {
                self.any_address || address.is_loopback() || self.names.iter().any(|known| known == name)
            }
            Err(_) => self.names.contains(&name.to_ascii_lowercase()),
        }
    }

    /// Whether a request comes from a page of ours, or from no page at all. Browsers name the page's origin with
    /// whatever a page may read or change; without one, `Sec-Fetch-Site` says where the request comes from. A link on
    /// another site may lead here: that is a navigation, and whoever follows it sees our page. What is not a browser
    /// has no one else's cookies or network to misuse.
    fn is_from_here(&self, request: &Request, host: &Authority) -> bool {
        let headers = request.headers();
        let says = |name: &str, allowed: &[&[u8]]| {
            headers.get(name).is_some_and(|value| allowed.contains(&value.as_bytes()))
        };
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (Some(origin), None) => origin.to_str().is_ok_and(|origin| self.is_ours(origin, host)),
            (Some(_), Some(_)) => false,
            (None, _) => {
                let follows_link = *request.method() == Method::GET && says("sec-fetch-mode", &[b"navigate"]);
                !headers.contains_key("sec-fetch-site")
                    || says("sec-fetch-site", &[b"same-origin", b"none"])
                    || follows_link
            }
        }
    }

    /// Of a request for `host`: the same name and port, or those that the proxy is known by.
    fn is_ours(&self, origin: &str, host: &Authority) -> bool {
        let is_public = |public: &PublicUrl| {
            origin_of(origin).is_some_and(|(scheme, authority, port)| {
                (scheme == "https") == public.is_secure()
                    && authority.host().eq_ignore_ascii_case(public.authority().host())
                    && port == public.authority().port_u16().unwrap_or(public.default_port())
            })
        };
        is_origin_of(origin, host) || self.public.as_ref().is_some_and(is_public)
    }
}

/// Whether an address to listen on can be reached from this machine only.
pub fn is_loopback(listen: &str) -> bool {
    let name = bare(listen);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host)
}

/// The one host that a request is for. A second `Host` header, or a userinfo part, is an attempt to
/// confuse.
fn host(request: &Request) -> Option<Authority> {
    let mut values = request.headers().get_all(header::HOST).iter();
    let authority: Authority = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok()?.parse().ok()?,
        (None, None) => request.uri().authority()?.clone(),
        _ => return None,
    };
    let plain = authority.as_str() == authority.host() || authority.port_u16().is_some();
    (plain && !authority.as_str().contains('@')).then_some(authority)
}

fn is_origin_of(origin: &str, host: &Authority) -> bool {
    origin_of(origin).is_some_and(|(scheme, authority, port)| {
        let default_port = if scheme == "https" { 443 } else { 80 };
        authority.host().eq_ignore_ascii_case(host.host()) && port == host.port_u16().unwrap_or(default_port)
    })
}

/// Scheme, name and port that an `Origin` header says.
fn origin_of(origin: &str) -> Option<(&str, Authority, u16)> {
    let (scheme, rest) = origin.split_once("://")?;
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority: Authority = rest.parse().ok()?;
    let port = authority.port_u16().unwrap_or(default_port);
    (!rest.contains(['@', '/', '?', '#'])).then_some((scheme, authority, port))
}

/// A header's value for a message: as it came, if not at any length.
fn received(request: &Request, name: &str) -> String {
    const SHOWN: usize = 200;
    let values: Vec<_> = request.headers().get_all(name).iter().map(|value| value.as_bytes()).collect();
    if values.is_empty() {
        return "none".to_owned();
    }
    let text = String::from_utf8_lossy(&values.join(&b", "[..])).escape_debug().to_string();
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(method: &str, host: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = axum::http::Request::builder().method(method).uri("/").header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn only_our_own_names_are_answered_to() {
        let hosts = Hosts::new("127.0.0.1", &["board.example".to_owned()]);
        let allowed =
            ["localhost", "LOCALHOST:7860", "127.0.0.1:1", "[::1]:7860", "127.8.9.1", "board.example:443"];
        let refused = [
            "evil.com",
            "localhost.evil.com",
            "127.0.0.1.nip.io",
            "127.0.0.1.",
            "localhost.",
            "user@localhost",
            "evil.com:7860",
            "192.168.1.5:7860",
            "0.0.0.0:7860",
            "[::]:7860",
            "2130706433",
            "",
            "localhost:port",
            "::1",
            "board.example.evil.com",
            "xboard.example",
        ];
        for host in allowed {
            assert_eq!(hosts.check(&request("GET", host, &[])), Ok(()), "{host}");
        }
        for host in refused {
            assert!(hosts.check(&request("GET", host, &[])).is_err(), "{host}");
        }
        let twice = request("GET", "localhost", &[("host", "evil.com")]);
        assert!(hosts.check(&twice).is_err());
    }

    #[test]
    fn a_board_on_the_network_answers_to_addresses_but_not_to_names() {
        let hosts = Hosts::new("0.0.0.0", &[]);
        assert_eq!(hosts.check(&request("GET", "192.168.1.5:7860", &[])), Ok(()));
        assert!(hosts.check(&request("GET", "evil.com:7860", &[])).is_err());
    }

    #[test]
    fn other_sites_pages_are_refused() {
        let hosts = Hosts::new("127.0.0.1", &[]);
        let cases: &[(&[(&str, &str)], bool)] = &[
            (&[], true),
            (&[("origin", "http://localhost:7860")], true),
            (&[("origin", "http://LocalHost:7860")], true),
            (&[("origin", "http://localhost")], false),
            (&[("origin", "http://localhost:7861")], false),
            (&[("origin", "http://127.0.0.1:7860")], false),
            (&[("origin", "http://evil.com")], false),
            (&[("origin", "http://localhost:7860.evil.com")], false),
            (&[("origin", "http://localhost:7860@evil.com")], false),
            (&[("origin", "http://evil.com@localhost:7860")], false),
            (&[("origin", "file://")], false),
            (&[("origin", "null")], false),
            (&[("origin", "")], false),
            (&[("origin", "http://localhost:7860"), ("origin", "http://evil.com")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "same-origin")], true),
        ];
        for (headers, allowed) in cases {
            for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"] {
                let verdict = hosts.check(&request(method, "localhost:7860", headers));
                assert_eq!(verdict.is_ok(), *allowed, "{method} {headers:?}");
            }
            let mut upgrade = headers.to_vec();
            upgrade.push(("upgrade", "websocket"));
            let verdict = hosts.check(&request("GET", "localhost:7860", &upgrade));
            assert_eq!(verdict.is_ok(), *allowed, "websocket {headers:?}");
        }
        let follow = |method| {
            let headers = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
            hosts.check(&request(method, "localhost:7860", &headers))
        };
        assert_eq!(follow("GET"), Ok(()), "a link on another site leads here");
        assert!(follow("POST").is_err());
    }

    #[test]
    fn default_ports_are_the_same_as_none() {
        let hosts = Hosts::new("127.0.0.1", &["board.example".to_owned()]);
        let post = |origin| request("POST", "board.example", &[("origin", origin)]);
        assert_eq!(hosts.check(&post("https://board.example")), Ok(()));
        assert_eq!(hosts.check(&post("https://board.example:443")), Ok(()));
        assert!(hosts.check(&post("https://board.example:8443")).is_err());
    }

    #[test]
    fn pages_of_a_proxy_are_ours_whatever_host_it_sends() {
        let public = "https://board.example:8443/chandler".parse().unwrap();
        let hosts = Hosts::new("127.0.0.1", &[]).behind(public);
        let post = |host, origin| hosts.check(&request("POST", host, &[("origin", origin)]));
        for host in ["board.example:8443", "board.example", "127.0.0.1:7860", "localhost:7860"] {
            assert_eq!(post(host, "https://board.example:8443"), Ok(()), "{host}");
            for foreign in
                ["https://board.example:8444", "https://evil.com", "https://x.board.example:8443", "null"]
            {
                assert!(post(host, foreign).is_err(), "{host} {foreign}");
            }
        }
        assert!(post("evil.com", "https://board.example:8443").is_err());
    }

    #[test]
    fn a_refusal_says_what_came_and_what_to_set() {
        let hosts = Hosts::new("127.0.0.1", &["board.example".to_owned()]);
        let foreign = [("origin", "https://board.example:8443")];
        let why = hosts.check(&request("POST", "board.example", &foreign)).unwrap_err();
        for part in ["Host: board.example,", "Origin: https://board.example:8443", "--public-url"] {
            assert!(why.contains(part), "{part} is not in {why}");
        }
        let why = hosts.check(&request("GET", "upstream", &[])).unwrap_err();
        assert!(why.contains("Host: upstream") && why.contains("--allow-host"), "{why}");
    }
}
