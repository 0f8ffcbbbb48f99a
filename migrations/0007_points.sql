-- Logged steps lie in `logged`, with all that a stage measures. `points` shows them with the columns that it had as a
-- table, one for each metric of every stage, so that queries from outside go on working.
ALTER TABLE points RENAME TO logged;

CREATE VIEW points (
    run_id, seq, time, step, epoch, loss, learning_rate, grad_norm, tokens, tokens_per_second, elapsed_s, remaining_s
) AS SELECT
    run_id, seq, time, step, epoch, loss, json_extract(metrics, '$.learning_rate'), json_extract(metrics, '$.grad_norm'),
    tokens, tokens_per_second, elapsed_s, remaining_s
FROM logged;

CREATE TRIGGER insert_into_points INSTEAD OF INSERT ON points BEGIN
    INSERT INTO logged (run_id, seq, time, step, epoch, metrics, tokens, tokens_per_second, elapsed_s, remaining_s)
    VALUES (
        new.run_id, new.seq, new.time, new.step, new.epoch,
        '{"loss":' || iif(new.loss IS NULL, 'null', printf('%!.17g', new.loss))
            || ',"grad_norm":' || iif(new.grad_norm IS NULL, 'null', printf('%!.17g', new.grad_norm))
            || ',"learning_rate":' || iif(new.learning_rate IS NULL, 'null', printf('%!.17g', new.learning_rate)) || '}',
        new.tokens, new.tokens_per_second, new.elapsed_s, new.remaining_s
    );
END;

-- The row's stretch is summed up again without it.
CREATE TRIGGER delete_from_points INSTEAD OF DELETE ON points BEGIN
    DELETE FROM logged WHERE run_id = old.run_id AND seq = old.seq;
    DELETE FROM stretches WHERE run_id = old.run_id AND stretch = old.seq / 128;
    INSERT INTO stretches (run_id, metric, stretch, low, low_seq, high, high_seq, total, count)
    SELECT old.run_id, low.metric, old.seq / 128, low.value, low.seq, high.value, high.seq, low.total, low.count
    FROM (
        SELECT key AS metric, seq, min(value) AS value, total(value) AS total, count(value) AS count
        FROM logged, json_each(logged.metrics)
        WHERE run_id = old.run_id AND seq >= old.seq / 128 * 128 AND seq < (old.seq / 128 + 1) * 128
        GROUP BY key
    ) low JOIN (
        SELECT key AS metric, seq, max(value) AS value
        FROM logged, json_each(logged.metrics)
        WHERE run_id = old.run_id AND seq >= old.seq / 128 * 128 AND seq < (old.seq / 128 + 1) * 128
        GROUP BY key
    ) high USING (metric);
END;
