//! What the pages ask of the server: [`BoardApi`] over pool, store, folders and chat.

mod choices;
mod launch;
mod log;
mod targets;

use std::sync::Arc;

use recipe::{Lang, Problem, Recipe};
use wire::{
    BoardApi, BoardError, ChatStatus, ChatTarget, FieldProblem, Findings, FormChoices, RunDetail, RunFilter,
    RunId, RunRecipe, RunSummary,
};

use crate::{
    chat::Chat,
    clock,
    config::Folders,
    datasets::Datasets,
    pool::Pool,
    random,
    store::{RunRow, StoreError},
    worker::{EVENTS_FILE, OUTPUT_DIR},
};

/// Stretches that the curve of a page's first paint is decimated to.
const FIRST_PAINT: u64 = 250;
/// Log lines of a page's first paint.
const FIRST_LOG: u64 = 500;
const LONGEST_NAME: usize = 120;
/// A list of runs never has more.
const LISTED: u64 = 500;
/// Results of so many runs, the newest that have any, are offered to train on and to talk to.
const OFFERED: u64 = 200;

/// The server's side of the pages.
pub struct ServerBoard {
    pool: Pool,
    folders: Arc<Folders>,
    chat: Arc<Chat>,
    datasets: Arc<Datasets>,
}

impl ServerBoard {
    /// `largest_upload`: the largest file, in bytes, that is taken into the data folder.
    pub fn new(pool: Pool, folders: Folders, chat: Arc<Chat>, largest_upload: u64) -> ServerBoard {
        let folders = Arc::new(folders);
        let datasets = Datasets::new(folders.clone(), chat.command().clone(), largest_upload);
        ServerBoard { pool, folders, chat, datasets: Arc::new(datasets) }
    }

    /// What the pages of data sets ask.
    pub fn datasets(&self) -> Arc<Datasets> {
        self.datasets.clone()
    }

    async fn detail(&self, id: &str) -> Result<RunDetail, BoardError> {
        let store = self.pool.store();
        let run = store.run(id).await?;
        let events = self.pool.run_dir(id).join(EVENTS_FILE);
        let log = match Self::blocking(move || log::newest(&events)).await? {
            Ok(events) if !events.is_empty() => events,
            // The file is gone, or nothing was told yet; what the store has taken in is still there.
            _ => store.log(id, FIRST_LOG).await?,
        };
        let output = self.pool.run_dir(id).join(OUTPUT_DIR);
        let mut checkpoints = store.checkpoints(id).await?;
        // `save_total_limit`, or someone on this machine, may have removed some.
        checkpoints.retain(|checkpoint| output.join(&checkpoint.path).is_dir());
        let recipe = Recipe::parse_yaml(&run.recipe, &[]);
        Ok(RunDetail {
            summary: run.summary(),
            output_dir: output.display().to_string(),
            trainable_params: run.trainable_params,
            total_params: run.total_params,
            num_examples: run.num_examples,
            points: store.curve(id, FIRST_PAINT).await?,
            evals: store.evals(id).await?,
            checkpoints,
            log,
            log_tail: self.pool.log_tail(id, run.state),
            save_total_limit: recipe.ok().and_then(|recipe| recipe.save_total_limit),
            last_seq: run.last_seq,
            recipe: run.recipe,
        })
    }

    async fn run_if_any(&self, id: &str) -> Result<Option<RunRow>, BoardError> {
        match self.pool.store().run(id).await {
            Err(StoreError::NoRun(_)) => Ok(None),
            run => Ok(Some(run?)),
        }
    }

    /// Runs file work away from the threads that answer requests.
    async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BoardError> {
        tokio::task::spawn_blocking(work).await.map_err(|e| BoardError::Internal(e.to_string()))
    }

    async fn prepare(&self, id: &str, yaml: String, lang: Lang) -> Result<launch::Prepared, BoardError> {
        let folders = self.folders.clone();
        let output = self.pool.run_dir(id).join(OUTPUT_DIR);
        let prepared = Self::blocking(move || launch::prepare(&yaml, &output, &folders)).await?;
        prepared.map_err(|problems| {
            BoardError::Invalid(problems.into_iter().map(|problem| field_problem(problem, lang)).collect())
        })
    }
}

#[async_trait::async_trait]
impl BoardApi for ServerBoard {
    async fn runs(
        &self,
        filter: RunFilter,
        from: u64,
        count: Option<u64>,
    ) -> Result<Vec<RunSummary>, BoardError> {
        let count = count.unwrap_or(LISTED).min(LISTED);
        let runs = self.pool.store().runs(&filter, from, count).await?;
        Ok(runs.iter().map(|run| run.summary()).collect())
    }

    async fn count_runs(&self, filter: RunFilter) -> Result<u64, BoardError> {
        Ok(self.pool.store().count_runs(&filter).await?)
    }

    async fn run(&self, id: &str) -> Result<RunDetail, BoardError> {
        self.detail(id).await
    }

    async fn recipe(&self, id: &str) -> Result<RunRecipe, BoardError> {
        let run = self.pool.store().run(id).await?;
        Ok(RunRecipe { id: run.id, name: run.name, recipe: run.recipe })
    }

    async fn launch(&self, name: String, yaml: String, lang: Lang) -> Result<RunId, BoardError> {
        let id = random::id(clock::now()).map_err(|e| BoardError::Internal(e.to_string()))?;
        let prepared = self.prepare(&id, yaml, lang).await?;
        let name = clean_name(&name).unwrap_or_else(|| prepared.default_name());
        let run = prepared.run(id.clone(), name);
        self.pool.enqueue(&run, &prepared.for_worker()).await?;
        tracing::info!("run {id} is launched: {} of {} on {}", run.method, run.model, run.dataset);
        Ok(id)
    }

    async fn check(&self, yaml: String, lang: Lang) -> Result<Findings, BoardError> {
        match self.prepare("new", yaml, lang).await {
            Ok(prepared) => {
                let examined = self.datasets.examine(&prepared.recipe, prepared.as_worked()).await;
                let told =
                    |found: Vec<Problem>| found.into_iter().map(|found| field_problem(found, lang)).collect();
                Ok(Findings {
                    problems: told(examined.problems),
                    warnings: told(examined.remarks),
                    memory: examined.memory,
                    model: examined.model,
                })
            }
            Err(BoardError::Invalid(problems)) => Ok(Findings { problems, ..Findings::default() }),
            Err(e) => Err(e),
        }
    }

    async fn stop(&self, id: &str) -> Result<(), BoardError> {
        Ok(self.pool.stop(id).await?)
    }

    async fn cancel(&self, id: &str) -> Result<(), BoardError> {
        Ok(self.pool.cancel(id).await?)
    }

    async fn resume(&self, id: &str) -> Result<(), BoardError> {
        Ok(self.pool.resume(id).await?)
    }

    async fn delete(&self, id: &str) -> Result<(), BoardError> {
        self.pool.delete(id).await?;
        self.chat.unload_run(id);
        Ok(())
    }

    async fn rename(&self, id: &str, name: String) -> Result<(), BoardError> {
        let name = clean_name(&name).ok_or_else(|| BoardError::Malformed("a run needs a name".to_owned()))?;
        Ok(self.pool.rename(id, &name).await?)
    }

    async fn choices(&self) -> Result<FormChoices, BoardError> {
        let runs = self.pool.store().tuned_runs(OFFERED).await?;
        let (folders, datasets) = (self.folders.clone(), self.datasets.choices().await?);
        Self::blocking(move || choices::choices(&folders, datasets, &runs)).await
    }

    async fn chat_targets(&self, wanted: Option<String>) -> Result<Vec<ChatTarget>, BoardError> {
        let mut runs = self.pool.store().runs_with_results(OFFERED).await?;
        let wanted = wanted.as_deref().and_then(targets::run_of);
        if let Some(id) = wanted.filter(|id| !runs.iter().any(|run| run.id == *id)) {
            runs.extend(self.run_if_any(id).await?);
        }
        let folders = self.folders.clone();
        Self::blocking(move || targets::targets(&folders, &runs)).await
    }

    async fn chat_status(&self) -> Result<ChatStatus, BoardError> {
        Ok(self.chat.status())
    }

    async fn load_chat(&self, target: String, template: Option<String>) -> Result<(), BoardError> {
        let run = match targets::run_of(&target) {
            Some(id) => self.run_if_any(id).await?,
            None => None,
        };
        let folders = self.folders.clone();
        let template = template.filter(|name| !name.trim().is_empty());
        let source =
            Self::blocking(move || targets::source(&target, template, &folders, run.as_ref())).await?;
        self.chat.load(source.map_err(BoardError::Refused)?).map_err(|e| BoardError::Internal(e.to_string()))
    }

    async fn unload_chat(&self) -> Result<(), BoardError> {
        self.chat.unload();
        Ok(())
    }
}

fn field_problem(problem: Problem, lang: Lang) -> FieldProblem {
    FieldProblem { message: problem.text(lang).to_owned(), key: problem.key }
}

/// One line without control characters, not endless; `None` where nothing is left.
fn clean_name(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}
