-- Models, their versions and aliases. Every key starts with the workspace.

CREATE TABLE model (
    workspace     text   NOT NULL,
    name          text   NOT NULL COLLATE "C",
    description   text   NOT NULL DEFAULT '',
    tags          bytea  NOT NULL DEFAULT '',    -- modelbus.registry.v1.ModelVersion with tags only
    last_version  bigint NOT NULL DEFAULT 0,     -- highest number ever given; never goes back
    revision      bigint NOT NULL DEFAULT 1,
    created_at_ms bigint NOT NULL,
    PRIMARY KEY (workspace, name)
) WITH (fillfactor = 50);                        -- last_version is updated in place (HOT)

-- No foreign key to model: the statement that numbers a version writes the model's row too,
-- models are never deleted, and this is the hot path.
CREATE TABLE version (
    workspace     text     NOT NULL,
    name          text     NOT NULL COLLATE "C",
    version       bigint   NOT NULL CHECK (version > 0),
    stage         smallint NOT NULL DEFAULT 1,   -- modelbus.registry.v1.Stage
    run_id        text     NOT NULL,
    description   text     NOT NULL,
    tags          bytea    NOT NULL,             -- modelbus.registry.v1.ModelVersion with tags only
    detail        bytea    NOT NULL,             -- the same with artifact, metrics, features, sample
    created_at_ms bigint   NOT NULL,
    created_by    text     NOT NULL,
    revision      bigint   NOT NULL DEFAULT 1,
    PRIMARY KEY (workspace, name, version)
);

-- At most one version of a model is in production: the champion.
CREATE UNIQUE INDEX version_production ON version (workspace, name) WHERE stage = 3;

-- A removed alias stays as a row without version, so that its revision goes on counting.
CREATE TABLE alias (
    workspace   text   NOT NULL,
    name        text   NOT NULL COLLATE "C",
    alias       text   NOT NULL COLLATE "C",
    version     bigint,
    revision    bigint NOT NULL,
    moved_at_ms bigint NOT NULL,
    moved_by    text   NOT NULL,
    PRIMARY KEY (workspace, name, alias),
    FOREIGN KEY (workspace, name, version) REFERENCES version
);
