-- Experiments, runs and what runs log. Every key starts with the workspace.

CREATE TABLE experiment (
    workspace     text   NOT NULL,
    name          text   NOT NULL COLLATE "C",
    tags          bytea  NOT NULL DEFAULT '',   -- modelbus.experiment.v1.Experiment with tags only
    created_at_ms bigint NOT NULL,
    PRIMARY KEY (workspace, name)
);

CREATE TABLE run (
    workspace      text     NOT NULL,
    run_id         text     NOT NULL COLLATE "C",
    experiment     text     NOT NULL COLLATE "C",
    run_name       text     NOT NULL,
    status         smallint NOT NULL,           -- modelbus.experiment.v1.RunStatus
    started_at_ms  bigint   NOT NULL,
    finished_at_ms bigint   NOT NULL DEFAULT 0,
    started_by     text     NOT NULL,
    revision       bigint   NOT NULL DEFAULT 1,
    -- Bytes of params, tags, latest metrics and models: they fit one event (EXPERIMENT_RUN_MAX).
    detail_bytes   bigint   NOT NULL DEFAULT 0,
    CONSTRAINT run_detail_bounded CHECK (detail_bytes <= 786432),
    PRIMARY KEY (workspace, run_id)
) WITH (fillfactor = 80);
CREATE INDEX run_by_time ON run (workspace, started_at_ms, run_id);
CREATE INDEX run_by_experiment ON run (workspace, experiment, started_at_ms, run_id);

CREATE TABLE param (
    workspace text NOT NULL,
    run_id    text NOT NULL COLLATE "C",
    key       text NOT NULL COLLATE "C",
    value     text NOT NULL,
    PRIMARY KEY (workspace, run_id, key)
);

CREATE TABLE tag (
    workspace text NOT NULL,
    run_id    text NOT NULL COLLATE "C",
    key       text NOT NULL COLLATE "C",
    value     text NOT NULL,
    PRIMARY KEY (workspace, run_id, key)
);

-- Every point, in the order of arrival.
CREATE TABLE metric (
    workspace    text   NOT NULL,
    run_id       text   NOT NULL COLLATE "C",
    key          text   NOT NULL COLLATE "C",
    seq          bigint GENERATED ALWAYS AS IDENTITY,
    step         bigint NOT NULL,
    timestamp_ms bigint NOT NULL,
    value        float8 NOT NULL,
    PRIMARY KEY (workspace, run_id, key, seq)
);

-- The point of the highest (step, time) of each key.
CREATE TABLE metric_latest (
    workspace    text   NOT NULL,
    run_id       text   NOT NULL COLLATE "C",
    key          text   NOT NULL COLLATE "C",
    step         bigint NOT NULL,
    timestamp_ms bigint NOT NULL,
    value        float8 NOT NULL,
    PRIMARY KEY (workspace, run_id, key)
) WITH (fillfactor = 80);

CREATE TABLE model (
    workspace  text  NOT NULL,
    run_id     text  NOT NULL COLLATE "C",
    model_name text  NOT NULL COLLATE "C",
    model      bytea NOT NULL,                  -- modelbus.experiment.v1.AttachedModel
    PRIMARY KEY (workspace, run_id, model_name)
);
