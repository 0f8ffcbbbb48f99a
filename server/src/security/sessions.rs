//! Sessions of those who gave the password, and a brake on guessing it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const COOKIE: &str = "chandler_session";
const LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);
/// Wrong passwords that one address may give within [`WINDOW`].
const ATTEMPTS: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Sessions and addresses remembered at the most; memory stays bounded whoever knocks.
const REMEMBERED: usize = 1_000;

type Digest256 = [u8; 32];

/// What became of an attempt to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Right,
    Wrong,
    /// Too many wrong ones from this address lately.
    Barred,
}

pub(super) struct Sessions {
    /// The password lives in memory only; its digest makes all guesses equally long to compare.
    password: Digest256,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Digests of tokens: who reads them cannot log in with them.
    open: HashMap<Digest256, Instant>,
    failures: HashMap<IpAddr, (u32, Instant)>,
}

impl Sessions {
    pub fn new(password: &str) -> Sessions {
        Sessions { password: digest(password), state: Mutex::default() }
    }

    pub fn try_password(&self, from: IpAddr, password: &str) -> Attempt {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures.retain(|_, (_, since)| since.elapsed() < WINDOW);
        if state.failures.get(&from).is_some_and(|(count, _)| *count >= ATTEMPTS) {
            return Attempt::Barred;
        }
        if digest(password).ct_eq(&self.password).into() {
            state.failures.remove(&from);
            return Attempt::Right;
        }
        if state.failures.len() >= REMEMBERED && !state.failures.contains_key(&from) {
            return Attempt::Barred;
        }
        state.failures.entry(from).or_insert((0, Instant::now())).0 += 1;
        Attempt::Wrong
    }

    /// Opens a session; answers with the cookie that carries it.
    pub fn open(&self) -> Result<HeaderValue, getrandom::Error> {
        let token = random_word(32)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open.retain(|_, since| since.elapsed() < LIFETIME);
        if state.open.len() >= REMEMBERED {
            let oldest = state.open.iter().min_by_key(|(_, since)| **since).map(|(token, _)| *token);
            oldest.map(|token| state.open.remove(&token));
        }
        state.open.insert(digest(&token), Instant::now());
        Ok(cookie(&token, LIFETIME))
    }

    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        tokens(headers)
            .any(|token| state.open.get(&digest(token)).is_some_and(|since| since.elapsed() < LIFETIME))
    }

    /// Ends the session of a request; answers with the cookie that forgets it.
    pub fn close(&self, headers: &HeaderMap) -> HeaderValue {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for token in tokens(headers) {
            state.open.remove(&digest(token));
        }
        cookie("", Duration::ZERO)
    }
}

fn digest(text: &str) -> Digest256 {
    Sha256::digest(text.as_bytes()).into()
}

fn cookie(token: &str, lifetime: Duration) -> HeaderValue {
    let text = format!("{COOKIE}={token}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict", lifetime.as_secs());
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// `length` random characters, 5 bits each, without look-alikes.
pub fn random_word(length: usize) -> Result<String, getrandom::Error> {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn with_cookie(cookie: &str) -> HeaderMap {
        let pair = cookie.split(';').next().unwrap();
        HeaderMap::from_iter([(header::COOKIE, format!("lang=en; {pair}").parse().unwrap())])
    }

    #[test]
    fn a_session_lives_until_it_is_closed() {
        let sessions = Sessions::new("secret");
        assert_eq!(sessions.try_password(HOME, "secret"), Attempt::Right);
        let cookie = sessions.open().unwrap();
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
        let headers = with_cookie(cookie);
        assert!(sessions.admits(&headers));
        assert!(!sessions.admits(&HeaderMap::new()));
        assert!(!sessions.admits(&with_cookie("chandler_session=guess")));
        sessions.close(&headers);
        assert!(!sessions.admits(&headers));
    }

    #[test]
    fn guessing_is_cut_short_for_the_guesser_alone() {
        let sessions = Sessions::new("secret");
        for _ in 0..ATTEMPTS {
            assert_eq!(sessions.try_password(HOME, "guess"), Attempt::Wrong);
        }
        assert_eq!(sessions.try_password(HOME, "secret"), Attempt::Barred);
        let elsewhere = "10.0.0.1".parse().unwrap();
        assert_eq!(sessions.try_password(elsewhere, "secret"), Attempt::Right);
    }
}
