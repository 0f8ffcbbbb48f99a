//! Sessions of those who gave the password.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use super::brake::{Brake, Who};
use crate::random;

const SESSION: &str = "chandler_session";
/// Tells a browser that was let in before; see [`Brake`].
const KNOWN: &str = "chandler_known";
const LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);
/// Sessions, and browsers known, at the most; the oldest goes.
const REMEMBERED: usize = 1_000;

type Digest256 = [u8; 32];

/// What became of an attempt to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Right,
    Wrong,
    /// Others have tried too often.
    Barred,
}

/// Where cookies are sent to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    /// The board's folder on its site; nothing where it is the whole site.
    pub base: &'a str,
    /// Over TLS only.
    pub is_secure: bool,
    /// TLS is all there is: a cookie's name says that no other site of the domain has set it (RFC 6265bis, 4.1.3.2).
    pub is_host_only: bool,
}

impl Scope<'_> {
    fn name(self, name: &str) -> String {
        if self.is_host_only { format!("__Host-{name}") } else { name.to_owned() }
    }

    fn cookie(self, name: &str, token: &str, lifetime: Duration) -> HeaderValue {
        let (name, seconds) = (self.name(name), lifetime.as_secs());
        let path = if self.base.is_empty() { "/" } else { self.base };
        let secure = if self.is_secure { "; Secure" } else { "" };
        let text =
            format!("{name}={token}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    fn tokens(self, headers: &HeaderMap, name: &str) -> impl Iterator<Item = Digest256> {
        let name = self.name(name);
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(wire::cookies)
            .filter(move |(key, _)| *key == name)
            .map(|(_, token)| digest(token))
    }
}

pub(super) struct Sessions {
    /// The password lives in memory only; its digest makes all guesses equally long to compare.
    password: Digest256,
    brake: Brake,
    state: Mutex<State>,
}

/// Digests of tokens: who reads them cannot log in with them.
#[derive(Default)]
struct State {
    open: HashMap<Digest256, Session>,
    known: HashMap<Digest256, Instant>,
}

struct Session {
    since: Instant,
    /// Dropped with the session: whoever watches it learns of its end.
    _ended: watch::Sender<()>,
    watched: watch::Receiver<()>,
}

/// Tells what a session has open that the session is over.
#[derive(Clone, Default)]
pub struct SessionEnd(Option<watch::Receiver<()>>);

impl SessionEnd {
    /// Returns when it is; never on a board without a password.
    pub async fn wait(mut self) {
        match &mut self.0 {
            Some(session) => while session.changed().await.is_ok() {},
            None => std::future::pending().await,
        }
    }
}

impl Sessions {
    pub(super) fn new(password: &str) -> Sessions {
        Sessions { password: digest(password), brake: Brake::default(), state: Mutex::default() }
    }

    /// Tries a password that comes from an address, with these headers. Waits while others have tried too often.
    pub(super) async fn try_password(
        &self,
        from: IpAddr,
        headers: &HeaderMap,
        scope: Scope<'_>,
        password: &str,
    ) -> Attempt {
        let known = {
            let state = self.lock();
            scope.tokens(headers, KNOWN).find(|token| state.known.contains_key(token))
        };
        let who = known.map_or(Who::at(from), Who::Known);
        if !self.brake.take(who).await {
            return Attempt::Barred;
        }
        if digest(password).ct_eq(&self.password).into() {
            self.brake.release(who);
            return Attempt::Right;
        }
        Attempt::Wrong
    }

    /// Opens a session; answers with the cookies that carry it and that make the browser known.
    pub(super) fn open(&self, scope: Scope<'_>) -> Result<[HeaderValue; 2], getrandom::Error> {
        let (session, known) = (random::word(32)?, random::word(32)?);
        let mut state = self.lock();
        state.open.retain(|_, session| session.since.elapsed() < LIFETIME);
        make_room(&mut state.open, |session| session.since);
        state.known.retain(|_, since| since.elapsed() < LIFETIME);
        make_room(&mut state.known, |since| *since);
        let (ended, watched) = watch::channel(());
        state.open.insert(digest(&session), Session { since: Instant::now(), _ended: ended, watched });
        state.known.insert(digest(&known), Instant::now());
        Ok([scope.cookie(SESSION, &session, LIFETIME), scope.cookie(KNOWN, &known, LIFETIME)])
    }

    /// The end of the session that a request belongs to, if it belongs to one.
    pub(super) fn admits(&self, headers: &HeaderMap, scope: Scope<'_>) -> Option<SessionEnd> {
        let state = self.lock();
        let mut tokens = scope.tokens(headers, SESSION);
        tokens.find_map(|token| {
            let session = state.open.get(&token).filter(|session| session.since.elapsed() < LIFETIME)?;
            Some(SessionEnd(Some(session.watched.clone())))
        })
    }

    /// Ends the session of a request, and what it has open; answers with the cookie that forgets it.
    pub(super) fn close(&self, headers: &HeaderMap, scope: Scope<'_>) -> HeaderValue {
        let mut state = self.lock();
        for token in scope.tokens(headers, SESSION) {
            state.open.remove(&token);
        }
        scope.cookie(SESSION, "", Duration::ZERO)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room<T>(remembered: &mut HashMap<Digest256, T>, since: impl Fn(&T) -> Instant) {
    if remembered.len() >= REMEMBERED {
        let oldest = remembered.iter().min_by_key(|(_, one)| since(one)).map(|(token, _)| *token);
        oldest.map(|token| remembered.remove(&token));
    }
}

fn digest(text: &str) -> Digest256 {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const PLAIN: Scope = Scope { base: "", is_secure: false, is_host_only: false };

    /// As a browser sends cookies back.
    fn with(cookies: &[HeaderValue]) -> HeaderMap {
        let pairs = cookies.iter().map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
        let text = ["lang=en"].into_iter().chain(pairs).collect::<Vec<_>>().join("; ");
        HeaderMap::from_iter([(header::COOKIE, text.parse().unwrap())])
    }

    async fn attempt(sessions: &Sessions, headers: &HeaderMap, password: &str) -> Attempt {
        sessions.try_password(HOME, headers, PLAIN, password).await
    }

    #[tokio::test]
    async fn a_session_lives_until_it_is_closed() {
        let sessions = Sessions::new("secret");
        let nothing = HeaderMap::new();
        assert_eq!(attempt(&sessions, &nothing, "guess").await, Attempt::Wrong);
        assert_eq!(attempt(&sessions, &nothing, "secret").await, Attempt::Right);
        let headers = with(&sessions.open(PLAIN).unwrap());
        let other = with(&sessions.open(PLAIN).unwrap());
        let end = sessions.admits(&headers, PLAIN).unwrap();
        let goes_on = sessions.admits(&other, PLAIN).unwrap();
        assert!(sessions.admits(&nothing, PLAIN).is_none());
        let guess = HeaderValue::from_static("chandler_session=guess");
        assert!(sessions.admits(&with(&[guess]), PLAIN).is_none());
        sessions.close(&headers, PLAIN);
        assert!(sessions.admits(&headers, PLAIN).is_none());
        let soon = Duration::from_secs(5);
        assert!(tokio::time::timeout(soon, end.wait()).await.is_ok(), "what it had open is told");
        let moment = Duration::from_millis(20);
        assert!(tokio::time::timeout(moment, goes_on.wait()).await.is_err(), "another one goes on");
    }

    #[tokio::test]
    async fn other_peoples_guesses_are_not_held_against_a_browser_that_was_let_in() {
        let sessions = Sessions::new("secret");
        let headers = with(&sessions.open(PLAIN).unwrap());
        sessions.close(&headers, PLAIN);
        while tokio::time::timeout(Duration::from_millis(20), attempt(&sessions, &HeaderMap::new(), "guess"))
            .await
            .is_ok()
        {}
        let mine = tokio::time::timeout(Duration::from_secs(2), attempt(&sessions, &headers, "secret"));
        assert_eq!(mine.await, Ok(Attempt::Right));
    }

    #[test]
    fn cookies_keep_to_where_the_board_is() {
        let text = |scope: Scope<'_>| scope.cookie(SESSION, "x", LIFETIME).to_str().unwrap().to_owned();
        let plain = text(PLAIN);
        assert!(plain.starts_with("chandler_session=x; Path=/;"), "{plain}");
        assert!(plain.contains("HttpOnly") && plain.contains("SameSite=Strict") && !plain.contains("Secure"));
        let whole = Scope { base: "", is_secure: true, is_host_only: true };
        let strict = text(whole);
        assert!(strict.starts_with("__Host-chandler_session=x; Path=/;"), "{strict}");
        assert!(strict.ends_with("; Secure"), "{strict}");
        let folder = text(Scope { base: "/chandler", is_secure: true, is_host_only: false });
        assert!(folder.starts_with("chandler_session=x; Path=/chandler;"), "{folder}");
        // What another site of the domain could have set is none of ours.
        let foreign = HeaderMap::from_iter([(header::COOKIE, "chandler_session=x".parse().unwrap())]);
        assert_eq!(whole.tokens(&foreign, SESSION).count(), 0);
        assert_eq!(PLAIN.tokens(&foreign, SESSION).count(), 1);
    }
}
