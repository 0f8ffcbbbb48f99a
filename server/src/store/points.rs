//! The table `points`: the logged steps of every run.

use recipe::{Event, EventBody, Point};
use sqlx::{FromRow, Row, sqlite::SqliteRow};

use super::{Result, Store, from_db, to_db};

/// A sparkline has about this many values.
const SPARKLINE: i64 = 48;

/// A row of `stretches` stands for so many sequence numbers; the table is kept by a trigger of the schema.
const STRETCH: u64 = 32;

/// The points of the lowest and the highest loss in each `?4` of the numbers from `?2` to `?3`, those before the first
/// whole stretch, and the newest. With max() or min() SQLite takes the other columns from the row that holds the
/// extreme; bucket by bucket it reads the numbers in their order, where GROUP BY would sort them.
macro_rules! extremes {
    ($table:literal, $number:literal, $low:literal, $low_seq:literal, $high:literal, $high_seq:literal, $scale:literal) => {
        concat!(
            "WITH RECURSIVE bucket(first, next) AS (
                SELECT ?2, ?2 + ?4 UNION ALL SELECT next, next + ?4 FROM bucket WHERE next <= ?3
             ),
             chosen(seq) AS (
                SELECT (SELECT seq FROM (SELECT t.",
            $low_seq,
            " AS seq, min(t.",
            $low,
            ") FROM ",
            $table,
            " t
                    WHERE t.run_id = ?1 AND t.",
            $number,
            " >= bucket.first AND t.",
            $number,
            " < bucket.next)) FROM bucket
                UNION
                SELECT (SELECT seq FROM (SELECT t.",
            $high_seq,
            " AS seq, max(t.",
            $high,
            ") FROM ",
            $table,
            " t
                    WHERE t.run_id = ?1 AND t.",
            $number,
            " >= bucket.first AND t.",
            $number,
            " < bucket.next)) FROM bucket
                UNION
                SELECT seq FROM points WHERE run_id = ?1 AND seq > ?5 AND seq < ?2 * ",
            $scale,
            "
                UNION
                SELECT max(seq) FROM points WHERE run_id = ?1
             )
             SELECT points.* FROM chosen CROSS JOIN points
             WHERE points.run_id = ?1 AND points.seq = chosen.seq ORDER BY points.seq"
        )
    };
}

const OF_POINTS: &str = extremes!("points", "seq", "loss", "seq", "loss", "seq", "1");
const OF_STRETCHES: &str = extremes!("stretches", "stretch", "low", "low_seq", "high", "high_seq", "32");

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
        let many: Option<i64> = sqlx::query_scalar(
            "SELECT seq FROM points WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT 1 OFFSET ?",
        )
        .bind(id)
        .bind(to_db(after))
        .bind(to_db(2 * buckets))
        .fetch_optional(&self.db)
        .await?;
        if many.is_none() {
            let rows = sqlx::query_as("SELECT * FROM points WHERE run_id = ? AND seq > ? ORDER BY seq")
                .bind(id)
                .bind(to_db(after))
                .fetch_all(&self.db)
                .await?;
            return Ok(rows);
        }
        let last: i64 = sqlx::query_scalar("SELECT max(seq) FROM points WHERE run_id = ?")
            .bind(id)
            .fetch_one(&self.db)
            .await?;
        let last = from_db(last);
        // As fine as there are buckets: from the table of stretches where it has enough of them.
        let (sql, first, last) = match (last - after) / STRETCH >= buckets {
            true => (OF_STRETCHES, after / STRETCH + 1, last / STRETCH),
            false => (OF_POINTS, after + 1, last),
        };
        let width = (last + 1).saturating_sub(first).div_ceil(buckets).max(1);
        let rows = sqlx::query_as(sql)
            .bind(id)
            .bind(to_db(first))
            .bind(to_db(last))
            .bind(to_db(width))
            .bind(to_db(after))
            .fetch_all(&self.db)
            .await?;
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

/// Removes what an earlier attempt wrote beyond the step that training goes on from: the last points, as steps grow
/// with sequence numbers.
pub(super) async fn void_after(tx: &mut sqlx::SqliteConnection, id: &str, step: u64) -> Result<()> {
    let kept: Option<i64> =
        sqlx::query_scalar("SELECT seq FROM points WHERE run_id = ? AND step <= ? ORDER BY seq DESC LIMIT 1")
            .bind(id)
            .bind(to_db(step))
            .fetch_optional(&mut *tx)
            .await?;
    let kept = kept.map_or(0, from_db);
    let gone = sqlx::query("DELETE FROM points WHERE run_id = ? AND seq > ?")
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
        "INSERT INTO stretches SELECT ?1, ?2, low.loss, low.seq, high.loss, high.seq, whole.total, whole.count
         FROM (SELECT seq, min(loss) AS loss FROM points WHERE run_id = ?1 AND seq >= ?3) low,
              (SELECT seq, max(loss) AS loss FROM points WHERE run_id = ?1 AND seq >= ?3) high,
              (SELECT coalesce(sum(loss), 0.0) AS total, count(loss) AS count, count(*) AS points
               FROM points WHERE run_id = ?1 AND seq >= ?3) whole
         WHERE whole.points > 0",
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
    const FINE: &str = "WITH mine AS (SELECT seq, loss FROM points WHERE run_id = ?1 AND loss IS NOT NULL),
              span AS (SELECT min(seq) AS low, max(seq) - min(seq) + 1 AS width FROM mine)
         SELECT avg(loss) FROM mine, span GROUP BY (seq - low) * ?2 / width ORDER BY min(seq)";
    const COARSE: &str = "WITH mine AS (SELECT * FROM stretches WHERE run_id = ?1 AND count > 0),
              span AS (SELECT min(stretch) AS first, max(stretch) - min(stretch) + 1 AS width FROM mine)
         SELECT sum(total) / sum(count) FROM mine, span GROUP BY (stretch - first) * ?2 / width ORDER BY min(stretch)";
    let stretches: i64 = sqlx::query_scalar("SELECT count(*) FROM stretches WHERE run_id = ?")
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
    let sql = if stretches > 8 * SPARKLINE { COARSE } else { FINE };
    let values = sqlx::query_scalar(sql).bind(id).bind(SPARKLINE).fetch_all(tx).await?;
    Ok(values)
}
