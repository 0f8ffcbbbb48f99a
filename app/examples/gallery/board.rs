//! A board in memory.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use recipe::{Event, EventBody, Lang, Outcome, Phase, Point, RunState, metrics::LOSS};
use wire::*;

use crate::sample;

pub struct Run {
    pub summary: RunSummary,
    pub yaml: String,
    pub events: Vec<Event>,
}

#[derive(Default)]
pub struct Memory {
    runs: Mutex<Vec<Run>>,
    chat: Mutex<ChatStatus>,
}

impl Run {
    pub fn push(&mut self, body: EventBody) {
        let seq = self.events.len() as u64 + 1;
        match &body {
            EventBody::Start { start_step, total_steps, .. } => {
                self.summary.step = *start_step;
                self.summary.total_steps = *total_steps;
            }
            EventBody::Point(point) => {
                self.summary.step = point.step;
                self.summary.last_loss = point.metrics.get(LOSS);
                self.summary.sparkline.extend(point.metrics.get(LOSS));
            }
            _ => {}
        }
        self.events.push(Event { seq, time: sample::now(), body });
    }

    fn end(&mut self, state: RunState) {
        let summary = &mut self.summary;
        summary.state = state;
        summary.worked += summary.working_since.take().map_or(0, |since| sample::now() - since);
    }

    fn points(&self) -> Vec<Point> {
        self.events
            .iter()
            .filter_map(|event| if let EventBody::Point(p) = &event.body { Some(p.clone()) } else { None })
            .collect()
    }
}

impl Memory {
    pub fn empty() -> Memory {
        Memory::default()
    }

    pub fn new() -> Memory {
        Memory { runs: Mutex::new(sample::runs()), chat: Mutex::default() }
    }

    fn runs(&self) -> MutexGuard<'_, Vec<Run>> {
        self.runs.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn matching(&self, filter: &RunFilter) -> Vec<RunSummary> {
        let search = filter.search.to_lowercase();
        let matches = |run: &RunSummary| {
            let text = format!("{} {} {}", run.name, run.model, run.dataset).to_lowercase();
            text.contains(&search) && filter.state.is_none_or(|state| state == run.state)
        };
        self.runs().iter().map(|run| run.summary.clone()).filter(matches).collect()
    }

    fn chat(&self) -> MutexGuard<'_, ChatStatus> {
        self.chat.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn events_after(&self, id: &str, seq: u64) -> Option<(Vec<Event>, RunSummary)> {
        let runs = self.runs();
        let run = runs.iter().find(|run| run.summary.id == id)?;
        let events = run.events.iter().filter(|event| event.seq > seq).cloned().collect();
        Some((events, run.summary.clone()))
    }

    fn change(
        &self,
        id: &str,
        change: impl FnOnce(&mut Run) -> Result<(), BoardError>,
    ) -> Result<(), BoardError> {
        let mut runs = self.runs();
        let run = runs.iter_mut().find(|run| run.summary.id == id);
        change(run.ok_or_else(|| BoardError::NotFound(format!("run {id}")))?)
    }
}

/// Takes every running run a step on, again and again.
pub async fn train(memory: Arc<Memory>) {
    loop {
        tokio::time::sleep(Duration::from_millis(250)).await;
        for run in memory.runs().iter_mut() {
            match run.summary.state {
                RunState::Preparing => {
                    run.summary.state = RunState::Running;
                    run.push(EventBody::Phase { phase: Phase::Training, detail: None });
                }
                RunState::Running => {
                    let step = run.summary.step + 1;
                    run.push(EventBody::Point(sample::point(step, run.summary.total_steps)));
                    if step % 50 == 0 {
                        run.push(EventBody::Checkpoint { step, path: format!("checkpoint-{step}") });
                        run.push(sample::eval(step));
                    }
                    if step >= run.summary.total_steps {
                        run.push(EventBody::End { outcome: Outcome::Finished, reason: None });
                        run.end(RunState::Finished);
                    }
                }
                RunState::Stopping => {
                    run.end(RunState::Stopped);
                    run.summary.reason = Some("stopped by you after a checkpoint".into());
                }
                _ => {}
            }
        }
    }
}

#[async_trait::async_trait]
impl BoardApi for Memory {
    async fn runs(
        &self,
        filter: RunFilter,
        from: u64,
        count: Option<u64>,
    ) -> Result<Vec<RunSummary>, BoardError> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
        Ok(self.matching(&filter).into_iter().skip(from).take(count).collect())
    }

    async fn count_runs(&self, filter: RunFilter) -> Result<u64, BoardError> {
        Ok(self.matching(&filter).len() as u64)
    }

    async fn recipe(&self, id: &str) -> Result<RunRecipe, BoardError> {
        let runs = self.runs();
        let run = runs.iter().find(|run| run.summary.id == id);
        let run = run.ok_or_else(|| BoardError::NotFound(format!("run {id}")))?;
        Ok(RunRecipe { id: id.to_owned(), name: run.summary.name.clone(), recipe: run.yaml.clone() })
    }

    async fn run(&self, id: &str) -> Result<RunDetail, BoardError> {
        let runs = self.runs();
        let run = runs
            .iter()
            .find(|run| run.summary.id == id)
            .ok_or_else(|| BoardError::NotFound(format!("run {id}")))?;
        Ok(RunDetail {
            summary: run.summary.clone(),
            recipe: run.yaml.clone(),
            output_dir: format!("runs/{id}/output"),
            trainable_params: Some(540_672),
            total_params: Some(135_055_680),
            num_examples: Some(320),
            points: run.points(),
            evals: vec![],
            checkpoints: vec![],
            log: sample::log(),
            log_tail: vec![],
            save_total_limit: None,
            last_seq: run.events.last().map_or(0, |event| event.seq),
        })
    }

    async fn launch(&self, name: String, yaml: String, lang: Lang) -> Result<RunId, BoardError> {
        let problems = self.check(yaml.clone(), lang).await?;
        if !problems.problems.is_empty() {
            return Err(BoardError::Invalid(problems.problems));
        }
        let mut runs = self.runs();
        let id = format!("r{}", runs.len() + 100);
        let name = if name.is_empty() { "wick on identity".into() } else { name };
        runs.insert(0, sample::run(&id, &name, RunState::Preparing, 0, 120, yaml));
        Ok(id)
    }

    async fn check(&self, yaml: String, lang: Lang) -> Result<Findings, BoardError> {
        let problems = recipe::Recipe::from_yaml(&yaml).err().unwrap_or_default();
        let problems = problems
            .into_iter()
            .map(|problem| FieldProblem { message: problem.text(lang).to_owned(), key: problem.key })
            .collect();
        Ok(Findings { problems, ..Findings::default() })
    }

    async fn stop(&self, id: &str) -> Result<(), BoardError> {
        self.change(id, |run| {
            run.summary.state = RunState::Stopping;
            Ok(())
        })
    }

    async fn cancel(&self, id: &str) -> Result<(), BoardError> {
        self.change(id, |run| {
            run.end(RunState::Interrupted);
            run.summary.reason = Some("cancelled".into());
            Ok(())
        })
    }

    async fn resume(&self, id: &str) -> Result<(), BoardError> {
        self.change(id, |run| {
            if !run.summary.state.can_resume() {
                return Err(BoardError::Refused(
                    "only a run that was stopped, failed or was interrupted can go on".into(),
                ));
            }
            let start_step = run.summary.step.saturating_sub(5);
            let total_steps = run.summary.total_steps;
            run.push(sample::start(start_step, total_steps));
            run.summary.state = RunState::Preparing;
            run.summary.reason = None;
            run.summary.working_since = Some(sample::now());
            Ok(())
        })
    }

    async fn delete(&self, id: &str) -> Result<(), BoardError> {
        self.runs().retain(|run| run.summary.id != id);
        Ok(())
    }

    async fn rename(&self, id: &str, name: String) -> Result<(), BoardError> {
        self.change(id, |run| {
            run.summary.name = name;
            Ok(())
        })
    }

    async fn choices(&self) -> Result<FormChoices, BoardError> {
        Ok(sample::choices())
    }

    async fn chat_targets(&self, _wanted: Option<String>) -> Result<Vec<ChatTarget>, BoardError> {
        let base = sample::choices().models.into_iter().filter(|model| model.present).map(|model| {
            ChatTarget { id: model.path.clone(), label: model.label, run: None, template: model.template }
        });
        let runs = self.runs();
        let tuned = runs.iter().filter(|run| run.summary.state == RunState::Finished).map(|run| ChatTarget {
            id: format!("run:{}", run.summary.id),
            label: run.summary.name.clone(),
            run: Some(run.summary.id.clone()),
            template: Some("llama3".into()),
        });
        Ok(base.chain(tuned).collect())
    }

    async fn chat_status(&self) -> Result<ChatStatus, BoardError> {
        Ok(self.chat().clone())
    }

    async fn load_chat(&self, target: String, _template: Option<String>) -> Result<(), BoardError> {
        *self.chat() = ChatStatus::Loading { target: target.clone(), progress: None };
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let label = self
            .chat_targets(None)
            .await?
            .into_iter()
            .find(|known| known.id == target)
            .map(|known| known.label);
        *self.chat() = match label {
            Some(label) => ChatStatus::Ready { target, label },
            None => ChatStatus::Failed { target, reason: "there is no such model".into() },
        };
        Ok(())
    }

    async fn unload_chat(&self) -> Result<(), BoardError> {
        *self.chat() = ChatStatus::Unloaded;
        Ok(())
    }
}
