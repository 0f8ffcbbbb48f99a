//! Workers that stand still: noticed, told of, and ended when they are to end and do not.
//!
//! A long step is no standstill: it uses the processor, or waits for a disk.

use std::time::{Duration, Instant};

use recipe::RunState;

use crate::{
    process_id::{Activity, ProcessId},
    store::{Ending, RunRow},
};

/// A stopped process is told of after so long.
const STOPPED: Duration = Duration::from_secs(3);
/// One that does nothing, after so long; it may wait for a download.
const IDLE: Duration = Duration::from_secs(120);
/// One that is to end and stands still is ended after so long.
const LAST: Duration = Duration::from_secs(10);

/// What is to be done about a worker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Nothing,
    /// Say of the run that it stands still, or no more.
    Remark(Option<String>),
    /// Let the process go on: only then can it end.
    Resume,
    /// End it.
    Kill,
}

/// What was seen of one worker so far.
pub(super) struct Stillness {
    ticks: u64,
    /// Since when it has neither used the processor nor waited for a disk.
    idle_since: Instant,
    stopped_since: Option<Instant>,
    ending_since: Option<Instant>,
    is_remarked: bool,
}

impl Stillness {
    pub(super) fn new(now: Instant) -> Stillness {
        Stillness { ticks: 0, idle_since: now, stopped_since: None, ending_since: None, is_remarked: false }
    }

    /// Looks at a worker, again and again.
    pub(super) fn look(&mut self, run: &RunRow, worker: &ProcessId, seen: Activity, now: Instant) -> Measure {
        if seen.ticks != self.ticks || seen.is_busy {
            (self.ticks, self.idle_since) = (seen.ticks, now);
        }
        self.stopped_since = seen.is_stopped.then(|| self.stopped_since.unwrap_or(now));
        let idle = now.duration_since(self.idle_since);
        let stopped = self.stopped_since.map(|since| now.duration_since(since));
        let is_to_end = run.state == RunState::Stopping && run.ending != Some(Ending::Cancel);
        if !is_to_end {
            self.ending_since = None;
            return self.remark(worker, idle, stopped);
        }
        let ending = now.duration_since(*self.ending_since.get_or_insert(now));
        match stopped {
            _ if ending >= LAST && idle >= LAST => Measure::Kill,
            Some(_) => Measure::Resume,
            None => Measure::Nothing,
        }
    }

    fn remark(&mut self, worker: &ProcessId, idle: Duration, stopped: Option<Duration>) -> Measure {
        let pid = worker.pid();
        let remark = match stopped {
            Some(stopped) if stopped >= STOPPED => Some(format!(
                "stands still: its process was stopped from outside; `kill -CONT {pid}` lets it go on, Stop ends it"
            )),
            None if idle >= IDLE => Some(format!(
                "stands still: process {pid} has done nothing for {} minutes; it waits for the network or hangs",
                idle.as_secs() / 60
            )),
            _ => None,
        };
        let is_news = remark.is_some() != self.is_remarked;
        self.is_remarked = remark.is_some();
        if is_news { Measure::Remark(remark) } else { Measure::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::{Place, new_run};

    const STANDS: Activity = Activity { is_stopped: false, is_busy: false, ticks: 5 };

    async fn rows() -> (RunRow, RunRow) {
        let place = Place::new();
        let store = place.store().await;
        let running = store.insert_run(&new_run("r")).await.unwrap();
        let running = RunRow { state: RunState::Running, ..running };
        let stopping = RunRow { state: RunState::Stopping, ending: Some(Ending::Stop), ..running.clone() };
        (running, stopping)
    }

    #[tokio::test]
    async fn a_worker_that_hangs_is_ended_and_a_busy_one_is_not() {
        let (running, stopping) = rows().await;
        let (worker, begun) = (ProcessId::current().unwrap(), Instant::now());
        let after = |seconds: u64| begun + Duration::from_secs(seconds);
        let mut hangs = Stillness::new(begun);
        assert_eq!(hangs.look(&running, &worker, STANDS, after(1)), Measure::Nothing);
        assert!(matches!(hangs.look(&running, &worker, STANDS, after(125)), Measure::Remark(Some(_))));
        assert_eq!(hangs.look(&running, &worker, STANDS, after(126)), Measure::Nothing);
        assert_eq!(hangs.look(&stopping, &worker, STANDS, after(127)), Measure::Nothing);
        assert_eq!(hangs.look(&stopping, &worker, STANDS, after(138)), Measure::Kill);

        let mut stopped = Stillness::new(begun);
        let seen = Activity { is_stopped: true, ..STANDS };
        assert_eq!(stopped.look(&stopping, &worker, seen, after(1)), Measure::Resume);
        assert_eq!(stopped.look(&stopping, &worker, seen, after(12)), Measure::Kill);

        // A step that takes a minute, and a checkpoint that takes one to reach the disk.
        let mut busy = Stillness::new(begun);
        for second in 1..60 {
            let counts = Activity { ticks: second, ..STANDS };
            assert_eq!(busy.look(&stopping, &worker, counts, after(second)), Measure::Nothing);
        }
        for second in 60..120 {
            let waits = Activity { is_busy: true, ..STANDS };
            assert_eq!(busy.look(&stopping, &worker, waits, after(second)), Measure::Nothing);
        }
    }
}
