//! Where the server's tests work: folders that go with the test, what lies in them, and a store, a pool and a board over
//! them.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use server::{
    board::ServerBoard,
    chat::Chat,
    command::WorkerCommand,
    config::Folders,
    pool::{Pool, PoolConfig},
    store::{NewRun, Store},
};

/// What boards of tests take in.
pub(crate) const LARGEST_UPLOAD: u64 = 3 << 20;

/// Folders of models, data and runs in a folder of the test's own.
pub(crate) struct Place {
    pub folders: Folders,
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let folder = |name: &str| dir.path().join(name);
        let folders =
            Folders { models_dir: folder("models"), data_dir: folder("data"), runs_dir: folder("runs") };
        Place { folders: folders.prepare().unwrap(), dir }
    }

    /// The folder that the others are in.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    /// Writes a file at a path from the root, with the folders it is in.
    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let file = self.root().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        file
    }

    /// A folder of a run.
    pub(crate) fn run_dir(&self, id: &str) -> PathBuf {
        self.folders.runs_dir.join(id)
    }

    pub(crate) async fn store(&self) -> Store {
        Store::open(&self.folders.runs_dir.join("chandler.db")).await.unwrap()
    }

    /// A pool with one slot, which goes on by itself with runs that were cut off, or not.
    pub(crate) async fn pool(&self, worker: WorkerCommand, resume_interrupted: bool) -> Pool {
        let runs_dir = self.folders.runs_dir.clone();
        let config = PoolConfig { runs_dir, slots: 1, worker, resume_interrupted };
        Pool::start(self.store().await, config).await.unwrap()
    }

    pub(crate) fn board(&self, pool: &Pool, chat: &Arc<Chat>) -> ServerBoard {
        ServerBoard::new(pool.clone(), self.folders.clone(), chat.clone(), LARGEST_UPLOAD)
    }
}

/// A command that cannot be started.
pub(crate) fn no_command() -> WorkerCommand {
    WorkerCommand { program: PathBuf::from("/nonexistent"), args: Vec::new() }
}

/// The running test binary, called on one of its tests.
pub(crate) fn this_test(name: &str) -> WorkerCommand {
    let args = ["--exact", name, "--nocapture", "--"].map(Into::into).to_vec();
    WorkerCommand { program: std::env::current_exe().unwrap(), args }
}

pub(crate) fn new_run(id: &str) -> NewRun {
    let text = |text: &str| text.to_owned();
    NewRun {
        id: text(id),
        name: text(id),
        kind: recipe::JobKind::Train,
        model: text("wick"),
        dataset: text("demo"),
        stage: text("sft"),
        method: text("lora"),
        template: None,
        recipe: String::new(),
    }
}

/// The bundled model.
pub(crate) fn wick() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/wick").canonicalize().unwrap()
}

/// Waits until something is found.
pub(crate) async fn until<T>(what: &str, patience: Duration, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(begun.elapsed() < patience, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
