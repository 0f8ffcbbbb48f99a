//! What the form of a new run offers.

use recipe::{RunState, registry};
use wire::{DatasetEntry, FormChoices, ModelChoice};

use crate::{config::Folders, models, store::RunRow, worker::OUTPUT_DIR};

pub(super) fn choices(folders: &Folders, datasets: Vec<DatasetEntry>, runs: &[RunRow]) -> FormChoices {
    let present = models::scan(&folders.models_dir);
    let absent = registry::OFFERED
        .iter()
        .filter(|offered| offered.command.is_some() && !folders.models_dir.join(offered.path).exists());
    let mut models: Vec<ModelChoice> = present.iter().map(models::Model::choice).collect();
    models.extend(runs.iter().filter_map(|run| tuned(folders, run)));
    models.extend(absent.map(|offered| ModelChoice {
        path: models::shown(&folders.models_dir.join(offered.path)),
        label: offered.name.to_owned(),
        template: Some(offered.template.to_owned()),
        parameters: None,
        context: None,
        present: false,
        hint: offered.command.map(str::to_owned),
    }));
    FormChoices { models, datasets, templates: super::targets::templates() }
}

/// The model that a finished run of full tuning left.
fn tuned(folders: &Folders, run: &RunRow) -> Option<ModelChoice> {
    let output = folders.runs_dir.join(&run.id).join(OUTPUT_DIR);
    (run.state == RunState::Finished && models::is_model(&output)).then(|| ModelChoice {
        path: models::shown(&output),
        label: run.name.clone(),
        template: run.template.clone(),
        parameters: run.total_params,
        context: models::facts(&output).context,
        present: true,
        hint: None,
    })
}
