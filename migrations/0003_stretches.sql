-- When the newest event was written: one that is older is a repetition.
ALTER TABLE runs ADD COLUMN last_time INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET last_time = max(
    coalesce((SELECT max(time) FROM events WHERE run_id = runs.id), 0),
    coalesce((SELECT max(time) FROM points WHERE run_id = runs.id), 0)
);

-- How often the run was queued again by itself after it was cut off, and from which checkpoint's step.
ALTER TABLE runs ADD COLUMN resumed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN resumed_step INTEGER NOT NULL DEFAULT 0;

CREATE INDEX runs_by_age ON runs (created DESC, id DESC);
DROP INDEX runs_by_created;

-- Long curves at a glance: the lowest and the highest loss, and the mean, of each 32 sequence numbers.
CREATE TABLE stretches (
    run_id   TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    stretch  INTEGER NOT NULL,
    low      REAL,
    low_seq  INTEGER NOT NULL,
    high     REAL,
    high_seq INTEGER NOT NULL,
    total    REAL NOT NULL,
    -- Points whose loss is a number.
    count    INTEGER NOT NULL,
    PRIMARY KEY (run_id, stretch)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER points_into_stretches AFTER INSERT ON points BEGIN
    INSERT INTO stretches VALUES (
        new.run_id, new.seq / 32, new.loss, new.seq, new.loss, new.seq,
        coalesce(new.loss, 0.0), new.loss IS NOT NULL
    )
    ON CONFLICT DO UPDATE SET
        low_seq = CASE WHEN low IS NULL OR excluded.low < low THEN excluded.low_seq ELSE low_seq END,
        low = min(coalesce(low, excluded.low), coalesce(excluded.low, low)),
        high_seq = CASE WHEN high IS NULL OR excluded.high > high THEN excluded.high_seq ELSE high_seq END,
        high = max(coalesce(high, excluded.high), coalesce(excluded.high, high)),
        total = total + excluded.total,
        count = count + excluded.count;
END;

-- With max() or min() SQLite takes the other columns from the row that holds the extreme.
INSERT INTO stretches
    SELECT low.run_id, low.stretch, low.extreme, low.seq, high.extreme, high.seq, low.total, low.count
    FROM (
        SELECT run_id, seq / 32 AS stretch, seq, min(loss) AS extreme, coalesce(sum(loss), 0.0) AS total,
            count(loss) AS count
        FROM points GROUP BY run_id, seq / 32
    ) low
    JOIN (
        SELECT run_id, seq / 32 AS stretch, seq, max(loss) AS extreme FROM points GROUP BY run_id, seq / 32
    ) high ON high.run_id = low.run_id AND high.stretch = low.stretch;
