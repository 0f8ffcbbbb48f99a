-- A step reports named numbers, whichever its stage measures: a JSON object, in the order in which they were reported.
-- One is null where the worker reported a number that is not finite.
CREATE TABLE metered (
    run_id            TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq               INTEGER NOT NULL,
    time              INTEGER NOT NULL,
    step              INTEGER NOT NULL,
    epoch             REAL,
    metrics           TEXT NOT NULL,
    tokens            INTEGER NOT NULL,
    tokens_per_second REAL,
    elapsed_s         REAL,
    remaining_s       REAL,
    PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

-- Long curves at a glance: the lowest and the highest value of each metric, and their sum, in each 128 sequence numbers.
DROP TRIGGER points_into_stretches;
DROP TABLE stretches;
CREATE TABLE stretches (
    run_id   TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    metric   TEXT NOT NULL,
    stretch  INTEGER NOT NULL,
    low      REAL,
    low_seq  INTEGER NOT NULL,
    high     REAL,
    high_seq INTEGER NOT NULL,
    total    REAL NOT NULL,
    -- Values that are numbers.
    count    INTEGER NOT NULL,
    PRIMARY KEY (run_id, metric, stretch)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER metrics_into_stretches AFTER INSERT ON metered BEGIN
    INSERT INTO stretches (run_id, metric, stretch, low, low_seq, high, high_seq, total, count)
    SELECT new.run_id, key, new.seq / 128, value, new.seq, value, new.seq, coalesce(value, 0.0), value IS NOT NULL
    -- The condition tells ON CONFLICT from the ON of a join.
    FROM json_each(new.metrics) WHERE true
    ON CONFLICT DO UPDATE SET
        low_seq = CASE WHEN low IS NULL OR excluded.low < low THEN excluded.low_seq ELSE low_seq END,
        low = min(coalesce(low, excluded.low), coalesce(excluded.low, low)),
        high_seq = CASE WHEN high IS NULL OR excluded.high > high THEN excluded.high_seq ELSE high_seq END,
        high = max(coalesce(high, excluded.high), coalesce(excluded.high, high)),
        total = total + excluded.total,
        count = count + excluded.count;
END;

-- Points of earlier versions, in the order in which transformers reports their metrics. Seventeen digits give a double
-- back as it was; without the `!` SQLite writes sixteen at most, https://sqlite.org/printf.html.
INSERT INTO metered (run_id, seq, time, step, epoch, metrics, tokens, tokens_per_second, elapsed_s, remaining_s)
    SELECT run_id, seq, time, step, epoch,
        '{"loss":' || iif(loss IS NULL, 'null', printf('%!.17g', loss))
            || ',"grad_norm":' || iif(grad_norm IS NULL, 'null', printf('%!.17g', grad_norm))
            || ',"learning_rate":' || iif(learning_rate IS NULL, 'null', printf('%!.17g', learning_rate)) || '}',
        tokens, tokens_per_second, elapsed_s, remaining_s
    FROM points;

DROP TABLE points;
ALTER TABLE metered RENAME TO points;
