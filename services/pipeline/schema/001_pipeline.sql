-- Pipelines, their runs, and the workers that do them. Times are Unix epoch, ms.

CREATE TABLE pipeline (
    workspace  text    NOT NULL,
    name       text    NOT NULL COLLATE "C",
    version    bigint  NOT NULL,                     -- the newest
    paused     boolean NOT NULL DEFAULT false,
    created_ms bigint  NOT NULL,
    PRIMARY KEY (workspace, name)
);

-- Never changed: a run keeps the version that it began with.
CREATE TABLE pipeline_version (
    workspace  text   NOT NULL,
    pipeline   text   NOT NULL COLLATE "C",
    version    bigint NOT NULL,
    definition bytea  NOT NULL,                      -- modelbus.pipeline.v1.Definition
    sha256     bytea  NOT NULL,
    heard      text[] NOT NULL,                      -- types of events that its triggers name
    applied_by text   NOT NULL,
    applied_ms bigint NOT NULL,
    PRIMARY KEY (workspace, pipeline, version),
    FOREIGN KEY (workspace, pipeline) REFERENCES pipeline ON DELETE CASCADE
);

-- One row, which grows with each change that instances' memories of triggers must see.
CREATE TABLE revision (n bigint NOT NULL);
INSERT INTO revision VALUES (1);

-- When a scheduler was last at work, whichever: nobody could hear workers in between.
CREATE TABLE alive (seen_ms bigint NOT NULL);
INSERT INTO alive VALUES (0);

-- Of each cron trigger of the newest version.
CREATE TABLE trigger_state (
    workspace   text   NOT NULL,
    pipeline    text   NOT NULL COLLATE "C",
    trigger     text   NOT NULL,
    schedule    text   NOT NULL,                     -- expression and zone
    next_due_ms bigint NOT NULL,                     -- what is due; never falls
    last_due_ms bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, pipeline, trigger),
    FOREIGN KEY (workspace, pipeline) REFERENCES pipeline ON DELETE CASCADE
);
CREATE INDEX trigger_due ON trigger_state (next_due_ms);

CREATE TABLE run (
    workspace   text    NOT NULL,
    id          uuid    NOT NULL,                    -- version 7: in order of time
    pipeline    text    NOT NULL COLLATE "C",
    version     bigint  NOT NULL,
    status      text    NOT NULL CHECK (status IN ('running', 'cancelling', 'succeeded', 'failed', 'cancelled')),
    begun       boolean NOT NULL DEFAULT false,      -- its tasks are made
    serial      boolean NOT NULL,                    -- begins when no other of its pipeline is active
    reason      text    NOT NULL DEFAULT '',
    body        bytea   NOT NULL,                    -- modelbus.pipeline.v1.PipelineRun: cause, parameters, who
    trigger     text    NOT NULL,
    logical_ms  bigint  NOT NULL,                    -- 0: it is for no time
    cause_id    text    NOT NULL,                    -- of the event; empty: none
    depth       integer NOT NULL,                    -- runs before it in a chain
    trace_id    text    NOT NULL,
    traceparent text    NOT NULL,
    deadline_ms bigint  NOT NULL,                    -- 0: none
    created_ms  bigint  NOT NULL,
    finished_ms bigint  NOT NULL DEFAULT 0,
    revision    bigint  NOT NULL DEFAULT 1,
    resumed     integer NOT NULL DEFAULT 0,
    PRIMARY KEY (id)
);
CREATE INDEX run_list ON run (workspace, id);
CREATE INDEX run_of ON run (workspace, pipeline, id);
CREATE INDEX run_active ON run (workspace, pipeline) WHERE finished_ms = 0;
CREATE INDEX run_to_begin ON run (id) WHERE NOT begun;
CREATE INDEX run_deadline ON run (deadline_ms) WHERE finished_ms = 0 AND deadline_ms > 0;
CREATE INDEX run_over ON run (finished_ms) WHERE finished_ms > 0;
CREATE INDEX run_trace ON run (trace_id);
-- A time, and an event, start a run once.
CREATE UNIQUE INDEX run_of_time ON run (workspace, pipeline, trigger, logical_ms) WHERE logical_ms > 0;
CREATE UNIQUE INDEX run_of_event ON run (workspace, pipeline, trigger, cause_id) WHERE cause_id <> '';

-- A row a task of the definition.
CREATE TABLE task (
    run         uuid     NOT NULL REFERENCES run ON DELETE CASCADE,
    place       integer  NOT NULL,                   -- in the definition
    status      smallint NOT NULL DEFAULT 0,         -- enum task_status
    reason      text     NOT NULL DEFAULT '',
    list        text[],                              -- items of its map
    items       integer  NOT NULL DEFAULT 0,
    next_item   integer  NOT NULL DEFAULT 0,
    redo        bigint[] NOT NULL DEFAULT '{}',      -- items below next_item that are to start again
    succeeded   integer  NOT NULL DEFAULT 0,
    failed      integer  NOT NULL DEFAULT 0,
    active      integer  NOT NULL DEFAULT 0,         -- items with an attempt that has not ended
    finished_ms bigint   NOT NULL DEFAULT 0,
    PRIMARY KEY (run, place)
);

-- A row an attempt of an item; its id is the lease, so that whoever holds an older one holds nothing.
CREATE TABLE attempt (
    lease           uuid     NOT NULL PRIMARY KEY,
    workspace       text     NOT NULL,
    run             uuid     NOT NULL REFERENCES run ON DELETE CASCADE,
    place           integer  NOT NULL,
    index           integer  NOT NULL,               -- of the item; -1: no map
    attempt         integer  NOT NULL,               -- from 1
    status          text     NOT NULL,
    spec            bytea    NOT NULL,               -- modelbus.pipeline.v1.Lease, filled in
    item            text     NOT NULL,
    failures        integer  NOT NULL,               -- attempts before it that failed, and that were lost
    losses          integer  NOT NULL,
    stale           boolean  NOT NULL DEFAULT false, -- its task has begun anew since
    cpu             float8   NOT NULL,
    memory_mb       bigint   NOT NULL,
    gpu             integer  NOT NULL,
    labels          text[]   NOT NULL,               -- 'name=value'
    due_ms          bigint   NOT NULL,
    cache_key       bytea,
    worker          text     NOT NULL DEFAULT '',
    instance        text     NOT NULL DEFAULT '',
    leased_until_ms bigint   NOT NULL DEFAULT 0,
    stop_ms         bigint   NOT NULL DEFAULT 0,     -- running: its time is over then
    stop            text     NOT NULL DEFAULT '',    -- why it is to end: 'cancelled', 'timeout'
    started_ms      bigint   NOT NULL DEFAULT 0,
    finished_ms     bigint   NOT NULL DEFAULT 0,
    exit_code       integer  NOT NULL DEFAULT 0,
    reason          text     NOT NULL DEFAULT '',
    outputs         bytea    NOT NULL DEFAULT '',    -- modelbus.pipeline.v1.Attempt: its outputs
    log_uri         text     NOT NULL DEFAULT '',
    log_bytes       bigint   NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX attempt_of ON attempt (run, place, index, attempt);
CREATE INDEX attempt_ready ON attempt (workspace, due_ms, lease) WHERE status = 'ready';
CREATE INDEX attempt_due ON attempt (due_ms) WHERE status = 'ready';
CREATE INDEX attempt_leased ON attempt (leased_until_ms) WHERE status = 'running';
CREATE INDEX attempt_stop ON attempt (stop_ms) WHERE status = 'running' AND stop = '';
CREATE INDEX attempt_worker ON attempt (workspace, worker) WHERE status = 'running';

-- What a task says while it runs; gone some time after the whole log is an artifact.
CREATE TABLE log_chunk (
    lease  uuid   NOT NULL REFERENCES attempt ON DELETE CASCADE,
    start  bigint NOT NULL,
    data   bytea  NOT NULL,
    PRIMARY KEY (lease, start)
);

CREATE TABLE worker (
    workspace text    NOT NULL,
    name      text    NOT NULL COLLATE "C",
    instance  text    NOT NULL,
    replaced  text    NOT NULL DEFAULT '',           -- the instance before, which is refused
    since_ms  bigint  NOT NULL,
    body      bytea   NOT NULL,                      -- modelbus.pipeline.v1.Worker: labels, capacity, host, version
    drain     boolean NOT NULL DEFAULT false,        -- somebody has asked for it
    stopping  boolean NOT NULL DEFAULT false,        -- it says so itself
    seen_ms   bigint  NOT NULL,
    PRIMARY KEY (workspace, name)
);

CREATE TABLE output_cache (
    workspace text   NOT NULL,
    key       bytea  NOT NULL,
    outputs   bytea  NOT NULL,                       -- modelbus.pipeline.v1.Attempt
    at_ms     bigint NOT NULL,
    PRIMARY KEY (workspace, key)
);
