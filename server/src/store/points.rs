//! The table `points`: the logged steps of every run.

use recipe::{Event, EventBody, Point};
use sqlx::{FromRow, Row, sqlite::SqliteRow};

use super::{Result, Store, from_db, to_db};

/// A sparkline has about this many values.
const SPARKLINE: i64 = 48;

/// A point with its place in the event file.
pub(super) struct PointRow {
    seq: u64,
    time: u64,
    point: Point,
}

impl FromRow<'_, SqliteRow> for PointRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<PointRow> {
        let count = |column: &str| row.try_get::<i64, _>(column).map(from_db);
        let number =
            |column: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<f64>, _>(column)?.unwrap_or(f64::NAN));
        Ok(PointRow {
            seq: count("seq")?,
            time: count("time")?,
            point: Point {
                step: count("step")?,
                epoch: number("epoch")?,
                loss: number("loss")?,
                learning_rate: number("learning_rate")?,
                grad_norm: number("grad_norm")?,
                tokens: count("tokens")?,
                tokens_per_second: number("tokens_per_second")?,
                elapsed_s: number("elapsed_s")?,
                remaining_s: number("remaining_s")?,
            },
        })
    }
}

impl From<PointRow> for Event {
    fn from(row: PointRow) -> Event {
        Event { seq: row.seq, time: row.time, body: EventBody::Point(row.point) }
    }
}

impl Store {
    /// The points after sequence number `after`, in order. Where there are more than `2 × buckets`, each
    /// of `buckets` equal stretches is represented by its highest and its lowest loss, so that no spike
    /// is lost, and the newest point is always there.
    pub(super) async fn points_after(&self, id: &str, after: u64, buckets: u64) -> Result<Vec<PointRow>> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM points WHERE run_id = ? AND seq > ?")
            .bind(id)
            .bind(to_db(after))
            .fetch_one(&self.db)
            .await?;
        if from_db(count) <= 2 * buckets {
            let rows = sqlx::query_as("SELECT * FROM points WHERE run_id = ? AND seq > ? ORDER BY seq")
                .bind(id)
                .bind(to_db(after))
                .fetch_all(&self.db)
                .await?;
            return Ok(rows);
        }
        // With max() or min() SQLite takes the other columns from the row that holds the extreme.
        let mut rows: Vec<PointRow> = sqlx::query_as(
            "WITH mine AS (SELECT * FROM points WHERE run_id = ?1 AND seq > ?2),
                  span AS (SELECT min(seq) AS low, max(seq) - min(seq) + 1 AS width FROM mine)
             SELECT mine.*, max(loss) AS extreme FROM mine, span GROUP BY (seq - low) * ?3 / width
             UNION ALL
             SELECT mine.*, min(loss) AS extreme FROM mine, span GROUP BY (seq - low) * ?3 / width
             UNION ALL
             SELECT * FROM (SELECT *, loss AS extreme FROM mine ORDER BY seq DESC LIMIT 1)",
        )
        .bind(id)
        .bind(to_db(after))
        .bind(to_db(buckets))
        .fetch_all(&self.db)
        .await?;
        rows.sort_by_key(|row| row.seq);
        rows.dedup_by_key(|row| row.seq);
        Ok(rows)
    }

    /// A decimated view of the whole curve: at most about `2 × buckets` points.
    pub async fn curve(&self, id: &str, buckets: u64) -> Result<Vec<Point>> {
        Ok(self.points_after(id, 0, buckets).await?.into_iter().map(|row| row.point).collect())
    }
}

pub(super) async fn insert(
    tx: &mut sqlx::SqliteConnection,
    id: &str,
    seq: u64,
    time: u64,
    point: &Point,
) -> Result<()> {
    // SQLite stores NaN as NULL; infinities are kept out too, so that a curve has a gap there.
    let number = |value: f64| value.is_finite().then_some(value);
    sqlx::query("INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(id)
        .bind(to_db(seq))
        .bind(to_db(time))
        .bind(to_db(point.step))
        .bind(number(point.epoch))
        .bind(number(point.loss))
        .bind(number(point.learning_rate))
        .bind(number(point.grad_norm))
        .bind(to_db(point.tokens))
        .bind(number(point.tokens_per_second))
        .bind(number(point.elapsed_s))
        .bind(number(point.remaining_s))
        .execute(tx)
        .await?;
    Ok(())
}

/// Removes what an earlier attempt wrote beyond the step that training goes on from.
pub(super) async fn void_after(tx: &mut sqlx::SqliteConnection, id: &str, step: u64) -> Result<()> {
    sqlx::query("DELETE FROM points WHERE run_id = ? AND step > ?")
        .bind(id)
        .bind(to_db(step))
        .execute(tx)
        .await?;
    Ok(())
}

/// Number of points, newest loss and the decimated curve, for the row of the run.
pub(super) async fn count(tx: &mut sqlx::SqliteConnection, id: &str) -> Result<u64> {
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM points WHERE run_id = ?").bind(id).fetch_one(tx).await?;
    Ok(from_db(count))
}

pub(super) async fn last_loss(tx: &mut sqlx::SqliteConnection, id: &str) -> Result<Option<f64>> {
    let loss = sqlx::query_scalar("SELECT loss FROM points WHERE run_id = ? ORDER BY seq DESC LIMIT 1")
        .bind(id)
        .fetch_optional(tx)
        .await?;
    Ok(loss.flatten())
}

/// Mean loss of equal stretches of the run.
pub(super) async fn sparkline(tx: &mut sqlx::SqliteConnection, id: &str) -> Result<Vec<f64>> {
    let values = sqlx::query_scalar(
        "WITH mine AS (SELECT seq, loss FROM points WHERE run_id = ?1 AND loss IS NOT NULL),
              span AS (SELECT min(seq) AS low, max(seq) - min(seq) + 1 AS width FROM mine)
         SELECT avg(loss) FROM mine, span GROUP BY (seq - low) * ?2 / width ORDER BY min(seq)",
    )
    .bind(id)
    .bind(SPARKLINE)
    .fetch_all(tx)
    .await?;
    Ok(values)
}
