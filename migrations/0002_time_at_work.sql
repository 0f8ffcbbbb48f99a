-- Milliseconds that a run's earlier workers were at work, and since when the present one is.
ALTER TABLE runs ADD COLUMN worked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN working_since INTEGER;

UPDATE runs SET
    worked = coalesce((
        SELECT sum((
            SELECT min(later.time) FROM transitions later
            WHERE later.run_id = attempt.run_id AND later.id > attempt.id
                AND later.to_state IN ('finished', 'stopped', 'failed', 'interrupted')
        ) - attempt.time)
        FROM transitions attempt WHERE attempt.run_id = runs.id AND attempt.to_state = 'preparing'
    ), 0),
    working_since = (
        SELECT max(time) FROM transitions
        WHERE run_id = runs.id AND to_state = 'preparing'
            AND runs.state IN ('preparing', 'running', 'stopping')
    );
