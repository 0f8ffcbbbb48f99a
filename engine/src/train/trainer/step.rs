//! A step: what it trains on, forward and backward, clipping, and the optimiser's moves.

use std::sync::Arc;

use super::{StepResult, Trainer, Work};
use recipe::{EventBody, NonFinite};

use crate::autograd::GradientGuard;
use crate::model::{Batch, Measured, Noise, Pass, Sums};
use crate::observer::Observer;
use crate::ops::Balance;
use crate::stage::drawn::{Drawn, Round, Turn};
use crate::stage::{Kind, LOSS, Stage};
use crate::text::Example;
use crate::train::batch::batch_of;
use crate::world::Numbers;
use crate::{Error, Result};

/// The seed of a step's masks and draws.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Trainer<'_> {
    /// One step, of one update or of as many as the stage makes of what it draws.
    pub(super) fn step(&mut self, work: &Work, observer: &mut Observer) -> Result<StepResult> {
        match self.stage.clone() {
            Kind::Given(stage) => self.learn_given(stage.as_ref(), &work.portions, observer),
            Kind::Drawn(stage) => self.learn_drawn(stage.as_ref(), work, observer),
        }
    }

    /// One update by the micro-batches of the data.
    fn learn_given(
        &mut self,
        stage: &dyn Stage,
        portions: &[Vec<Vec<Example>>],
        observer: &mut Observer,
    ) -> Result<StepResult> {
        let unit = stage.unit();
        let micro = portions.iter().flat_map(|portion| {
            portion.iter().map(|batch| (batch, 1.0 / unit.divisor(portion, batch).max(1) as f64))
        });
        self.begin_update();
        let mut measured = Measured::default();
        for (index, (examples, scale)) in micro.enumerate() {
            let batch = Batch { together: unit.sequences(), ..batch_of(examples.iter()) };
            self.state.tokens += batch.tokens() as u64;
            // Every process reads the whole step, so that what is counted over it need not be told.
            if !self.world.takes(index) {
                continue;
            }
            let seed = self.seed(index);
            let noise = self.recipe.neftune_noise_alpha.map(|alpha| {
                let length = examples.iter().map(Example::real_len).max().unwrap_or(1);
                Noise { alpha, length, seed }
            });
            let pass = Pass { dropout: Some(seed), noise, ..self.pass(&batch) };
            let (balance, loaded) = (pass.balance.clone(), &self.loaded);
            measured.add(stage.accumulate(loaded, &batch, pass, scale, &mut self.grads)?);
            measured.loss += self.balance_loss(balance.as_deref());
        }
        let teaches = portions.iter().flatten().any(|batch| unit.count(batch) > 0);
        self.update(measured, teaches, observer)
    }

    /// Draws answers, and makes the updates that the stage finds in them.
    fn learn_drawn(&mut self, stage: &dyn Drawn, work: &Work, observer: &mut Observer) -> Result<StepResult> {
        let prompts: Vec<Vec<Example>> = work.portions.iter().flatten().cloned().collect();
        let batches = self.recipe.gradient_accumulation_steps * self.world.size();
        let (seed, carried) = (self.seed(0), &mut self.state.carried);
        let turn = Turn { world: self.world, prompts, batches, seed, carried };
        let Round { updates, teaches, measured, said } = stage.round(&self.loaded, turn)?;
        if self.logs(self.state.step + 1) {
            said.into_iter().for_each(|line| observer.info(line));
        }
        let count = updates.len().max(1) as f64;
        let mut all = StepResult { loss: 0.0, measured, grad_norm: 0.0, rate: 0.0 };
        for update in updates {
            self.begin_update();
            let mut measured = Measured::default();
            for (index, micro) in update.iter().enumerate() {
                self.state.tokens += micro.batch.tokens() as u64;
                if !self.world.takes(index) {
                    continue;
                }
                // Probabilities are compared with those that wrote the answers, which had neither masks nor noise.
                let pass = self.pass(&micro.batch);
                let balance = pass.balance.clone();
                measured.add((micro.learn)(&self.loaded, &micro.batch, pass, &mut self.grads)?);
                measured.loss += self.balance_loss(balance.as_deref());
            }
            let result = self.update(measured, teaches, observer)?;
            all.loss += result.loss / count;
            (all.grad_norm, all.rate) = (result.grad_norm, result.rate);
            for (name, value) in result.measured {
                *all.measured.entry(name).or_default() += value / count;
            }
        }
        Ok(all)
    }

    /// Makes room for the gradients of what moves next.
    fn begin_update(&mut self) {
        self.grads.clear();
        self.grads.choose(self.optimizer.active());
    }

    /// The optimiser's move by the gradients that were gathered, and what was measured on the way.
    fn update(&mut self, measured: Measured, teaches: bool, observer: &mut Observer) -> Result<StepResult> {
        let Measured { loss, metrics: measured } = self.of_all(measured)?;
        let done = self.state.step;
        let rate = match self.schedule.measured() {
            Some(_) => self.state.watched.rate(self.schedule.peak()),
            None => self.schedule.rate(done),
        };
        if !loss.is_finite() {
            return self.refuse("loss", loss, rate, observer);
        }
        if !self.has_learnt && teaches {
            self.guard()?;
            self.has_learnt = true;
        }
        self.optimizer.narrow(&self.trainable, &mut self.grads)?;
        let grad_norm = self.grads.global_norm()?;
        if !grad_norm.is_finite() {
            return self.refuse("gradient norm", grad_norm, rate, observer);
        }
        let limit = self.recipe.max_grad_norm;
        let clip =
            if limit > 0.0 && self.optimizer.clips() { (limit / (grad_norm + 1e-6)).min(1.0) } else { 1.0 };
        self.optimizer.step(&self.groups, &mut self.grads, rate, clip)?;
        self.state.updates += 1;
        Ok(StepResult { loss, measured, grad_norm, rate })
    }

    /// What a step comes to whose `what` is no number: nothing moves, or the run ends, as the recipe says.
    fn refuse(&self, what: &str, value: f64, rate: f64, observer: &mut Observer) -> Result<StepResult> {
        let step = self.state.step + 1;
        if self.recipe.nonfinite_loss == NonFinite::Stop {
            observer.event(EventBody::Point(self.point_without_number(step)));
            let message = format!(
                "the {what} of step {step} is {value}: training has diverged; try a lower learning_rate"
            );
            return Err(Error::Training(message));
        }
        observer.warn(format!("The {what} of step {step} is {value}: the step is skipped."));
        Ok(StepResult { loss: f64::NAN, measured: Sums::new(), grad_norm: f64::NAN, rate })
    }

    /// The seed of a micro-batch's masks, and of what else is drawn in a step.
    fn seed(&self, index: usize) -> u64 {
        self.recipe.seed ^ ((self.state.step << 20) | index as u64).wrapping_mul(SPREAD)
    }

    /// How a batch is passed through the model, without masks and noise.
    fn pass(&self, batch: &Batch) -> Pass {
        Pass {
            checkpointing: self.checkpoints(batch),
            training: true,
            shifts: self.recipe.shift_attn,
            balance: self.balance(batch),
            active: self.optimizer.active(),
            ..Pass::default()
        }
    }

    /// What of a batch's routers belongs to the reported loss.
    fn balance_loss(&self, balance: Option<&Balance>) -> f64 {
        let reported =
            self.loaded.decoder.spec.experts.as_ref().is_some_and(|experts| experts.balance_reported);
        balance.filter(|_| reported).map_or(0.0, |balance| f64::from(balance.coefficient()) * balance.loss())
    }

    /// What all processes have measured, and the sums of their gradients in place of this one's.
    fn of_all(&mut self, own: Measured) -> Result<Measured> {
        if self.world.size() == 1 {
            return Ok(own);
        }
        for param in &self.trainable {
            let mut sum = Ok(());
            self.grads.accumulate(param, |gradient| sum = self.world.sum(gradient))?;
            sum?;
        }
        let mut own_numbers: Numbers =
            own.metrics.into_iter().map(|(name, number)| (name, vec![number])).collect();
        own_numbers.insert(LOSS.to_owned(), vec![own.loss]);
        let mut all = Measured::default();
        for (name, numbers) in self.world.exchange(own_numbers)?.into_iter().flatten() {
            let sum = if name == LOSS { &mut all.loss } else { all.metrics.entry(name).or_default() };
            *sum += numbers.iter().sum::<f64>();
        }
        Ok(all)
    }

    /// Whether the batch's activations are too large to keep.
    fn checkpoints(&self, batch: &Batch) -> bool {
        let bytes = batch.tokens() * self.loaded.decoder.spec.activation_floats() * size_of::<f32>();
        !self.recipe.disable_gradient_checkpointing && bytes > self.activation_budget
    }

    /// The routers' auxiliary loss of a batch; none for a model without experts, or where neither the recipe nor the
    /// model asks for it.
    fn balance(&self, batch: &Batch) -> Option<Arc<Balance>> {
        let experts = self.loaded.decoder.spec.experts.as_ref()?;
        let coefficient = match self.recipe.moe_aux_loss_coef {
            Some(coefficient) => coefficient as f32,
            None if experts.always_balanced => experts.balance_coefficient,
            None => return None,
        };
        Some(Arc::new(Balance::new(experts.balance, coefficient, batch.spans.clone())))
    }

    /// Refuses to go on if something that claims to train gets no gradient.
    fn guard(&self) -> Result<()> {
        let decoder = &self.loaded.decoder;
        // An expert that no token has chosen gets no gradient, nor does a block that none with a loss has gone through.
        let sparse = decoder.sparse_params().into_iter().map(|param| param.id);
        // Where scores are compared with each other, what is added to all of them does not matter.
        let bias = self.loaded.value_head.iter().filter_map(|head| head.bias()).map(|param| param.id);
        // A value head stands in the place of the output matrix.
        let head = decoder.head.linear.weight.param().filter(|_| self.stage.has_value_head());
        let head = head.map(|param| param.id);
        let guard = GradientGuard::default()
            .allow_zero(decoder.without_effect().chain(bias))
            .allow_none(sparse.chain(head));
        let active: Vec<_> =
            self.trainable.iter().filter(|param| self.grads.wants(param.id)).cloned().collect();
        guard.check(&active, &self.grads)
    }
}
