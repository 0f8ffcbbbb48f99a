//! The table `logged`: the logged steps of every run.

use recipe::{Event, EventBody, Metrics, Point, metrics::LOSS};
use sqlx::{FromRow, Row, sqlite::SqliteRow};

use super::{Result, Store, from_db, to_db};

/// A sparkline has about this many values.
const SPARKLINE: i64 = 48;

/// A row of `stretches` stands for so many sequence numbers; the table is kept by a trigger of the schema.
const STRETCH: u64 = 128;

/// The metrics of run `?1`: one look into the index for each, where DISTINCT would read all rows of the run.
macro_rules! names {
    () => {
        "WITH RECURSIVE metric(name) AS (
            SELECT min(metric) FROM stretches WHERE run_id = ?1
            UNION ALL
            SELECT (SELECT min(metric) FROM stretches WHERE run_id = ?1 AND metric > name)
            FROM metric WHERE name IS NOT NULL
         )"
    };
}

const COUNT_NAMES: &str = concat!(names!(), "SELECT count(name) FROM metric");

/// The points of the lowest and the highest value of each metric in each `?4` of the stretches from `?2` up to `?3`, each
/// `?6`th number after `?5`, those before the first whole stretch, and the newest. With max() or min() SQLite takes the
/// other columns from the row that holds the extreme; bucket by bucket it reads the stretches in their order, where
/// GROUP BY would sort them.
const CURVE: &str = concat!(
    names!(),
    ", bucket(first, next) AS (
        SELECT ?2, ?2 + ?4 UNION ALL SELECT next, next + ?4 FROM bucket WHERE next < ?3
     ),
     place(number) AS (
        SELECT ?5 + 1 UNION ALL SELECT number + ?6 FROM place WHERE number + ?6 <= ?7
     ),
     chosen(seq) AS (
        SELECT (SELECT seq FROM (SELECT t.low_seq AS seq, min(t.low) FROM stretches t
            WHERE t.run_id = ?1 AND t.metric = name AND t.stretch >= bucket.first AND t.stretch < bucket.next))
        FROM metric, bucket WHERE name IS NOT NULL
        UNION
        SELECT (SELECT seq FROM (SELECT t.high_seq AS seq, max(t.high) FROM stretches t
            WHERE t.run_id = ?1 AND t.metric = name AND t.stretch >= bucket.first AND t.stretch < bucket.next))
        FROM metric, bucket WHERE name IS NOT NULL
        UNION
        SELECT (SELECT min(seq) FROM logged WHERE run_id = ?1 AND seq >= number) FROM place
        UNION
        SELECT seq FROM logged WHERE run_id = ?1 AND seq > ?5 AND seq < ?2 * ?8
        UNION
        SELECT max(seq) FROM logged WHERE run_id = ?1
     )
     SELECT logged.* FROM chosen CROSS JOIN logged
     WHERE logged.run_id = ?1 AND logged.seq = chosen.seq ORDER BY logged.seq"
);

/// A point with its place in the event file.
pub(super) struct PointRow {
    pub seq: u64,
    time: u64,
    point: Point,
}

impl FromRow<'_, SqliteRow> for PointRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<PointRow> {
        let count = |column: &str| row.try_get::<i64, _>(column).map(from_db);
        let number =
            |column: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<f64>, _>(column)?.unwrap_or(f64::NAN));
        let metrics: Metrics = serde_json::from_str(row.try_get("metrics")?)
            .map_err(|e| sqlx::Error::ColumnDecode { index: "metrics".to_owned(), source: Box::new(e) })?;
        Ok(PointRow {
            seq: count("seq")?,
            time: count("time")?,
            point: Point {
                step: count("step")?,
                epoch: number("epoch")?,
                metrics,
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
    /// The points after sequence number `after`, in order. Where there are more than `2 × buckets`, about so many of
    /// them: half at equal distances, half those of the highest and the lowest value of each metric in equal parts of
    /// the run, so that no spike of any is lost; and the newest. The more metrics, the larger the parts; the fewer parts
    /// there can be, the more points at equal distances.
    pub(super) async fn points_after(&self, id: &str, after: u64, buckets: u64) -> Result<Vec<PointRow>> {
        let many: Option<i64> = sqlx::query_scalar(
            "SELECT seq FROM logged WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT 1 OFFSET ?",
        )
        .bind(id)
        .bind(to_db(after))
        .bind(to_db(2 * buckets))
        .fetch_optional(&self.db)
        .await?;
        if many.is_none() {
            let rows = sqlx::query_as("SELECT * FROM logged WHERE run_id = ? AND seq > ? ORDER BY seq")
                .bind(id)
                .bind(to_db(after))
                .fetch_all(&self.db)
                .await?;
            return Ok(rows);
        }
        let last: i64 = sqlx::query_scalar("SELECT max(seq) FROM logged WHERE run_id = ?")
            .bind(id)
            .fetch_one(&self.db)
            .await?;
        let metrics: i64 = sqlx::query_scalar(COUNT_NAMES).bind(id).fetch_one(&self.db).await?;
        let (last, metrics) = (from_db(last), from_db(metrics).max(1));
        // The first stretch that is wholly after `after`.
        let (first, end) = (if after == 0 { 0 } else { after / STRETCH + 1 }, last / STRETCH + 1);
        let stretches = end.saturating_sub(first);
        let parts = (buckets / (2 * metrics)).clamp(1, stretches.max(1));
        let evenly = (2 * buckets).saturating_sub(2 * parts * metrics);
        let rows = sqlx::query_as(CURVE)
            .bind(id)
            .bind(to_db(first))
            .bind(to_db(end))
            .bind(to_db(stretches.div_ceil(parts).max(1)))
            .bind(to_db(after))
            .bind(to_db((last - after).div_ceil(evenly.max(1)).max(1)))
            .bind(to_db(last))
            .bind(to_db(STRETCH))
            .fetch_all(&self.db)
            .await?;
        Ok(rows)
    }

    /// A decimated view of the whole curve: at most about `2 × buckets` points.
    ///
    /// # Errors
    /// If the database fails.
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
    let metrics = serde_json::to_string(&point.metrics).map_err(|e| sqlx::Error::Encode(Box::new(e)))?;
    sqlx::query(
        "INSERT INTO logged
            (run_id, seq, time, step, epoch, metrics, tokens, tokens_per_second, elapsed_s, remaining_s)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id)
    .bind(to_db(seq))
    .bind(to_db(time))
    .bind(to_db(point.step))
    .bind(number(point.epoch))
    .bind(metrics)
    .bind(to_db(point.tokens))
    .bind(number(point.tokens_per_second))
    .bind(number(point.elapsed_s))
    .bind(number(point.remaining_s))
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes what an earlier attempt wrote beyond the step that training goes on from: the last points, as steps grow
/// with sequence numbers.
pub(super) async fn void_after(tx: &mut sqlx::SqliteConnection, id: &str, step: u64) -> Result<()> {
    let kept: Option<i64> =
        sqlx::query_scalar("SELECT seq FROM logged WHERE run_id = ? AND step <= ? ORDER BY seq DESC LIMIT 1")
            .bind(id)
            .bind(to_db(step))
            .fetch_optional(&mut *tx)
            .await?;
    let kept = kept.map_or(0, from_db);
    let gone = sqlx::query("DELETE FROM logged WHERE run_id = ? AND seq > ?")
        .bind(id)
        .bind(to_db(kept))
        .execute(&mut *tx)
        .await?;
    if gone.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query("DELETE FROM stretches WHERE run_id = ? AND stretch >= ?")
        .bind(id)
        .bind(to_db(kept / STRETCH))
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "WITH samples AS (
            SELECT key AS metric, seq, value FROM logged, json_each(logged.metrics)
            WHERE run_id = ?1 AND seq >= ?3
         )
         INSERT INTO stretches (run_id, metric, stretch, low, low_seq, high, high_seq, total, count)
         SELECT ?1, low.metric, ?2, low.value, low.seq, high.value, high.seq, low.total, low.count
         FROM (SELECT metric, seq, min(value) AS value, total(value) AS total, count(value) AS count
               FROM samples GROUP BY metric) low
         JOIN (SELECT metric, seq, max(value) AS value FROM samples GROUP BY metric) high USING (metric)",
    )
    .bind(id)
    .bind(to_db(kept / STRETCH))
    .bind(to_db(kept / STRETCH * STRETCH))
    .execute(tx)
    .await?;
    Ok(())
}

/// Number of points, newest loss and the decimated curve, for the row of the run.
pub(super) async fn count(tx: &mut sqlx::SqliteConnection, id: &str) -> Result<u64> {
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM logged WHERE run_id = ?").bind(id).fetch_one(tx).await?;
    Ok(from_db(count))
}

pub(super) async fn last_loss(tx: &mut sqlx::SqliteConnection, id: &str) -> Result<Option<f64>> {
    const SQL: &str = "SELECT loss FROM logged WHERE run_id = ? ORDER BY seq DESC LIMIT 1";
    let loss: Option<Option<f64>> = sqlx::query_scalar(SQL).bind(id).fetch_optional(tx).await?;
    Ok(loss.flatten())
}

/// Mean losses of equal stretches of the run.
pub(super) async fn sparkline(tx: &mut sqlx::SqliteConnection, id: &str) -> Result<Vec<f64>> {
    const FINE: &str = "WITH mine AS (
            SELECT seq, loss AS value FROM logged WHERE run_id = ?1 AND loss IS NOT NULL
         ),
         span AS (SELECT min(seq) AS low, max(seq) - min(seq) + 1 AS width FROM mine)
         SELECT avg(value) FROM mine, span GROUP BY (seq - low) * ?2 / width ORDER BY min(seq)";
    const COARSE: &str = "WITH mine AS (SELECT * FROM stretches WHERE run_id = ?1 AND metric = ?3 AND count > 0),
         span AS (SELECT min(stretch) AS first, max(stretch) - min(stretch) + 1 AS width FROM mine)
         SELECT sum(total) / sum(count) FROM mine, span GROUP BY (stretch - first) * ?2 / width ORDER BY min(stretch)";
    let stretches: i64 = sqlx::query_scalar("SELECT count(*) FROM stretches WHERE run_id = ? AND metric = ?")
        .bind(id)
        .bind(LOSS)
        .fetch_one(&mut *tx)
        .await?;
    let values = match stretches > 2 * SPARKLINE {
        true => sqlx::query_scalar(COARSE).bind(id).bind(SPARKLINE).bind(LOSS).fetch_all(tx).await?,
        false => sqlx::query_scalar(FINE).bind(id).bind(SPARKLINE).fetch_all(tx).await?,
    };
    Ok(values)
}
