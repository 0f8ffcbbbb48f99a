//! Whoever watches a job: it is told what happens, and may ask the job to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use recipe::{EventBody, LogLevel, Phase};

/// The one line from a job to the outside and back. A worker appends the events to its run's file, a terminal draws a
/// progress bar.
pub struct Observer<'a> {
    take: Box<dyn FnMut(EventBody) + Send + 'a>,
    stop: Arc<AtomicBool>,
}

impl<'a> Observer<'a> {
    /// Hands events to `take`; the job is to stop as soon as `stop` is set.
    pub fn new(take: impl FnMut(EventBody) + Send + 'a, stop: Arc<AtomicBool>) -> Observer<'a> {
        Observer { take: Box::new(take), stop }
    }

    /// One that nobody listens to.
    pub fn deaf() -> Observer<'static> {
        Observer::new(|_| {}, Arc::default())
    }

    /// Tells of an event.
    pub fn event(&mut self, event: EventBody) {
        (self.take)(event);
    }

    /// Says what the job is busy with from now on.
    pub fn phase(&mut self, phase: Phase, detail: Option<String>) {
        self.event(EventBody::Phase { phase, detail });
    }

    /// A line for the log.
    pub fn info(&mut self, message: impl Into<String>) {
        self.event(EventBody::Log { level: LogLevel::Info, message: message.into() });
    }

    /// A line for the log that its reader should heed.
    pub fn warn(&mut self, message: impl Into<String>) {
        self.event(EventBody::Log { level: LogLevel::Warning, message: message.into() });
    }

    /// Whether the job is to stop.
    pub fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The wish itself, for what works on in threads of its own.
    pub fn stop(&self) -> &Arc<AtomicBool> {
        &self.stop
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// What a job logs while `work` runs, a line each, and what comes of it.
    pub(crate) fn logged<T>(work: impl FnOnce(&mut Observer) -> T) -> (Vec<String>, T) {
        let lines = Mutex::new(Vec::new());
        let take = |event| {
            if let EventBody::Log { message, .. } = event {
                lines.lock().unwrap().push(message);
            }
        };
        let result = work(&mut Observer::new(take, Arc::default()));
        (lines.into_inner().unwrap(), result)
    }

    #[test]
    fn a_wish_to_stop_is_seen_and_lines_are_told() {
        let stop = Arc::new(AtomicBool::new(false));
        let mut seen = Vec::new();
        let mut observer = Observer::new(|event| seen.push(event), stop.clone());
        assert!(!observer.stops());
        stop.store(true, Ordering::Relaxed);
        assert!(observer.stops());
        observer.warn("careful");
        observer.phase(Phase::Saving, None);
        drop(observer);
        let warning = EventBody::Log { level: LogLevel::Warning, message: "careful".into() };
        assert_eq!(seen, [warning, EventBody::Phase { phase: Phase::Saving, detail: None }]);
    }
}
