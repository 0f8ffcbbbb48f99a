//! Where browsers find a board that stands behind a proxy.

use std::{fmt, str::FromStr};

use axum::http::{Uri, uri::Authority};

/// `https://name:8443/folder`: the proxy's scheme, name and port, and the folder of its site that leads to the board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    is_secure: bool,
    authority: Authority,
    base: String,
}

/// A text is no address of a board.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no address of a board: give it as https://NAME, https://NAME:PORT or https://NAME/FOLDER")]
pub struct NotAnAddress(String);

impl FromStr for PublicUrl {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<PublicUrl, NotAnAddress> {
        read(text).ok_or_else(|| NotAnAddress(text.to_owned()))
    }
}

fn read(text: &str) -> Option<PublicUrl> {
    let uri: Uri = text.parse().ok()?;
    let is_secure = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let authority = uri.authority()?.clone();
    let plain = authority.as_str() == authority.host() || authority.port_u16().is_some();
    let base = uri.path().trim_end_matches('/');
    // It goes into cookies, links and patterns of routes: what means something there is no part of a name.
    let is_name = |part: &str| {
        !part.bytes().all(|byte| byte == b'.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    let fits =
        plain && uri.query().is_none() && !text.contains(['@', '#']) && base.split('/').skip(1).all(is_name);
    fits.then(|| PublicUrl { is_secure, authority, base: base.to_owned() })
}

impl PublicUrl {
    /// Whether browsers reach it over TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(super) fn default_port(&self) -> u16 {
        if self.is_secure { 443 } else { 80 }
    }

    /// `/folder`, or nothing for a board that is the whole site.
    pub fn base(&self) -> &str {
        &self.base
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_name_and_may_have_a_port_and_a_folder() {
        for (text, base) in [
            ("https://board.example", ""),
            ("http://board.example:8080/", ""),
            ("https://board.example:8443/chandler", "/chandler"),
            ("https://[::1]:8443/tools/chandler-2/", "/tools/chandler-2"),
        ] {
            let url: PublicUrl = text.parse().unwrap();
            assert_eq!((url.base(), url.to_string().as_str()), (base, text.trim_end_matches('/')));
        }
        for wrong in [
            "",
            "board.example",
            "board.example/x",
            "ftp://board.example",
            "https://",
            "https://me@board.example",
            "https://board.example:port",
            "https://board.example/a?b",
            "https://board.example/a#b",
            "https://board.example/a//b",
            "https://board.example/../b",
            "https://board.example/{a}",
            "https://board.example/a;b",
            "https://board.example/%41",
        ] {
            let error = wrong.parse::<PublicUrl>().unwrap_err().to_string();
            assert!(error.contains("https://NAME"), "{wrong}");
        }
    }
}
