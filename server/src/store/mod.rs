//! The database: SQLite in the runs folder, one module per family of tables, plain SQL.
//!
//! Only [`crate::pool`] changes the state of a run; everyone else reads.

mod events;
mod ingest;
mod migrations;
mod points;
mod runs;
mod transitions;

pub use events::LOG_LINES_KEPT;
pub use ingest::Ingested;
pub use runs::{Ending, NewRun, RunRow};
pub use transitions::Transition;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use recipe::RunState;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

/// What goes wrong in the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the database {path}: {source}. If another program made this file, move it away")]
    Open { path: PathBuf, source: sqlx::Error },
    #[error("the database {path} does not fit this version of Chandler: {source}")]
    Migrate { path: PathBuf, source: sqlx::migrate::MigrateError },
    #[error("there is no run {0}")]
    NoRun(String),
    #[error("run {id} is {from}, it cannot become {to}", from = .from.name(), to = .to.name())]
    Transition { id: String, from: RunState, to: RunState },
    #[error("the database holds a value that this version does not know: {0}")]
    Value(String),
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
}

pub type Result<T> = std::result::Result<T, StoreError>;

/// The database of one runs folder.
#[derive(Clone)]
pub struct Store {
    db: SqlitePool,
}

impl Store {
    /// Opens (or makes) the database at `path` and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Store> {
        // NORMAL under WAL loses nothing when a process is killed. A power cut may take back the last
        // commits, whole ones: offsets and points go together, so the events are read again.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let db = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        migrations::migrations()
            .run(&db)
            .await
            .map_err(|source| StoreError::Migrate { path: path.to_owned(), source })?;
        Ok(Store { db })
    }

    /// A transaction that holds the write lock from its start, so that it never fails half-way for
    /// another writer.
    async fn write(&self) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>> {
        Ok(self.db.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Closes all connections; what was committed is in the files.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

/// SQLite integers are signed; our counts never come near the limit.
fn to_db(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn from_db(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Wall clock in Unix milliseconds.
pub fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
