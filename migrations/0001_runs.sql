-- Times are Unix milliseconds throughout.

CREATE TABLE runs (
    id               TEXT PRIMARY KEY,
    name             TEXT NOT NULL,
    state            TEXT NOT NULL,
    reason           TEXT,
    model            TEXT NOT NULL,
    dataset          TEXT NOT NULL,
    stage            TEXT NOT NULL,
    method           TEXT NOT NULL,
    template         TEXT,
    -- The recipe as the user wrote it; the run folder holds it with its paths resolved.
    recipe           TEXT NOT NULL,
    created          INTEGER NOT NULL,
    -- Place in the queue: the run queued first starts first.
    queued           INTEGER NOT NULL,
    started          INTEGER,
    ended            INTEGER,

    -- The worker: a process is named by its id and start time within one boot of the machine.
    worker_pid       INTEGER,
    worker_start     INTEGER,
    worker_boot      TEXT,
    -- What the user asked for while the worker was live: 'stop' or 'cancel'.
    ending           TEXT,

    -- How far events.jsonl has been read. Advances in one transaction with what was read.
    offset           INTEGER NOT NULL DEFAULT 0,
    last_seq         INTEGER NOT NULL DEFAULT 0,
    -- The worker's own account of its end ('finished', 'stopped', 'failed').
    outcome          TEXT,
    outcome_reason   TEXT,

    step             INTEGER NOT NULL DEFAULT 0,
    total_steps      INTEGER NOT NULL DEFAULT 0,
    num_examples     INTEGER,
    trainable_params INTEGER,
    total_params     INTEGER,
    last_loss        REAL,
    point_count      INTEGER NOT NULL DEFAULT 0,
    -- Decimated loss curve as a JSON array, and the number of points it was drawn from.
    sparkline        TEXT NOT NULL DEFAULT '[]',
    sparkline_count  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX runs_by_state ON runs (state, queued);
CREATE INDEX runs_by_created ON runs (created DESC);

CREATE TABLE transitions (
    id         INTEGER PRIMARY KEY,
    run_id     TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    from_state TEXT,
    to_state   TEXT NOT NULL,
    reason     TEXT,
    time       INTEGER NOT NULL
) STRICT;

CREATE INDEX transitions_by_run ON transitions (run_id, id);

-- Logged steps. A number is NULL where the worker reported one that is not finite.
CREATE TABLE points (
    run_id            TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq               INTEGER NOT NULL,
    time              INTEGER NOT NULL,
    step              INTEGER NOT NULL,
    epoch             REAL,
    loss              REAL,
    learning_rate     REAL,
    grad_norm         REAL,
    tokens            INTEGER NOT NULL,
    tokens_per_second REAL,
    elapsed_s         REAL,
    remaining_s       REAL,
    PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

-- Everything else that a worker reports: phases, starts, evaluations, checkpoints, log lines, ends.
CREATE TABLE events (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq    INTEGER NOT NULL,
    time   INTEGER NOT NULL,
    kind   TEXT NOT NULL,
    step   INTEGER,
    -- The event as JSON, as in events.jsonl.
    body   TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX events_by_kind ON events (run_id, kind, seq);
