-- How endpoints are watched, the rows that are compared, and what was found. Every key starts with
-- the workspace.

-- What the registry has said: the sample of the training run behind a version, what the model takes.
CREATE TABLE known_version (
    workspace  text   NOT NULL,
    model_name text   NOT NULL COLLATE "C",
    version    bigint NOT NULL,
    registered bytea  NOT NULL,                  -- modelbus.registry.v1.ModelRegistered without metrics and tags
    PRIMARY KEY (workspace, model_name, version)
);

-- What windows are compared with: a version's sample (endpoint ''), or the first rows that
-- an endpoint predicted with it.
CREATE TABLE reference (
    workspace  text   NOT NULL,
    model_name text   NOT NULL COLLATE "C",
    version    bigint NOT NULL,
    endpoint   text   NOT NULL COLLATE "C",
    head       bytea  NOT NULL,                  -- modelbus.monitoring.v1.Reference
    rows       bytea  NOT NULL,                  -- reservoir.h
    PRIMARY KEY (workspace, model_name, version, endpoint)
);

CREATE TABLE monitor (
    workspace text   NOT NULL,
    endpoint  text   NOT NULL COLLATE "C",
    revision  bigint NOT NULL,                   -- another one with each change: what memory holds may be stale
    rules     bytea  NOT NULL,                   -- modelbus.monitoring.v1.MonitorRules
    state     bytea  NOT NULL,                   -- modelbus.monitoring.v1.WatchState
    PRIMARY KEY (workspace, endpoint)
) WITH (fillfactor = 70);

-- Rows drawn from the panes that are not judged yet, piece by piece as they came.
CREATE TABLE pane_part (
    workspace text   NOT NULL,
    endpoint  text   NOT NULL COLLATE "C",
    pane      bigint NOT NULL,
    part      bigint NOT NULL,
    rows      bytea  NOT NULL,                   -- reservoir.h
    PRIMARY KEY (workspace, endpoint, pane, part)
);

CREATE TABLE report (
    workspace text    NOT NULL,
    id        text    NOT NULL COLLATE "C",
    endpoint  text    NOT NULL COLLATE "C",
    number    bigint  NOT NULL,                  -- of the window
    version   bigint  NOT NULL,
    drifted   boolean NOT NULL,
    head      bytea   NOT NULL,                  -- modelbus.monitoring.v1.Report without columns
    detail    bytea   NOT NULL,                  -- the columns and histograms of the same
    PRIMARY KEY (workspace, id)
);
CREATE UNIQUE INDEX report_by_window ON report (workspace, endpoint, number);
