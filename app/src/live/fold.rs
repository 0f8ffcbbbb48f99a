//! Folds a run's events, in order and each once, into what the page shows.

use std::sync::Arc;

use leptos::prelude::*;
use recipe::metrics::LOSS;
use recipe::{Eval, Event, EventBody, Pace, Phase, Point};
use wire::{Checkpoint, Frame, RunDetail, RunSummary};

use super::LogLine;
use crate::i18n::{Lang, lang};

/// Lines of log that a page keeps; the file has them all.
const LOG_LINES: usize = 1000;
/// Lines of a batch that are shown: more come in a moment than anyone reads, or a browser draws in it.
const LINES_OF_BATCH: usize = 100;

/// How large the training is; known once it has started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    pub trainable_params: Option<u64>,
    pub total_params: Option<u64>,
    pub num_examples: Option<u64>,
}

/// The state of a run's page. Each part is a signal of its own, so that a new point redraws the chart alone.
#[derive(Clone, Copy)]
pub struct Fold {
    pub summary: RwSignal<RunSummary>,
    pub points: RwSignal<Vec<Point>>,
    /// As of the newest point or the progress told since.
    pub pace: RwSignal<Option<Pace>>,
    pub evals: RwSignal<Vec<Eval>>,
    pub checkpoints: RwSignal<Vec<Checkpoint>>,
    pub log: RwSignal<Vec<Arc<LogLine>>>,
    pub phase: RwSignal<Option<(Phase, Option<String>)>>,
    pub sizes: RwSignal<Sizes>,
    /// Number of the newest event folded in; 0 until the first back-fill has replaced the decimated
    /// series that the page came with.
    seen: StoredValue<u64>,
    /// Log and checkpoints that the page came with are as of this event.
    page_seen: StoredValue<u64>,
    /// How many lines at the end of the log are a dead worker's, which are no events.
    log_tail: StoredValue<usize>,
    /// Lines of the log are in the page's language.
    lang: Lang,
    /// `save_total_limit`: so many checkpoints are kept.
    kept: Option<usize>,
}

impl Fold {
    pub fn new(detail: RunDetail) -> Fold {
        let RunDetail { trainable_params, total_params, num_examples, log_tail, .. } = detail;
        let lang = lang();
        let count = log_tail.len();
        let said = detail.log.iter().filter_map(|event| LogLine::of(event, lang));
        let log = said.chain(log_tail.into_iter().map(LogLine::printed)).map(Arc::new).collect();
        Fold {
            sizes: RwSignal::new(Sizes { trainable_params, total_params, num_examples }),
            summary: RwSignal::new(detail.summary),
            pace: RwSignal::new(detail.points.last().map(Pace::from)),
            points: RwSignal::new(detail.points),
            evals: RwSignal::new(detail.evals),
            checkpoints: RwSignal::new(detail.checkpoints),
            log: RwSignal::new(log),
            phase: RwSignal::new(None),
            seen: StoredValue::new(0),
            page_seen: StoredValue::new(detail.last_seq),
            log_tail: StoredValue::new(count),
            lang,
            kept: detail.save_total_limit,
        }
    }

    /// The event after which the socket shall go on.
    pub fn seen(&self) -> u64 {
        self.seen.get_value()
    }

    pub fn apply(&self, frame: Frame) {
        match frame {
            Frame::Backfill { events } => {
                if self.seen() == 0 && !events.is_empty() {
                    self.points.update_untracked(Vec::clear);
                    self.evals.update_untracked(Vec::clear);
                }
                self.fold(events);
            }
            Frame::Events { events } => self.fold(events),
            Frame::Run { run } => {
                if run.state.is_over() {
                    self.phase.set(None);
                }
                self.summary.set(self.up_to_date(*run));
            }
            Frame::LogTail { lines } => {
                let before = self.log_tail.get_value();
                self.log_tail.set_value(lines.len());
                self.log.update(|log| {
                    log.truncate(log.len().saturating_sub(before));
                    log.extend(lines.into_iter().map(LogLine::printed).map(Arc::new));
                });
            }
        }
    }

    /// The server's row may have been written before the last events that it sent.
    fn up_to_date(&self, mut run: RunSummary) -> RunSummary {
        if let Some(pace) = self.pace.get_untracked() {
            run.step = run.step.max(pace.step);
        }
        self.points.with_untracked(|points| {
            if let Some(last) = points.last().filter(|last| last.step >= run.step) {
                run.last_loss = last.metrics.get(LOSS).or(run.last_loss);
            }
        });
        run
    }

    /// Takes in a batch of events and lets those parts know that changed, once each.
    fn fold(&self, events: Vec<Event>) {
        let mut changed = Changed::default();
        for event in events {
            if event.seq <= self.seen() {
                continue;
            }
            self.seen.set_value(event.seq);
            self.take(event, &mut changed);
        }
        changed.pace.then(|| self.pace.notify());
        changed.metrics.then(|| self.points.notify());
        changed.evals.then(|| self.evals.notify());
        changed.checkpoints.then(|| self.checkpoints.notify());
        if !changed.lines.is_empty() {
            self.log_tail.set_value(0);
            self.log.update(|lines| push_lines(lines, changed.lines));
        }
        changed.phase.then(|| self.phase.notify());
        changed.summary.then(|| self.summary.notify());
    }

    fn set_pace(&self, pace: Pace, changed: &mut Changed) {
        self.summary.update_untracked(|run| run.step = pace.step);
        self.pace.update_untracked(|now| *now = Some(pace));
        changed.pace = true;
        changed.summary = true;
    }

    fn take(&self, event: Event, changed: &mut Changed) {
        let is_new = event.seq > self.page_seen.get_value();
        if let Some(line) = LogLine::of(&event, self.lang).filter(|_| is_new) {
            changed.lines.push(line);
        }
        match event.body {
            EventBody::Phase { phase, detail } => {
                self.phase.update_untracked(|now| *now = Some((phase, detail)));
                changed.phase = true;
            }
            EventBody::Start { start_step, total_steps, num_examples, trainable_params, total_params } => {
                self.sizes.set(Sizes {
                    trainable_params: Some(trainable_params),
                    total_params: Some(total_params),
                    num_examples: Some(num_examples),
                });
                // Later points of an earlier attempt are void: the run goes on from `start_step`.
                self.points.update_untracked(|points| points.retain(|point| point.step <= start_step));
                self.evals.update_untracked(|evals| evals.retain(|eval| eval.step <= start_step));
                if is_new {
                    self.checkpoints.update_untracked(|all| all.retain(|kept| kept.step <= start_step));
                }
                self.pace.set(None);
                self.summary.update_untracked(|run| {
                    run.step = start_step;
                    run.total_steps = total_steps;
                });
                changed.metrics = true;
                changed.evals = true;
                changed.checkpoints = true;
                changed.summary = true;
            }
            EventBody::Point(mut point) => {
                self.set_pace(Pace::from(&point), changed);
                self.summary.update_untracked(|run| {
                    run.last_loss = point.metrics.get(LOSS).or(run.last_loss);
                });
                self.points.update_untracked(|points| {
                    if let Some(last) = points.last() {
                        point.metrics.share_names(&last.metrics);
                    }
                    points.push(point);
                });
                changed.metrics = true;
            }
            EventBody::Progress(pace) => self.set_pace(pace, changed),
            EventBody::Eval(eval) => {
                self.evals.update_untracked(|evals| evals.push(eval));
                changed.evals = true;
            }
            EventBody::Checkpoint { step, path } if is_new => {
                self.checkpoints.update_untracked(|all| {
                    all.retain(|kept| kept.path != path);
                    all.push(Checkpoint { step, path });
                    // The worker has removed the oldest beyond the limit before it tells of a new one.
                    let over = self.kept.map_or(0, |kept| all.len().saturating_sub(kept.max(1)));
                    all.drain(..over);
                });
                changed.checkpoints = true;
            }
            EventBody::Checkpoint { .. } | EventBody::Log { .. } => {}
            EventBody::End { .. } => {
                self.phase.update_untracked(|now| *now = None);
                changed.phase = true;
            }
        }
    }
}

#[derive(Default)]
struct Changed {
    pace: bool,
    metrics: bool,
    evals: bool,
    checkpoints: bool,
    lines: Vec<LogLine>,
    phase: bool,
    summary: bool,
}

/// Adds the last lines of a batch, and of steps no more than can be looked at.
fn push_lines(lines: &mut Vec<Arc<LogLine>>, new: Vec<LogLine>) {
    let mut too_many = new.len().saturating_sub(LINES_OF_BATCH);
    let new = new.into_iter().filter(|line| {
        let is_left_out = too_many > 0 && line.is_step;
        too_many -= usize::from(is_left_out);
        !is_left_out
    });
    lines.extend(new.map(Arc::new));
    let over = lines.len().saturating_sub(LOG_LINES);
    lines.drain(..over);
}

#[cfg(test)]
mod tests {
    use super::*;
    use recipe::{LogLevel, Metrics, RunState};

    fn fold() -> (Owner, Fold) {
        fold_of(None)
    }

    fn fold_of(save_total_limit: Option<usize>) -> (Owner, Fold) {
        let owner = Owner::new();
        owner.set();
        let summary = RunSummary {
            id: "r".into(),
            name: "r".into(),
            state: RunState::Running,
            reason: None,
            model: String::new(),
            dataset: String::new(),
            stage: "sft".into(),
            method: "lora".into(),
            created: 0,
            started: None,
            worked: 0,
            working_since: None,
            step: 0,
            total_steps: 10,
            last_loss: None,
            sparkline: vec![],
        };
        let fold = Fold::new(RunDetail {
            summary,
            recipe: String::new(),
            save_total_limit,
            output_dir: String::new(),
            trainable_params: None,
            total_params: None,
            num_examples: None,
            points: vec![Point { step: 9, ..Point::default() }],
            evals: vec![],
            checkpoints: vec![],
            log: vec![log(1, "first")],
            log_tail: vec![],
            last_seq: 2,
        });
        (owner, fold)
    }

    fn point(seq: u64, step: u64) -> Event {
        let metrics = Metrics::from([("loss", step as f64), ("rewards/chosen", -0.5)]);
        Event { seq, time: 0, body: EventBody::Point(Point { step, metrics, ..Point::default() }) }
    }

    fn log(seq: u64, message: &str) -> Event {
        let body = EventBody::Log { level: LogLevel::Info, message: message.into() };
        Event { seq, time: 0, body }
    }

    fn start(seq: u64, start_step: u64) -> Event {
        let body = EventBody::Start {
            start_step,
            total_steps: 10,
            num_examples: 1,
            trainable_params: 1,
            total_params: 1,
        };
        Event { seq, time: 0, body }
    }

    fn steps(fold: &Fold) -> Vec<u64> {
        fold.points.with_untracked(|points| points.iter().map(|point| point.step).collect())
    }

    fn lines(fold: &Fold) -> Vec<String> {
        fold.log.with_untracked(|lines| lines.iter().map(|line| line.text.clone()).collect())
    }

    #[test]
    fn the_first_backfill_replaces_the_decimated_series() {
        let (_owner, fold) = fold();
        assert_eq!(steps(&fold), [9]);
        fold.apply(Frame::Backfill { events: vec![point(1, 1), point(2, 2)] });
        assert_eq!(steps(&fold), [1, 2]);
        fold.apply(Frame::Backfill { events: vec![point(3, 3)] });
        assert_eq!(steps(&fold), [1, 2, 3]);
    }

    #[test]
    fn whatever_is_measured_reaches_the_page() {
        let (_owner, fold) = fold();
        let metrics = Metrics::from([("eval_rewards/accuracies", 0.75), ("eval_runtime", 1.5)]);
        let eval = Eval { step: 2, dataset: None, epoch: 0.5, metrics };
        let body = EventBody::Eval(eval.clone());
        fold.apply(Frame::Backfill {
            events: vec![point(1, 1), point(2, 2), Event { seq: 3, time: 0, body }],
        });
        let rewards = fold.points.with_untracked(|points| {
            points.iter().filter_map(|point| point.metrics.get("rewards/chosen")).collect::<Vec<_>>()
        });
        assert_eq!((rewards, fold.evals.get_untracked()), (vec![-0.5, -0.5], vec![eval]));
        // What a resumed run measures again is void.
        fold.apply(Frame::Events { events: vec![start(4, 1)] });
        assert!(fold.evals.with_untracked(Vec::is_empty));
    }

    #[test]
    fn no_event_counts_twice() {
        let (_owner, fold) = fold();
        fold.apply(Frame::Backfill { events: vec![point(1, 1), point(2, 2)] });
        fold.apply(Frame::Events { events: vec![point(2, 2), point(3, 3)] });
        assert_eq!(steps(&fold), [1, 2, 3]);
        assert_eq!(fold.summary.with_untracked(|run| (run.step, run.last_loss)), (3, Some(3.0)));
    }

    #[test]
    fn progress_moves_the_step_and_adds_no_point() {
        let (_owner, fold) = fold();
        let pace = Pace { step: 4, remaining_s: 6.0, ..Pace::default() };
        let progress = Event { seq: 2, time: 0, body: EventBody::Progress(pace) };
        fold.apply(Frame::Backfill { events: vec![point(1, 1), progress] });
        assert_eq!(steps(&fold), [1]);
        assert_eq!(fold.summary.with_untracked(|run| (run.step, run.last_loss)), (4, Some(1.0)));
        assert_eq!(fold.pace.get_untracked(), Some(pace));
        fold.apply(Frame::Events { events: vec![start(3, 2)] });
        assert_eq!(fold.summary.with_untracked(|run| run.step), 2);
        let row = RunSummary { step: 2, ..fold.summary.get_untracked() };
        fold.apply(Frame::Run { run: Box::new(row) });
        assert_eq!(fold.summary.with_untracked(|run| run.step), 2);
    }

    #[test]
    fn a_resumed_run_drops_what_it_will_do_again() {
        let (_owner, fold) = fold();
        fold.apply(Frame::Backfill {
            events: vec![start(1, 0), point(2, 1), point(3, 2), point(4, 3), start(5, 1)],
        });
        assert_eq!(steps(&fold), [1]);
        fold.apply(Frame::Events { events: vec![point(6, 2)] });
        assert_eq!(steps(&fold), [1, 2]);
    }

    #[test]
    fn lines_that_the_page_came_with_are_not_repeated() {
        let (_owner, fold) = fold();
        fold.apply(Frame::Backfill { events: vec![log(1, "first"), log(3, "second")] });
        assert_eq!(lines(&fold), ["first", "second"]);
    }

    #[test]
    fn of_many_steps_in_a_moment_the_last_are_told() {
        let (_owner, fold) = fold();
        let steps = (3..1003).map(|seq| point(seq, seq));
        fold.apply(Frame::Backfill { events: steps.chain([log(1003, "second")]).collect() });
        let lines = lines(&fold);
        assert_eq!((lines.len(), lines[0].as_str(), lines[100].as_str()), (101, "first", "second"));
        assert!(lines[99].starts_with("Step 1\u{202f}002"), "{}", lines[99]);
    }

    #[test]
    fn checkpoints_are_those_that_are_there() {
        let (_owner, fold) = fold_of(Some(2));
        let checkpoint = |seq, step| {
            let body = EventBody::Checkpoint { step, path: format!("checkpoint-{step}") };
            Event { seq, time: 0, body }
        };
        let listed =
            || fold.checkpoints.with_untracked(|all| all.iter().map(|kept| kept.step).collect::<Vec<_>>());
        // The page came after these, with none: they are gone.
        fold.apply(Frame::Backfill { events: vec![checkpoint(1, 5), checkpoint(2, 10)] });
        assert!(listed().is_empty());
        fold.apply(Frame::Events { events: vec![checkpoint(3, 15), checkpoint(4, 20), checkpoint(5, 25)] });
        assert_eq!(listed(), [20, 25]);
        fold.apply(Frame::Events { events: vec![start(6, 20)] });
        assert_eq!(listed(), [20]);
    }

    #[test]
    fn log_tail_stand_once_at_the_end_of_the_log() {
        let (_owner, fold) = fold();
        let words = |text: &str| Frame::LogTail { lines: vec!["thread panicked".into(), text.into()] };
        fold.apply(words("out of luck"));
        fold.apply(words("out of luck"));
        assert_eq!(lines(&fold), ["first", "thread panicked", "out of luck"]);
        fold.apply(Frame::Events { events: vec![log(3, "resumed")] });
        fold.apply(words("again"));
        let after = ["first", "thread panicked", "out of luck", "resumed", "thread panicked", "again"];
        assert_eq!(lines(&fold), after);
    }

    #[test]
    fn time_between_a_stop_and_a_resume_does_not_count() {
        let (_owner, fold) = fold();
        let mut run = fold.summary.get_untracked();
        assert_eq!(run.time_at_work(50_000), None);
        run = RunSummary { started: Some(1_000), worked: 9_000, working_since: None, ..run };
        assert_eq!(run.time_at_work(50_000), Some(9.0));
        run.working_since = Some(48_000);
        assert_eq!(run.time_at_work(50_000), Some(11.0));
    }
}
