-- Predictions beside what turned out to be true of them, for endpoints whose rules have a task. Whoever
-- changes rows of an endpoint here has locked its row of monitor.

CREATE TABLE label_state (
    workspace text  NOT NULL,
    endpoint  text  NOT NULL COLLATE "C",
    state     bytea NOT NULL,                    -- modelbus.monitoring.v1.LabelState
    PRIMARY KEY (workspace, endpoint)
) WITH (fillfactor = 70);

CREATE TABLE prediction (
    workspace  text             NOT NULL,
    endpoint   text             NOT NULL COLLATE "C",
    id         text             NOT NULL COLLATE "C",
    model_name text             NOT NULL COLLATE "C",
    version    bigint           NOT NULL,
    at_ms      bigint           NOT NULL,        -- by the pod's clock, Unix epoch
    output     double precision NOT NULL,
    label      double precision,                 -- NULL: none came yet
    PRIMARY KEY (workspace, endpoint, id)
) WITH (fillfactor = 80);
-- An expression (names have no newlines), so that only what looks for old rows uses it: of two indexes that begin
-- with the same columns PostgreSQL may take the wrong one for ids, as long as it has not analyzed a new table.
CREATE INDEX prediction_by_time ON prediction ((workspace || E'\n' || endpoint), at_ms);

-- Predictions with their labels that are in no window yet.
CREATE TABLE labelled (
    workspace  text             NOT NULL,
    endpoint   text             NOT NULL COLLATE "C",
    model_name text             NOT NULL COLLATE "C",
    version    bigint           NOT NULL,
    joined     bigint           NOT NULL,        -- in the order of the endpoint's labels
    at_ms      bigint           NOT NULL,
    output     double precision NOT NULL,
    label      double precision NOT NULL,
    PRIMARY KEY (workspace, endpoint, model_name, version, joined)
);

-- Labels that came before their predictions.
CREATE TABLE label_waiting (
    workspace   text   NOT NULL,
    endpoint    text   NOT NULL COLLATE "C",
    id          text   NOT NULL COLLATE "C",     -- of the prediction
    value       text   NOT NULL,
    received_ms bigint NOT NULL,                 -- by the service's clock, Unix epoch
    PRIMARY KEY (workspace, endpoint, id)
);
CREATE INDEX label_waiting_by_time ON label_waiting ((workspace || E'\n' || endpoint), received_ms);

CREATE TABLE performance_report (
    workspace text    NOT NULL,
    id        text    NOT NULL COLLATE "C",
    endpoint  text    NOT NULL COLLATE "C",
    number    bigint  NOT NULL,                  -- of the window
    version   bigint  NOT NULL,
    degraded  boolean NOT NULL,
    report    bytea   NOT NULL,                  -- modelbus.monitoring.v1.PerformanceReport
    PRIMARY KEY (workspace, id)
);
CREATE UNIQUE INDEX performance_report_by_window ON performance_report (workspace, endpoint, number);
