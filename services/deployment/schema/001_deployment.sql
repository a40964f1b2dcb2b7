-- Endpoints, their history and what the pods report. Every key starts with the workspace.

-- What the registry has said: versions and where aliases point.
CREATE TABLE known_version (
    workspace  text   NOT NULL,
    model_name text   NOT NULL COLLATE "C",
    version    bigint NOT NULL,
    target     bytea  NOT NULL,                  -- modelbus.deployment.v1.Target
    PRIMARY KEY (workspace, model_name, version)
);

CREATE TABLE known_alias (
    workspace  text   NOT NULL,
    model_name text   NOT NULL COLLATE "C",
    alias      text   NOT NULL COLLATE "C",
    version    bigint NOT NULL,                  -- 0: removed
    revision   bigint NOT NULL,
    PRIMARY KEY (workspace, model_name, alias)
);

-- A deleted endpoint stays as a row: pods learn that it is gone, and a later one of the same
-- name goes on counting its generation.
CREATE TABLE endpoint (
    workspace      text    NOT NULL,
    name           text    NOT NULL COLLATE "C",
    model_name     text    NOT NULL COLLATE "C",
    alias          text    NOT NULL COLLATE "C", -- '': stays at fixed_version
    fixed_version  bigint  NOT NULL,
    generation     bigint  NOT NULL,             -- of the desired state; 0: there was none yet
    target_model   text    NOT NULL COLLATE "C",
    target_version bigint  NOT NULL,             -- 0: no target
    target         bytea   NOT NULL,             -- modelbus.deployment.v1.Target
    good           bytea   NOT NULL,             -- the last target that loaded well
    held           boolean NOT NULL,
    deleted        boolean NOT NULL,
    detail         text    NOT NULL,
    created_at_ms  bigint  NOT NULL,
    updated_at_ms  bigint  NOT NULL,
    PRIMARY KEY (workspace, name)
);
CREATE INDEX endpoint_by_model ON endpoint (workspace, model_name);

CREATE TABLE endpoint_change (
    workspace       text   NOT NULL,
    endpoint        text   NOT NULL COLLATE "C",
    generation      bigint NOT NULL,
    target          bytea  NOT NULL,
    reason          text   NOT NULL,
    changed_by      text   NOT NULL,
    changed_at_ms   bigint NOT NULL,
    outcome         text   NOT NULL DEFAULT 'pending' CHECK (outcome IN ('pending', 'served', 'failed')),
    detail          text   NOT NULL DEFAULT '',
    rollback_before bigint NOT NULL,             -- a rollback from here looks at older generations
    PRIMARY KEY (workspace, endpoint, generation)
);

CREATE TABLE pod (
    workspace      text    NOT NULL,
    endpoint       text    NOT NULL COLLATE "C",
    pod            text    NOT NULL COLLATE "C",
    generation     bigint  NOT NULL,
    model_name     text    NOT NULL,
    version        bigint  NOT NULL,             -- that it serves; 0: none
    loaded         boolean NOT NULL,             -- the target of the generation, not a fallback
    error          text    NOT NULL,
    load_ms        float8  NOT NULL,
    swap_us        float8  NOT NULL,
    reported_at_ms bigint  NOT NULL,
    PRIMARY KEY (workspace, endpoint, pod)
) WITH (fillfactor = 80);
