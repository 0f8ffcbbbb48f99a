//! Connections that are not shared: the one that writes, and the one that is asked whether the database answers.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::Result;

/// One connection for one user at a time, opened when it is first wanted. It is used again only after its user has
/// given it back: one that failed over a transaction is closed, which takes the transaction back.
#[derive(Clone)]
pub(super) struct Lane {
    options: SqliteConnectOptions,
    place: Arc<Mutex<Option<SqliteConnection>>>,
}

impl Lane {
    pub(super) fn new(options: SqliteConnectOptions) -> Lane {
        Lane { options, place: Arc::default() }
    }

    pub(super) async fn take(&self) -> Result<Held> {
        let mut place = self.place.clone().lock_owned().await;
        let connection = match place.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        Ok(Held { place, connection })
    }

    /// A transaction that holds the write lock from its start, so that it never fails half-way for another writer.
    pub(super) async fn begin(&self) -> Result<Write> {
        let mut held = self.take().await?;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut held.connection).await?;
        Ok(Write(held))
    }

    /// What was committed is in the files.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.place.lock().await.take()
            && let Err(e) = connection.close().await
        {
            tracing::warn!("closing the database: {e}");
        }
    }
}

/// The connection, until it is given back or dropped.
pub(super) struct Held {
    place: OwnedMutexGuard<Option<SqliteConnection>>,
    pub connection: SqliteConnection,
}

impl Held {
    pub(super) fn give_back(self) {
        let Held { mut place, connection } = self;
        *place = Some(connection);
    }
}

/// A transaction; taken back unless it is committed.
pub(super) struct Write(Held);

impl Write {
    pub(super) async fn commit(mut self) -> Result<()> {
        sqlx::query("COMMIT").execute(&mut self.0.connection).await?;
        self.0.give_back();
        Ok(())
    }
}

impl Deref for Write {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.0.connection
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.0.connection
    }
}
