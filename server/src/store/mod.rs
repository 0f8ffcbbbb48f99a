//! The database: SQLite in the runs folder, one module per family of tables, plain SQL.
//!
//! Only the pool changes the state of a run; everyone else reads.

mod events;
mod ingest;
mod lane;
mod migrations;
mod points;
mod reserve;
mod run_row;
mod runs;
mod transitions;

pub use events::LOG_LINES_KEPT;
pub use ingest::Ingested;
pub use run_row::{Ending, NewRun, RunRow};
pub use transitions::Transition;

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use lane::{Lane, Write};
use recipe::RunState;
use reserve::Reserve;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use wire::BoardError;

/// What goes wrong in the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened as a database.
    #[error("cannot open the database {path}: {source}. If another program made this file, move it away")]
    Open {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    #[error(
        "the database {path} is damaged ({what}). Put a copy of it back, or have `sqlite3 {path} .recover` save what \
         can be read; moved away, it is replaced by an empty one, and the folders of runs stay as they are"
    )]
    /// Pages of the file contradict each other.
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite found.
        what: String,
    },
    #[error(
        "the database {0} was moved or removed while the server runs: put it back, or start the server anew"
    )]
    /// The file is not where it was.
    Gone(PathBuf),
    /// The tables cannot be brought to this version's.
    #[error("the database {path} does not fit this version of Chandler: {source}")]
    Migrate {
        /// The database.
        path: PathBuf,
        /// Which step does not fit.
        source: sqlx::migrate::MigrateError,
    },
    /// There is no run of this id.
    #[error("there is no run {0}")]
    NoRun(String),
    /// The state machine forbids a change.
    #[error("run {id} is {from}, it cannot become {to}", from = .from.name(), to = .to.name())]
    Transition {
        /// The run.
        id: String,
        /// Its state.
        from: RunState,
        /// The state that it cannot have next.
        to: RunState,
    },
    /// A column holds what this version does not know.
    #[error("the database holds a value that this version does not know: {0}")]
    Value(String),
    /// Whatever else SQLite reports.
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
}

/// What the database answers, or why not.
pub type Result<T> = std::result::Result<T, StoreError>;

/// What a user is told; what is not theirs to set right stands in the server's log, too.
impl From<StoreError> for BoardError {
    fn from(error: StoreError) -> BoardError {
        match error {
            StoreError::NoRun(id) => BoardError::NotFound(id),
            StoreError::Transition { .. } => BoardError::Refused(error.to_string()),
            other => {
                tracing::error!("{other}");
                BoardError::Internal(other.to_string())
            }
        }
    }
}

/// The database of one runs folder.
#[derive(Clone)]
pub struct Store {
    path: PathBuf,
    /// The file that was opened, which may be another than the one that is at `path` by now.
    file: (u64, u64),
    /// For reading.
    db: SqlitePool,
    writer: Lane,
    /// Long queries of others must not make the server look ill.
    probe: Lane,
    reserve: Reserve,
}

impl Store {
    /// Opens (or makes) the database at `path` and brings its tables up to date.
    ///
    /// # Errors
    /// If the file is no database, is damaged, or was made by a later version.
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
        let opening = |source: sqlx::Error| {
            let path = path.to_owned();
            // SQLITE_CORRUPT
            match has_code(&source, "11") {
                true => StoreError::Damaged { path, what: source.to_string() },
                false => StoreError::Open { path, source },
            }
        };
        let db = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options.clone())
            .await
            .map_err(opening)?;
        // Pages that a disk has garbled would otherwise be met one by one, much later.
        let checked: String =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&db).await.map_err(opening)?;
        if checked != "ok" {
            return Err(StoreError::Damaged { path: path.to_owned(), what: checked });
        }
        migrations::migrations()
            .run(&db)
            .await
            .map_err(|source| StoreError::Migrate { path: path.to_owned(), source })?;
        let file = identity(path).map_err(|e| opening(sqlx::Error::Io(e)))?;
        let (writer, probe) = (Lane::new(options.clone()), Lane::new(options));
        let reserve = Reserve::of(path);
        reserve.take();
        Ok(Store { path: path.to_owned(), file, db, writer, probe, reserve })
    }

    /// Makes room after `error`, if that is a full disk and there is some to make: the reserve, and the log of changes
    /// that are not in the database's own file yet. Then the change may be tried again.
    pub async fn make_room(&self, error: &StoreError) -> bool {
        // SQLITE_FULL
        let is_full = matches!(error, StoreError::Sql(e) if has_code(e, "13"));
        let log = self.path.with_extension("db-wal");
        is_full
            && (self.reserve.give()
                | (log.metadata().is_ok_and(|log| log.len() > 0) && self.empty_log().await))
    }

    async fn empty_log(&self) -> bool {
        let emptied = async {
            let mut held = self.writer.take().await?;
            let busy: i64 =
                sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut held.connection).await?;
            held.give_back();
            Ok::<_, StoreError>(busy == 0)
        };
        emptied.await.unwrap_or(false)
    }

    /// Puts room aside again once the disk has some.
    pub fn keep_room(&self) {
        self.reserve.take();
    }

    async fn write(&self) -> Result<Write> {
        self.writer.begin().await
    }

    /// Whether the database answers, and is still the file at its path.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub async fn check(&self) -> Result<()> {
        if identity(&self.path).ok() != Some(self.file) {
            return Err(StoreError::Gone(self.path.clone()));
        }
        let mut held = self.probe.take().await?;
        sqlx::query("SELECT id FROM runs LIMIT 1").fetch_optional(&mut held.connection).await?;
        held.give_back();
        Ok(())
    }

    /// Closes all connections; what was committed is in the files.
    pub async fn close(&self) {
        self.writer.close().await;
        self.probe.close().await;
        self.db.close().await;
    }
}

/// Whether SQLite gives this error code, <https://sqlite.org/rescode.html>.
fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().is_some_and(|e| e.code().as_deref() == Some(code))
}

/// Device and number of a file, which no other has while it exists.
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = path.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// SQLite integers are signed; our counts never come near the limit.
fn to_db(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn from_db(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests;
