//! The training loop.

mod report;
mod step;

use std::path::PathBuf;
use std::sync::Arc;

use recipe::{EventBody, Outcome, Phase, Recipe, Strategy, memory};

use super::Summary;
use super::checkpoint::State;
use super::evaluate::Evaluation;
use super::pace::Stopwatch;
use super::plan::{Plan, Step};
use super::records::TrainerLog;
use super::resume::{self, Start};
use super::tensorboard::TensorBoard;
use crate::Result;
use crate::autograd::{Param, ParamGradients};
use crate::device;
use crate::method::Loaded;
use crate::model::Sums;
use crate::observer::Observer;
use crate::optim::{Group, Optimizer, Schedule};
use crate::stage::{self, Kind};
use crate::text::{self, Example, Prepared};
use crate::world::World;

/// A run in progress.
pub(crate) struct Trainer<'a> {
    recipe: &'a Recipe,
    world: &'a dyn World,
    stage: Kind,
    loaded: Loaded,
    data: Prepared,
    trainable: Vec<Arc<Param>>,
    /// The trainable parameters as the optimiser moves them.
    groups: Vec<Group>,
    plan: Plan,
    schedule: Schedule,
    optimizer: Optimizer,
    grads: ParamGradients,
    /// Whether an update has reached everything that trains.
    has_learnt: bool,
    state: State,
    /// Epochs done after the last step of this attempt.
    epoch: Option<f64>,
    output: PathBuf,
    /// Kept by the process that writes.
    log: Option<TrainerLog>,
    board: Option<TensorBoard>,
    stopwatch: Stopwatch,
    /// Activations that may be kept, in bytes, before blocks are run again instead.
    activation_budget: usize,
}

/// What one optimiser step trains on.
struct Work {
    /// Batches, in portions whose losses are averaged each by itself; one, save where a stream begins again.
    portions: Vec<Vec<Vec<Example>>>,
    /// Epochs done after this step.
    epoch: f64,
    /// Whether it is its epoch's last.
    ends_epoch: bool,
}

/// What one optimiser step did.
struct StepResult {
    /// No number where the step was skipped.
    loss: f64,
    /// What the stage measured beside the loss.
    measured: Sums,
    grad_norm: f64,
    rate: f64,
}

impl<'a> Trainer<'a> {
    pub(crate) fn new(
        recipe: &'a Recipe,
        world: &'a dyn World,
        loaded: Loaded,
        data: Prepared,
        optimizer: Optimizer,
        start: Option<Start>,
    ) -> Result<Self> {
        let plan = Plan::new(recipe, data.train.len(), world.size(), || {
            data.train.iter().map(|example| Ok(example?.real_len())).collect()
        })?;
        let schedule = Schedule::new(recipe, plan.total_steps)?;
        let (examples, digest) = (data.train.len(), data.train.digest()?);
        let state = match start {
            Some(Start { state, .. }) => {
                state.check_unchanged(recipe.seed, examples, digest.as_deref())?;
                state
            }
            None => State { seed: recipe.seed, examples, ..State::default() },
        };
        let output = PathBuf::from(&recipe.output_dir);
        let trainable = loaded.trainable();
        let writes = world.writes();
        let curves = TensorBoard::folder(recipe.logging_dir.as_deref(), &output);
        let free = device::available_memory(loaded.decoder.device());
        Ok(Trainer {
            groups: optimizer.groups(&trainable, recipe.weight_decay, recipe.loraplus_lr_ratio),
            trainable,
            log: writes.then(|| TrainerLog::open(&output, state.step)).transpose()?,
            board: (writes && recipe.reports_to_tensorboard())
                .then(|| TensorBoard::open(&curves, state.step))
                .transpose()?,
            stopwatch: Stopwatch::start(&state),
            activation_budget: memory::activation_budget(free as u64) as usize,
            grads: ParamGradients::default(),
            epoch: None,
            stage: stage::of(recipe)?,
            recipe,
            world,
            loaded,
            data,
            plan,
            schedule,
            optimizer,
            has_learnt: state.step > 0,
            state: State {
                total_steps: 0,
                data: digest,
                batch: recipe.auto_find_batch_size.then_some(recipe.per_device_train_batch_size),
                ..state
            },
            output,
        })
    }

    /// Trains to the end, or until the observer stops it.
    pub(crate) fn run(mut self, observer: &mut Observer) -> Result<Summary> {
        let total = self.plan.total_steps;
        self.state.total_steps = total;
        self.announce(observer);
        if self.recipe.converts_adapter() && self.state.step == 0 && self.world.writes() {
            self.loaded.save_initial(&self.output)?;
        }
        let mut last_save = None;
        let mut last_eval = None;
        let starts = self.recipe.eval_on_start && self.state.step == 0;
        let mut at_start = if starts { self.measure(observer)? } else { None };
        let mut is_stuck = self.evaluate_what_was_broken_off(observer)?;
        if self.state.owes_evaluation {
            return Ok(self.summary(Outcome::Stopped, Vec::new()));
        }
        while self.state.step < total && !is_stuck {
            let work = self.work()?;
            if let verbosity @ 1.. = self.recipe.badam_verbose
                && let Some(message) = self.optimizer.announcement(verbosity > 1)
            {
                observer.info(message);
            }
            let result = self.step(&work, observer)?;
            if self.state.step == 0 && self.world.writes() {
                // Now that training works: what an earlier run left is not to be gone on with.
                resume::clear(&self.output)?;
            }
            if let Some(evaluations) = at_start.take() {
                self.tell(0.0, &evaluations, observer)?;
            }
            self.count(&work, &result);
            for message in self.data.train.remarks() {
                observer.warn(message);
            }
            let done = self.state.step;
            if self.logs(done) {
                self.report(work.epoch, &result, observer)?;
            } else if done == total || self.stopwatch.is_due() {
                observer.event(EventBody::Progress(self.stopwatch.tell(&self.state, total)));
            }
            let ends_epoch = work.ends_epoch || done == total;
            let saves = due(done, self.recipe.save_strategy, self.recipe.save_interval(total), ends_epoch);
            if due(done, self.recipe.eval_strategy, self.recipe.eval_interval(total), ends_epoch)
                && !self.recipe.delays_evaluation(done, work.epoch)
                && let Some(evaluations) = self.evaluate_and_follow(work.epoch, saves, observer)?
            {
                is_stuck = self.is_stuck(&evaluations);
                last_eval = Some((done, evaluations));
            }
            let stopping = self.world.any(observer.stops())? && done < total;
            if saves || stopping {
                self.save(observer, stopping)?;
                last_save = Some(done);
            }
            if stopping {
                return Ok(self.summary(Outcome::Stopped, Vec::new()));
            }
        }
        let done = self.state.step;
        if is_stuck && done < total {
            let count = self.state.patience.since;
            observer
                .info(format!("Training ends after step {done}: {count} evaluations without a better one."));
        }
        // transformers writes a last checkpoint whenever checkpoints are written at all.
        if self.recipe.save_strategy != Strategy::No
            && last_save != Some(done)
            && done > self.stopwatch.first()
        {
            self.save(observer, false)?;
        }
        if self.restore_best(observer)? {
            last_eval = None;
        }
        self.finish(last_eval, observer)
    }

    /// Evaluates, and lets what depends on it follow: the best checkpoint, if one is about to be written, and the
    /// learning rate. One that the observer breaks off is owed.
    fn evaluate_and_follow(
        &mut self,
        epoch: f64,
        saves: bool,
        observer: &mut Observer,
    ) -> Result<Option<Vec<Evaluation>>> {
        let found = self.evaluate(epoch, observer)?;
        self.state.owes_evaluation = found.is_none() && !self.data.eval.is_empty();
        if let Some(evaluations) = &found {
            if saves {
                self.compare(evaluations);
            }
            self.follow(evaluations, observer)?;
        }
        Ok(found)
    }

    /// Evaluates after the step that a run goes on from, where the attempt before was stopped in the middle of that, as if
    /// it had never been; answers whether training ends there.
    fn evaluate_what_was_broken_off(&mut self, observer: &mut Observer) -> Result<bool> {
        if !self.state.owes_evaluation {
            return Ok(false);
        }
        let (done, total) = (self.state.step, self.plan.total_steps);
        let Step { epoch, ends_epoch, .. } = self.plan.step(done.saturating_sub(1));
        let saves = due(done, self.recipe.save_strategy, self.recipe.save_interval(total), ends_epoch);
        let found = self.evaluate_and_follow(epoch, saves, observer)?;
        Ok(found.is_some_and(|evaluations| self.is_stuck(&evaluations)))
    }

    /// Takes a step that was made into account.
    fn count(&mut self, work: &Work, result: &StepResult) {
        self.state.step += 1;
        self.epoch = Some(work.epoch);
        if !result.loss.is_finite() {
            self.state.skipped += 1;
            self.state.unlogged_skips += 1;
            return;
        }
        self.state.loss_sum += result.loss;
        self.state.unlogged_loss += result.loss;
        for (name, value) in &result.measured {
            *self.state.unlogged_metrics.entry(name.clone()).or_default() += value;
        }
        self.state.unlogged_steps += 1;
    }

    fn announce(&self, observer: &mut Observer) {
        let count = |params: &[Arc<Param>]| params.iter().map(|param| param.len() as u64).sum::<u64>();
        let trainable = count(&self.trainable);
        let all = self.loaded.decoder.elements();
        let message = format!(
            "trainable params: {trainable} || all params: {all} || trainable%: {:.4}",
            trainable as f64 / all.max(1) as f64 * 100.0
        );
        observer.info(message);
        observer.event(EventBody::Start {
            start_step: self.state.step,
            total_steps: self.plan.total_steps,
            num_examples: self.data.train.len() as u64,
            trainable_params: trainable,
            total_params: all,
        });
        observer.phase(Phase::Training, None);
    }

    /// What the next step trains on.
    fn work(&self) -> Result<Work> {
        if let Some(step) = self.data.train.step(self.state.step)? {
            // transformers takes a stream's epoch to be as long as the run.
            let batches = self.recipe.batches_per_step() * self.world.size();
            let run = self.plan.total_steps as f64 * batches as f64;
            let epoch = step.epoch as f64 + step.batches as f64 / run.max(1.0);
            return Ok(Work { portions: step.portions, epoch, ends_epoch: step.ends_epoch });
        }
        let Step { batches, epoch, ends_epoch } = self.plan.step(self.state.step);
        let examples = |batch: &Vec<usize>| batch.iter().map(|place| self.data.train.get(*place)).collect();
        let portion = batches.iter().map(examples).collect::<Result<_, text::Error>>()?;
        Ok(Work { portions: vec![portion], epoch, ends_epoch })
    }

    /// Epochs done by now.
    fn epoch(&self) -> f64 {
        self.epoch.unwrap_or_else(|| self.plan.step(self.state.step.saturating_sub(1)).epoch)
    }

    fn logs(&self, done: u64) -> bool {
        done.is_multiple_of(self.recipe.logging_interval(self.plan.total_steps))
            || (done == 1 && self.recipe.logging_first_step)
    }
}

/// Whether something happens after step `done`.
fn due(done: u64, strategy: Strategy, interval: Option<u64>, ends_epoch: bool) -> bool {
    match strategy {
        Strategy::No => false,
        Strategy::Steps => interval.is_some_and(|interval| done.is_multiple_of(interval)),
        Strategy::Epoch => ends_epoch,
    }
}
