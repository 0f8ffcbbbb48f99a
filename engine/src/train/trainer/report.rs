//! What a run says of itself and leaves behind: log lines, evaluations, checkpoints, results.

use recipe::metrics::{GRAD_NORM, LEARNING_RATE, LOSS, SKIPPED};
use recipe::{EventBody, Metrics, Outcome, Pace, Phase, Point};
use serde_json::{Map, Value, json};

use super::{StepResult, Trainer};
use crate::observer::Observer;
use crate::train::checkpoint::{self, Best, Patience, State};
use crate::train::evaluate::{Evaluating, Evaluation, evaluate};
use crate::train::records::{eval_metrics, history_point, write_results};
use crate::train::{Summary, digests, plot};
use crate::weights::write_json;
use crate::{Error, Result};

impl Trainer<'_> {
    /// A point of the step just done, with what was measured.
    fn point(&self, epoch: f64, metrics: Metrics) -> Point {
        let Pace { step, tokens, tokens_per_second, elapsed_s, remaining_s } =
            self.stopwatch.pace(&self.state, self.plan.total_steps);
        Point { step, epoch, metrics, tokens, tokens_per_second, elapsed_s, remaining_s }
    }

    /// A point of a step that came to no number, which is where the curve ends.
    pub(super) fn point_without_number(&self, step: u64) -> Point {
        Point { step, ..self.point(self.epoch(), Metrics::from([(LOSS, f64::NAN)])) }
    }

    pub(super) fn report(&mut self, epoch: f64, result: &StepResult, observer: &mut Observer) -> Result<()> {
        let steps = self.state.unlogged_steps as f64;
        // No number, if all of the steps were skipped.
        let loss = self.state.unlogged_loss / steps;
        (self.state.unlogged_loss, self.state.unlogged_steps) = (0.0, 0);
        let mut metrics =
            Metrics::from([(LOSS, loss), (GRAD_NORM, result.grad_norm), (LEARNING_RATE, result.rate)]);
        if std::mem::take(&mut self.state.unlogged_skips) > 0 {
            metrics.set(SKIPPED, self.state.skipped as f64);
        }
        let sums = std::mem::take(&mut self.state.unlogged_metrics);
        let means = sums.into_iter().map(|(name, sum)| (name, sum / steps)).collect();
        metrics.extend(self.stage.reported(means));
        let point = self.point(epoch, metrics);
        if let Some(log) = &self.log {
            log.point(&point, self.plan.total_steps)?;
        }
        self.record(history_point(&point))?;
        observer.event(EventBody::Point(point));
        Ok(())
    }

    /// Adds an entry to `log_history`.
    fn record(&mut self, entry: Map<String, Value>) -> Result<()> {
        if let Some(board) = &mut self.board {
            board.log(self.state.step, &entry)?;
        }
        self.state.history.push(Value::Object(entry));
        Ok(())
    }

    /// Evaluates, and says what came out. Nothing without data for it, or if the observer breaks it off.
    pub(super) fn evaluate(
        &mut self,
        epoch: f64,
        observer: &mut Observer,
    ) -> Result<Option<Vec<Evaluation>>> {
        let measured = self.measure(observer)?;
        if let Some(evaluations) = &measured {
            self.tell(epoch, evaluations, observer)?;
        }
        Ok(measured)
    }

    /// The same, for others to say.
    pub(super) fn measure(&self, observer: &mut Observer) -> Result<Option<Vec<Evaluation>>> {
        let mut evaluations = Vec::with_capacity(self.data.eval.len());
        let how = Evaluating::of(self.recipe);
        for set in &self.data.eval {
            observer.phase(Phase::Evaluating, set.name.clone());
            match evaluate(self.stage.given()?, &self.loaded, set, how, self.world, observer) {
                Err(Error::Stopped) => return Ok(None),
                evaluation => evaluations.push(evaluation?),
            }
        }
        if evaluations.is_empty() {
            return Ok(None);
        }
        observer.phase(Phase::Training, None);
        Ok(Some(evaluations))
    }

    /// Logs evaluations after the step just done.
    pub(super) fn tell(
        &mut self,
        epoch: f64,
        evaluations: &[Evaluation],
        observer: &mut Observer,
    ) -> Result<()> {
        for evaluation in evaluations {
            let point = self.point(epoch, Metrics::default());
            if let Some(log) = &self.log {
                log.eval(&point, self.plan.total_steps, evaluation)?;
            }
            let mut entry = eval_metrics(evaluation);
            entry.insert("epoch".into(), json!(epoch));
            entry.insert("step".into(), json!(self.state.step));
            self.record(entry)?;
            observer.event(evaluation.event(self.state.step, epoch));
        }
        Ok(())
    }

    /// Notes whether the checkpoint that is about to be written is the best so far.
    pub(super) fn compare(&mut self, evaluations: &[Evaluation]) {
        if !self.recipe.load_best_model_at_end {
            return;
        }
        let Some(metric) = self.deciding(evaluations) else { return };
        if self.is_better(metric, self.state.best.map(|best| best.metric)) {
            self.state.best = Some(Best { metric, step: self.state.step });
        }
    }

    /// Whether so many evaluations have passed without a better one that training ends, as transformers'
    /// `EarlyStoppingCallback` counts them.
    pub(super) fn is_stuck(&mut self, evaluations: &[Evaluation]) -> bool {
        let (Some(limit), Some(metric)) = (self.recipe.early_stopping_steps, self.deciding(evaluations))
        else {
            return false;
        };
        self.state.patience = match self.state.patience {
            Patience { best, .. } if self.is_better(metric, best) => {
                Patience { best: Some(metric), since: 0 }
            }
            Patience { best, since } => Patience { best, since: since + 1 },
        };
        self.state.patience.since >= limit
    }

    /// Lets a learning rate that follows evaluations do so.
    pub(super) fn follow(&mut self, evaluations: &[Evaluation], observer: &mut Observer) -> Result<()> {
        let Some(measured) = self.schedule.measured() else { return Ok(()) };
        let Some(metric) = self.deciding(evaluations) else {
            let (name, _) = self.recipe.best_metric();
            return Err(Error::Training(format!(
                "the learning rate follows {name}, which no evaluation gives"
            )));
        };
        let peak = self.schedule.peak();
        let is_told = measured.rise.is_none_or(|rise| rise.verbose);
        if self.state.watched.take(measured, peak, metric) && is_told {
            let rate = self.state.watched.rate(peak);
            observer.info(format!("After step {} the learning rate is {rate:e}.", self.state.step));
        }
        Ok(())
    }

    /// The metric that tells a better model.
    fn deciding(&self, evaluations: &[Evaluation]) -> Option<f64> {
        let (name, _) = self.recipe.best_metric();
        evaluations.iter().find_map(|evaluation| eval_metrics(evaluation).remove(&name)?.as_f64())
    }

    fn is_better(&self, metric: f64, than: Option<f64>) -> bool {
        let (_, greater) = self.recipe.best_metric();
        than.is_none_or(|old| if greater { metric > old } else { metric < old })
    }

    /// Puts the best checkpoint's weights back, if those are others than the last ones; says whether they are.
    pub(super) fn restore_best(&self, observer: &mut Observer) -> Result<bool> {
        let Some(best) = self.state.best.filter(|best| best.step != self.state.step) else {
            return Ok(false);
        };
        let folder = self.output.join(format!("checkpoint-{}", best.step));
        // Whoever writes checkpoints has written them.
        self.world.meet()?;
        if !folder.exists() {
            let message = format!("{} was the best but is gone: the last weights stay.", folder.display());
            observer.warn(message);
            return Ok(false);
        }
        if let Err(error) = digests::check(&folder, []) {
            let message = format!("The best checkpoint cannot be used, the last weights stay: {error}");
            observer.warn(message);
            return Ok(false);
        }
        self.loaded.restore(&folder)?;
        let (metric, _) = self.recipe.best_metric();
        let message =
            format!("The best weights are those of {} ({metric} {:.4}).", folder.display(), best.metric);
        observer.info(message);
        Ok(true)
    }

    /// Writes a checkpoint; one that a stop asks for is always one to go on from.
    pub(super) fn save(&mut self, observer: &mut Observer, stopping: bool) -> Result<()> {
        if !self.world.writes() {
            return Ok(());
        }
        observer.phase(Phase::Saving, Some(format!("checkpoint-{}", self.state.step)));
        let elapsed_s = self.stopwatch.pace(&self.state, self.plan.total_steps).elapsed_s;
        let state = State { elapsed_s, ..self.state.clone() };
        let options = (self.recipe.save_total_limit, self.recipe.save_only_model && !stopping);
        let trainer_state = self.trainer_state();
        let path =
            checkpoint::save(&self.output, &self.loaded, &self.optimizer, &state, &trainer_state, options)?;
        observer.event(EventBody::Checkpoint { step: self.state.step, path });
        observer.phase(Phase::Training, None);
        Ok(())
    }

    /// `trainer_state.json` as transformers writes it.
    fn trainer_state(&self) -> Value {
        let (per_epoch, best) = (self.plan.steps_per_epoch(), self.state.best);
        let epoch = self.state.history.last().and_then(|entry| entry.get("epoch").cloned());
        let mut state = json!({
            "best_global_step": best.map(|best| best.step),
            "best_metric": best.map(|best| best.metric),
            "best_model_checkpoint": best.map(|best| self.output.join(format!("checkpoint-{}", best.step))),
            "epoch": epoch.unwrap_or(json!(self.state.step as f64 / per_epoch as f64)),
            "eval_steps": self.recipe.eval_interval(self.plan.total_steps).unwrap_or(500),
            "global_step": self.state.step,
            "is_hyper_param_search": false,
            "is_local_process_zero": true,
            "is_world_process_zero": true,
            "log_history": self.state.history,
            "logging_steps": self.recipe.logging_interval(self.plan.total_steps),
            "max_steps": self.plan.total_steps,
            "num_input_tokens_seen": self.state.tokens,
            "num_train_epochs": self.plan.total_steps.div_ceil(per_epoch),
            "save_steps": self.recipe.save_interval(self.plan.total_steps).unwrap_or(500),
            "stateful_callbacks": {},
            "total_flos": 0.0,
            "train_batch_size": self.recipe.per_device_train_batch_size,
            "trial_name": null,
            "trial_params": null,
        });
        state.sort_all_objects();
        state
    }

    /// The model, the results, the last evaluation.
    pub(super) fn finish(
        mut self,
        last_eval: Option<(u64, Vec<Evaluation>)>,
        observer: &mut Observer,
    ) -> Result<Summary> {
        let (done, total) = (self.state.step, self.plan.total_steps);
        observer.phase(Phase::Saving, None);
        if self.world.writes() {
            self.loaded.save(&self.output, false)?;
            if self.recipe.converts_adapter() {
                self.loaded.save_converted(&self.output)?;
            }
        }
        let epoch = self.epoch();
        let point = self.point(epoch, Metrics::default());
        if let Some(log) = &self.log {
            log.end(&point, total)?;
        }
        let train = self.train_metrics(&point);
        let mut entry = train.clone();
        entry.insert("step".into(), json!(done));
        self.record(entry)?;
        if self.world.writes() {
            write_results(&self.output, "train", &train)?;
        }
        let evaluations = match last_eval {
            _ if self.data.eval.is_empty() || !self.recipe.evaluates() => Vec::new(),
            Some((step, evaluations)) if step == done => evaluations,
            _ => self.evaluate(epoch, observer)?.unwrap_or_default(),
        };
        if self.world.writes() {
            self.write_evaluations(epoch, &evaluations)?;
            write_json(&self.output.join("trainer_state.json"), &self.trainer_state())?;
        }
        Ok(self.summary(Outcome::Finished, evaluations))
    }

    fn write_evaluations(&self, epoch: f64, evaluations: &[Evaluation]) -> Result<()> {
        if !evaluations.is_empty() {
            let mut metrics: Map<String, Value> = evaluations.iter().flat_map(eval_metrics).collect();
            metrics.insert("epoch".into(), json!(epoch));
            write_results(&self.output, "eval", &metrics)?;
        }
        if self.recipe.plot_loss {
            plot::write(&self.output, &self.state.history)?;
        }
        Ok(())
    }

    fn train_metrics(&self, point: &Point) -> Map<String, Value> {
        let mut metrics = Map::new();
        let examples = self.plan.total_steps as f64 * self.recipe.examples_per_step() as f64;
        let seconds = point.elapsed_s.max(1e-9);
        metrics.insert("epoch".into(), json!(point.epoch));
        metrics.insert("num_input_tokens_seen".into(), json!(self.state.tokens));
        metrics.insert("total_flos".into(), json!(0.0));
        metrics.insert("train_loss".into(), json!(self.mean_loss()));
        metrics.insert("train_runtime".into(), json!(point.elapsed_s));
        metrics.insert("train_tokens_per_second".into(), json!(self.state.tokens as f64 / seconds));
        metrics.insert("train_samples_per_second".into(), json!(examples / seconds));
        metrics.insert("train_steps_per_second".into(), json!(self.plan.total_steps as f64 / seconds));
        metrics
    }

    fn mean_loss(&self) -> f64 {
        self.state.loss_sum / (self.state.step - self.state.skipped).max(1) as f64
    }

    pub(super) fn summary(&self, outcome: Outcome, evaluations: Vec<Evaluation>) -> Summary {
        Summary {
            outcome,
            steps: self.state.step,
            total_steps: self.plan.total_steps,
            train_loss: self.mean_loss(),
            evaluations,
            output_dir: self.output.clone(),
        }
    }
}
