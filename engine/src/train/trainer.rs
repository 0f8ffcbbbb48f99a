//! The training loop.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use recipe::{EventBody, LogLevel, Outcome, Phase, Point, Recipe, Stage, Strategy};
use serde_json::{Map, Value, json};

use super::checkpoint::{self, State};
use super::evaluate::{Evaluation, evaluate};
use super::plan::{Plan, Step};
use super::records::{TrainerLog, eval_metrics, history_point, write_results};
use super::resume::Start;
use super::setup::Loaded;
use super::{Sink, TrainSummary, plot};
use crate::autograd::{GradientGuard, Param, ParamGradients, Tape};
use crate::device;
use crate::kernel::attention::Span;
use crate::model::{Batch, Pass};
use crate::ops::Balance;
use crate::ops::head::Label;
use crate::optim::{AdamW, AdamWSettings, Schedule};
use crate::text::{self, Example, Prepared};
use crate::weights::write_json;
use crate::{Error, Result};

/// A run in progress.
pub struct Trainer<'a> {
    recipe: &'a Recipe,
    loaded: Loaded,
    data: Prepared,
    trainable: Vec<Arc<Param>>,
    plan: Plan,
    schedule: Schedule,
    optimizer: AdamW,
    grads: ParamGradients,
    state: State,
    /// Epochs done after the last step of this attempt.
    epoch: Option<f64>,
    output: PathBuf,
    log: TrainerLog,
    /// When this attempt began, and what it started with.
    begin: Instant,
    began_at: (u64, u64, f64),
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
    loss: f64,
    grad_norm: f64,
    rate: f64,
}

impl<'a> Trainer<'a> {
    pub fn new(recipe: &'a Recipe, loaded: Loaded, data: Prepared, start: Option<Start>) -> Result<Self> {
        let plan = Plan::new(recipe, data.train.len());
        let schedule = Schedule {
            kind: recipe.lr_scheduler_type,
            peak: recipe.learning_rate,
            warmup: recipe.warmup(plan.total_steps),
            total: plan.total_steps,
        };
        let mut optimizer = AdamW::new(AdamWSettings {
            beta1: recipe.adam_beta1,
            beta2: recipe.adam_beta2,
            eps: recipe.adam_epsilon,
            weight_decay: recipe.weight_decay,
        });
        let state = match &start {
            Some(start) => {
                checkpoint::load_optimizer(&start.folder, &loaded, &mut optimizer, start.state.step)?;
                check_unchanged(&start.state, recipe, data.train.len())?;
                start.state.clone()
            }
            None => State { seed: recipe.seed, examples: data.train.len(), ..State::default() },
        };
        let output = PathBuf::from(&recipe.output_dir);
        Ok(Trainer {
            trainable: loaded.decoder.trainable(),
            log: TrainerLog::open(&output, state.step)?,
            began_at: (state.step, state.tokens, state.elapsed_s),
            begin: Instant::now(),
            activation_budget: device::available_memory(loaded.decoder.device()) / 3,
            grads: ParamGradients::default(),
            epoch: None,
            recipe,
            loaded,
            data,
            plan,
            schedule,
            optimizer,
            state: State { total_steps: 0, ..state },
            output,
        })
    }

    /// Trains to the end, or until `stop` is set.
    pub fn run(mut self, sink: Sink, stop: &AtomicBool) -> Result<TrainSummary> {
        let total = self.plan.total_steps;
        self.state.total_steps = total;
        self.announce(sink);
        let mut last_save = None;
        let mut last_eval = None;
        while self.state.step < total {
            let work = self.work()?;
            let result = self.step(&work.portions)?;
            self.state.step += 1;
            self.epoch = Some(work.epoch);
            self.state.loss_sum += result.loss;
            self.state.unlogged_loss += result.loss;
            self.state.unlogged_steps += 1;
            for message in self.data.train.remarks() {
                sink(EventBody::Log { level: LogLevel::Warning, message });
            }
            let done = self.state.step;
            if self.logs(done) {
                self.report(work.epoch, &result, sink)?;
            }
            let ends_epoch = work.ends_epoch || done == total;
            if due(done, self.recipe.eval_strategy, self.recipe.eval_interval(total), ends_epoch)
                && !self.data.eval.is_empty()
            {
                last_eval = Some((done, self.evaluate(work.epoch, sink)?));
            }
            let stopping = stop.load(Ordering::Relaxed) && done < total;
            if due(done, self.recipe.save_strategy, self.recipe.save_interval(total), ends_epoch) || stopping
            {
                self.save(sink, stopping)?;
                last_save = Some(done);
            }
            if stopping {
                return Ok(self.summary(Outcome::Stopped, Vec::new()));
            }
        }
        // transformers writes a last checkpoint whenever checkpoints are written at all.
        if self.recipe.save_strategy != Strategy::No && last_save != Some(total) && total > self.began_at.0 {
            self.save(sink, false)?;
        }
        self.finish(last_eval, sink)
    }

    fn announce(&self, sink: Sink) {
        let count = |params: &[Arc<Param>]| params.iter().map(|param| param.len() as u64).sum::<u64>();
        let trainable = count(&self.trainable);
        let all = count(&self.loaded.decoder.params());
        let message = format!(
            "trainable params: {trainable} || all params: {all} || trainable%: {:.4}",
            trainable as f64 / all.max(1) as f64 * 100.0
        );
        sink(EventBody::Log { level: LogLevel::Info, message });
        sink(EventBody::Start {
            start_step: self.state.step,
            total_steps: self.plan.total_steps,
            num_examples: self.data.train.len() as u64,
            trainable_params: trainable,
            total_params: all,
        });
        sink(EventBody::Phase { phase: Phase::Training, detail: None });
    }

    /// What the next step trains on.
    fn work(&self) -> Result<Work> {
        if let Some(step) = self.data.train.step(self.state.step)? {
            // transformers takes a stream's epoch to be as long as the run.
            let run = self.plan.total_steps as f64 * self.recipe.gradient_accumulation_steps as f64;
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

    /// One optimiser step: forward and backward of its micro-batches, clipping, AdamW.
    fn step(&mut self, portions: &[Vec<Vec<Example>>]) -> Result<StepResult> {
        // transformers divides by all labels of the accumulated batch, a sequence's first token included
        // although nothing predicts it.
        let items = |portion: &[Vec<Example>]| -> usize {
            portion.iter().flatten().map(Example::trained_tokens).sum()
        };
        let micro = portions.iter().flat_map(|portion| {
            let scale = 1.0 / items(portion).max(1) as f64;
            portion.iter().map(move |batch| (batch, scale))
        });
        self.grads.clear();
        let mut loss = 0.0;
        for (index, (examples, scale)) in micro.enumerate() {
            let batch = batch_of(examples.iter());
            self.state.tokens += batch.tokens() as u64;
            let seed = self.recipe.seed
                ^ ((self.state.step << 20) | index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let balance = self.balance(&batch);
            let pass = Pass {
                checkpointing: self.checkpoints(&batch),
                dropout: Some(seed),
                training: true,
                balance: balance.as_ref().map(|(balance, _)| balance.clone()),
                ..Pass::default()
            };
            let tape = Tape::new();
            let hidden = self.loaded.decoder.hidden(&tape, &batch, pass)?;
            if let Some((balance, true)) = &balance {
                loss += balance.coefficient() as f64 * balance.loss();
            }
            let output = self.loaded.decoder.head.loss_and_gradient(
                &hidden.tensor,
                &batch.labels,
                scale as f32,
                &mut self.grads,
                Some(seed),
            )?;
            loss += output.total() * scale;
            if let Some(seed) = output.d_hidden {
                tape.backward(&hidden, seed, &mut self.grads, None)?;
            }
        }
        let done = self.state.step;
        if !loss.is_finite() {
            let message = format!(
                "the loss of step {} is {loss}: training has diverged; try a lower learning_rate",
                done + 1
            );
            return Err(Error::Training(message));
        }
        if done == 0 && portions.iter().any(|portion| items(portion) > 0) {
            self.guard()?;
        }
        let grad_norm = self.grads.global_norm()?;
        let limit = self.recipe.max_grad_norm;
        let clip = if limit > 0.0 { (limit / (grad_norm + 1e-6)).min(1.0) } else { 1.0 };
        let rate = self.schedule.rate(done);
        self.optimizer.step(&self.trainable, &self.grads, rate, clip)?;
        Ok(StepResult { loss, grad_norm, rate })
    }

    /// Whether the batch's activations are too large to keep.
    fn checkpoints(&self, batch: &Batch) -> bool {
        let bytes = batch.tokens() * self.loaded.decoder.spec.activation_floats() * size_of::<f32>();
        !self.recipe.disable_gradient_checkpointing && bytes > self.activation_budget
    }

    /// The routers' auxiliary loss of a batch, and whether it is part of the reported one; none for a model
    /// without experts, or where neither the recipe nor the model asks for it.
    fn balance(&self, batch: &Batch) -> Option<(Arc<Balance>, bool)> {
        let experts = self.loaded.decoder.spec.experts.as_ref()?;
        let coefficient = match self.recipe.moe_aux_loss_coef {
            Some(coefficient) => coefficient as f32,
            None if experts.always_balanced => experts.balance_coefficient,
            None => return None,
        };
        let balance = Balance::new(experts.balance, coefficient, batch.spans.clone());
        Some((Arc::new(balance), experts.balance_reported))
    }

    /// Refuses to go on if something that claims to train gets no gradient.
    fn guard(&self) -> Result<()> {
        let loras = self.loaded.decoder.linears().filter_map(|linear| linear.lora.as_ref());
        let zero = loras.filter(|lora| lora.b.to_f32().is_ok_and(|b| b.iter().all(|x| *x == 0.0)));
        // An expert that no token has chosen gets no gradient.
        let experts = self.loaded.decoder.expert_params().map(|param| param.id);
        let guard = GradientGuard::default().allow_zero(zero.map(|lora| lora.a.id)).allow_none(experts);
        guard.check(&self.trainable, &self.grads)
    }

    fn logs(&self, done: u64) -> bool {
        done.is_multiple_of(self.recipe.logging_interval(self.plan.total_steps))
            || (done == 1 && self.recipe.logging_first_step)
    }

    /// The point of the step just done.
    fn point(&self, epoch: f64, loss: f64, grad_norm: f64, rate: f64) -> Point {
        let (step, tokens, elapsed) = self.began_at;
        let here = self.begin.elapsed().as_secs_f64();
        let steps_here = (self.state.step - step).max(1) as f64;
        Point {
            step: self.state.step,
            epoch,
            loss,
            learning_rate: rate,
            grad_norm,
            tokens: self.state.tokens,
            tokens_per_second: (self.state.tokens - tokens) as f64 / here.max(1e-9),
            elapsed_s: elapsed + here,
            remaining_s: (self.plan.total_steps - self.state.step) as f64 * here / steps_here,
        }
    }

    fn report(&mut self, epoch: f64, result: &StepResult, sink: Sink) -> Result<()> {
        let mean = self.state.unlogged_loss / self.state.unlogged_steps.max(1) as f64;
        (self.state.unlogged_loss, self.state.unlogged_steps) = (0.0, 0);
        let point = self.point(epoch, mean, result.grad_norm, result.rate);
        self.log.point(&point, self.plan.total_steps)?;
        self.state.history.push(history_point(&point));
        sink(EventBody::Point(point));
        Ok(())
    }

    fn evaluate(&mut self, epoch: f64, sink: Sink) -> Result<Vec<Evaluation>> {
        let batch = self.recipe.per_device_eval_batch_size;
        let mut evaluations = Vec::with_capacity(self.data.eval.len());
        for set in &self.data.eval {
            sink(EventBody::Phase { phase: Phase::Evaluating, detail: set.name.clone() });
            let evaluation = evaluate(&self.loaded.decoder, set, batch)?;
            let point = self.point(epoch, 0.0, 0.0, 0.0);
            self.log.eval(&point, self.plan.total_steps, &evaluation)?;
            let mut entry = self.metrics_of(&evaluation);
            entry.insert("epoch".into(), json!(epoch));
            entry.insert("step".into(), json!(self.state.step));
            self.state.history.push(Value::Object(entry));
            sink(EventBody::Eval {
                step: self.state.step,
                dataset: evaluation.dataset.clone(),
                epoch,
                eval_loss: evaluation.loss,
                runtime_s: evaluation.runtime_s,
                accuracy: self.recipe.compute_accuracy.then_some(evaluation.accuracy),
            });
            evaluations.push(evaluation);
        }
        sink(EventBody::Phase { phase: Phase::Training, detail: None });
        Ok(evaluations)
    }

    fn metrics_of(&self, evaluation: &Evaluation) -> Map<String, Value> {
        eval_metrics(evaluation, (self.recipe.compute_accuracy, self.recipe.stage == Stage::Pt))
    }

    /// Writes a checkpoint; one that a stop asks for is always one to go on from.
    fn save(&mut self, sink: Sink, stopping: bool) -> Result<()> {
        sink(EventBody::Phase {
            phase: Phase::Saving,
            detail: Some(format!("checkpoint-{}", self.state.step)),
        });
        let state =
            State { elapsed_s: self.began_at.2 + self.begin.elapsed().as_secs_f64(), ..self.state.clone() };
        let options = (self.recipe.save_total_limit, self.recipe.save_only_model && !stopping);
        let trainer_state = self.trainer_state();
        let path =
            checkpoint::save(&self.output, &self.loaded, &self.optimizer, &state, &trainer_state, options)?;
        sink(EventBody::Checkpoint { step: self.state.step, path });
        sink(EventBody::Phase { phase: Phase::Training, detail: None });
        Ok(())
    }

    /// `trainer_state.json` as transformers writes it.
    fn trainer_state(&self) -> Value {
        let per_epoch = self.plan.steps_per_epoch();
        let epoch = self.state.history.last().and_then(|entry| entry.get("epoch").cloned());
        json!({
            "best_global_step": null,
            "best_metric": null,
            "best_model_checkpoint": null,
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
        })
    }

    /// The model, the results, the last evaluation.
    fn finish(mut self, last_eval: Option<(u64, Vec<Evaluation>)>, sink: Sink) -> Result<TrainSummary> {
        let total = self.plan.total_steps;
        sink(EventBody::Phase { phase: Phase::Saving, detail: None });
        self.loaded.save(&self.output, false)?;
        let epoch = self.epoch();
        let point = self.point(epoch, 0.0, 0.0, 0.0);
        self.log.end(&point, total)?;
        let train = self.train_metrics(&point);
        let mut entry = train.clone();
        entry.insert("step".into(), json!(total));
        self.state.history.push(Value::Object(entry));
        write_results(&self.output, "train", &train)?;
        let evaluations = match last_eval {
            _ if self.data.eval.is_empty() || !self.recipe.evaluates() => Vec::new(),
            Some((step, evaluations)) if step == total => evaluations,
            _ => self.evaluate(epoch, sink)?,
        };
        if !evaluations.is_empty() {
            let mut metrics: Map<String, Value> =
                evaluations.iter().flat_map(|evaluation| self.metrics_of(evaluation)).collect();
            metrics.insert("epoch".into(), json!(epoch));
            write_results(&self.output, "eval", &metrics)?;
        }
        write_json(&self.output.join("trainer_state.json"), &self.trainer_state())?;
        if self.recipe.plot_loss {
            plot::write(&self.output, &self.state.history, &evaluations)?;
        }
        Ok(self.summary(Outcome::Finished, evaluations))
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
        metrics.insert("train_samples_per_second".into(), json!(examples / seconds));
        metrics.insert("train_steps_per_second".into(), json!(self.plan.total_steps as f64 / seconds));
        metrics
    }

    fn mean_loss(&self) -> f64 {
        self.state.loss_sum / self.state.step.max(1) as f64
    }

    fn summary(&self, outcome: Outcome, evaluations: Vec<Evaluation>) -> TrainSummary {
        TrainSummary {
            outcome,
            steps: self.state.step,
            total_steps: self.plan.total_steps,
            train_loss: self.mean_loss(),
            evaluations,
            output_dir: self.output.clone(),
        }
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

/// Going on with other data or another seed would silently be another run.
fn check_unchanged(state: &State, recipe: &Recipe, examples: usize) -> Result<()> {
    if state.examples != examples {
        let message = format!(
            "the checkpoint was written when the data had {} examples, now they are {examples}; \
             restore the data or set overwrite_output_dir: true",
            state.examples
        );
        return Err(Error::recipe("dataset", message));
    }
    if state.seed != recipe.seed {
        let message =
            format!("the checkpoint was written with seed {}, the recipe says {}", state.seed, recipe.seed);
        return Err(Error::recipe("seed", message));
    }
    Ok(())
}

/// A ragged batch of examples. Records packed together see each other unless they are isolated.
pub fn batch_of<'e>(examples: impl Iterator<Item = &'e Example>) -> Batch {
    let mut batch = Batch::default();
    for example in examples {
        let start = batch.ids.len();
        let length = example.real_len();
        batch.ids.extend_from_slice(&example.ids[..length]);
        batch.positions.extend_from_slice(&example.positions()[..length]);
        let spans = Arc::make_mut(&mut batch.spans);
        match &example.packed {
            Some(packed) if packed.isolated => {
                let mut at = start;
                for len in &packed.lengths {
                    spans.push(Span::new(at, *len));
                    at += len;
                }
            }
            _ => spans.push(Span::new(start, length)),
        }
        for (i, label) in example.labels[..length].iter().enumerate().skip(1) {
            if let Ok(token) = u32::try_from(*label) {
                batch.labels.push(Label { row: (start + i - 1) as u32, token });
            }
        }
    }
    batch
}
