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
mod tests;
