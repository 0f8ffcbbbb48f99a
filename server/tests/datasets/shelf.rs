//! A data folder, and the bundled model.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use server::{
    command::WorkerCommand,
    datasets::{Datasets, upload},
};
use wire::{BoardError, Check, CheckState, DatasetsApi, Encoding, Preview};

use crate::place::{self, Place};

/// The binary itself.
fn worker() -> WorkerCommand {
    WorkerCommand { program: PathBuf::from(env!("CARGO_BIN_EXE_chandler")), args: Vec::new() }
}

/// A data folder, and the bundled model.
pub struct Shelf {
    place: Place,
    /// The data folder.
    pub folder: PathBuf,
    pub datasets: Datasets,
}

impl Shelf {
    pub fn new(info: &str, files: &[(&str, &str)]) -> Shelf {
        let place = Place::new();
        with_model(&place.folders.models_dir, &[]);
        place.write("data/dataset_info.json", info);
        for (name, text) in files {
            place.write(&format!("data/{name}"), text);
        }
        let datasets = Datasets::new(Arc::new(place.folders.clone()), worker(), upload::LARGEST);
        Shelf { folder: place.folders.data_dir.clone(), place, datasets }
    }

    /// The folder of models.
    pub fn models(&self) -> &Path {
        &self.place.folders.models_dir
    }

    /// The check of a data set once it has ended.
    pub async fn checked(&self, name: &str) -> Check {
        self.datasets.start_check(name.into(), Some(wick(1024))).await.unwrap();
        loop {
            let check = self.datasets.check(name.into(), wick(8)).await.unwrap();
            if check.state == CheckState::Done {
                return check;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn preview(&self, name: &str, first: u64) -> Result<Preview, BoardError> {
        self.datasets.preview(name.to_owned(), first).await
    }
}

/// How rows are encoded for the bundled model.
pub fn wick(cutoff_len: usize) -> Encoding {
    Encoding { model: "wick".into(), template: "llama3".into(), cutoff_len, ..Encoding::default() }
}

/// Four rows; the second and the third are broken.
pub const ROWS: &str = "{\"instruction\": \"Who are you?\", \"output\": \"I am Wick.\"}\n{\"instruction\": 3, \"output\": \"x\"}\n{\"instruction\": \"a\"\n{\"instruction\": \"Hi\", \"output\": \"Hello!\"}\n";

/// A folder of models with one beside the bundled one: its files, some of which are replaced.
pub fn with_model(folder: &Path, files: &[(&str, &str)]) {
    for name in ["wick", "evil"] {
        let model = folder.join(name);
        let _ = fs::remove_dir_all(&model);
        fs::create_dir_all(&model).unwrap();
        for entry in fs::read_dir(place::wick()).unwrap() {
            let file = entry.unwrap();
            std::os::unix::fs::symlink(file.path(), model.join(file.file_name())).unwrap();
        }
    }
    for (name, text) in files {
        let _ = fs::remove_file(folder.join("evil").join(name));
        fs::write(folder.join("evil").join(name), text).unwrap();
    }
}
