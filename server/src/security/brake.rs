//! A brake on guessing the password that keeps nobody out who knows it.
//!
//! Whoever asks has a bucket of tries: [`ATTEMPTS`] at once, and one more each [`EVERY`], about ten a minute. Where it
//! is empty, a try is not refused but waits for the next: a few wait together, and which of them gets it is left to
//! chance. So whoever guesses without a pause, from the owner's address or through the same proxy, makes the owner wait
//! for seconds, and no more. The right password fills the bucket again; it costs no tries.
//!
//! A flood could still push the owner out of those who wait. A browser that was let in before is therefore known by a
//! token of its own and has a bucket of its own, where no one else's tries count ("device cookies", OWASP). A token is
//! as hard to guess as a session, and no more than a bucket comes with it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// Tries that may follow each other at once.
const ATTEMPTS: u32 = 10;
/// The time in which another comes.
const EVERY: Duration = Duration::from_secs(6);
/// Tries that wait in one bucket. One more takes the place of the first: whoever comes last is waited for by someone.
const WAITING: u64 = 3;
/// Buckets at the most; memory stays bounded whoever knocks. Further addresses share one.
const REMEMBERED: usize = 1_000;

/// Whose bucket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// A browser that was let in before, by the digest of its token.
    Known([u8; 32]),
    Address(IpAddr),
    /// Everyone else, where too many addresses ask at once.
    Others,
}

impl Who {
    /// One IPv6 host has a network of 2⁶⁴ addresses (RFC 4291, 2.5.4).
    pub(super) fn at(address: IpAddr) -> Who {
        Who::Address(match address {
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() => {
                let network = u128::from(v6) >> 64 << 64;
                IpAddr::V6(network.into())
            }
            other => other.to_canonical(),
        })
    }
}

pub(super) struct Brake {
    every: Duration,
    buckets: Mutex<HashMap<Who, Bucket>>,
}

struct Bucket {
    /// When it will be full again (the generic cell rate algorithm's theoretical arrival time).
    full_at: Instant,
    /// Number of the try that came last to wait.
    newest: watch::Sender<u64>,
}

impl Default for Brake {
    fn default() -> Brake {
        Brake { every: EVERY, buckets: Mutex::default() }
    }
}

impl Brake {
    /// Takes a try, waiting for one if need be; `false` where others wait already and came later.
    pub(super) async fn take(&self, who: Who) -> bool {
        if self.try_now(who).is_ok() {
            return true;
        }
        let mut line = self.with(who, |bucket, _| {
            bucket.newest.send_modify(|newest| *newest += 1);
            bucket.newest.subscribe()
        });
        let mine = *line.borrow_and_update();
        while let Err(next) = self.try_now(who) {
            tokio::select! {
                () = tokio::time::sleep_until(next + self.every.mul_f64(jitter())) => {}
                _ = line.wait_for(|newest| *newest >= mine + WAITING) => return false,
            }
        }
        true
    }

    /// Whoever knows the password guesses no more.
    pub(super) fn release(&self, who: Who) {
        self.with(who, |bucket, now| bucket.full_at = now);
    }

    /// Takes a try, or says when the next one comes.
    fn try_now(&self, who: Who) -> Result<(), Instant> {
        self.with(who, |bucket, now| {
            let full_at = bucket.full_at.max(now);
            let next = full_at.checked_sub(self.every * (ATTEMPTS - 1)).unwrap_or(now);
            if next > now {
                return Err(next);
            }
            bucket.full_at = full_at + self.every;
            Ok(())
        })
    }

    fn with<T>(&self, who: Who, work: impl FnOnce(&mut Bucket, Instant) -> T) -> T {
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.retain(|_, bucket| bucket.full_at > now || bucket.newest.receiver_count() > 0);
        let is_new = matches!(who, Who::Address(_)) && !buckets.contains_key(&who);
        let who = if is_new && buckets.len() >= REMEMBERED { Who::Others } else { who };
        let new = || Bucket { full_at: now, newest: watch::Sender::new(0) };
        work(buckets.entry(who).or_insert_with(new), now)
    }
}

/// Up to a twentieth, by chance: who waits for the same try wakes at another time.
fn jitter() -> f64 {
    let mut byte = [0];
    // Without randomness those who wait come in the order of their timers.
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 256.0 / 20.0
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Arc};

    use super::*;

    const HOME: Who = Who::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));

    fn quick() -> Arc<Brake> {
        Arc::new(Brake { every: Duration::from_millis(50), ..Brake::default() })
    }

    #[tokio::test]
    async fn guesses_are_counted_and_the_last_to_come_wait_for_their_turn() {
        let brake = quick();
        let begin = Instant::now();
        let guesses: Vec<_> = (0..200)
            .map(|_| {
                let brake = brake.clone();
                tokio::spawn(async move { brake.take(HOME).await })
            })
            .collect();
        let mut tried = 0;
        for guess in guesses {
            tried += u64::from(guess.await.unwrap());
        }
        // On a slow machine a try or two came while the others were being made.
        let came = begin.elapsed().as_millis() as u64 / 50;
        let most = u64::from(ATTEMPTS) + WAITING.max(came);
        assert!((u64::from(ATTEMPTS) + WAITING..=most).contains(&tried), "{tried} of 200, at most {most}");
    }

    #[tokio::test]
    async fn who_guesses_without_a_pause_keeps_nobody_out() {
        let brake = quick();
        let guesser = tokio::spawn({
            let brake = brake.clone();
            async move {
                loop {
                    brake.take(HOME).await;
                }
            }
        });
        while brake.try_now(HOME).is_ok() {}
        for _ in 0..3 {
            // Who is unlucky three times in a row has lost the place to those who came later, and asks again.
            let mine = async { while !brake.take(HOME).await {} };
            assert_eq!(tokio::time::timeout(Duration::from_secs(5), mine).await, Ok(()));
        }
        let known = Who::Known([1; 32]);
        assert!(brake.try_now(known).is_ok(), "a browser that was let in before does not wait at all");
        guesser.abort();
    }

    #[tokio::test]
    async fn the_right_password_costs_no_tries() {
        let brake = Brake::default();
        for _ in 0..5 * ATTEMPTS {
            assert!(brake.try_now(HOME).is_ok());
            brake.release(HOME);
        }
        for _ in 0..ATTEMPTS {
            assert!(brake.try_now(HOME).is_ok());
        }
        assert!(brake.try_now(HOME).is_err());
        let elsewhere = Who::at("10.0.0.1".parse().unwrap());
        assert!(brake.try_now(elsewhere).is_ok());
    }

    #[test]
    fn one_host_has_one_bucket() {
        let at = |address: &str| Who::at(address.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:10.0.0.1"), at("10.0.0.1"));
    }

    #[tokio::test]
    async fn many_addresses_take_no_more_memory_and_no_more_tries() {
        let brake = Brake::default();
        let tries = (0..2_000u32).filter(|n| brake.try_now(Who::at(Ipv4Addr::from_bits(*n).into())).is_ok());
        assert_eq!(tries.count(), REMEMBERED + ATTEMPTS as usize);
        assert_eq!(brake.buckets.lock().unwrap().len(), REMEMBERED + 1);
    }
}
