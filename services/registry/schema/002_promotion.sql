-- By which rule a challenger takes an alias, what versions reached on evaluation windows, and what was decided.
CREATE TABLE promotion_policy (
    workspace text  NOT NULL,
    name      text  NOT NULL COLLATE "C",
    alias     text  NOT NULL COLLATE "C",
    policy    bytea NOT NULL,                    -- modelbus.registry.v1.PromotionPolicy
    PRIMARY KEY (workspace, name, alias),
    FOREIGN KEY (workspace, name) REFERENCES model
);

CREATE TABLE evaluation (
    workspace       text   NOT NULL,
    name            text   NOT NULL COLLATE "C",
    version         bigint NOT NULL,
    data            text   NOT NULL COLLATE "C", -- the window
    evaluated_at_ms bigint NOT NULL,
    evaluation      bytea  NOT NULL,             -- modelbus.registry.v1.Evaluation
    PRIMARY KEY (workspace, name, version, data),
    FOREIGN KEY (workspace, name, version) REFERENCES version ON DELETE CASCADE
);

-- A challenger is judged once on a window.
CREATE TABLE promotion (
    workspace  text   NOT NULL,
    name       text   NOT NULL COLLATE "C",
    alias      text   NOT NULL COLLATE "C",
    challenger bigint NOT NULL,
    data       text   NOT NULL COLLATE "C",
    decision   bytea  NOT NULL,                  -- modelbus.registry.v1.PromotionDecided
    PRIMARY KEY (workspace, name, alias, challenger, data),
    FOREIGN KEY (workspace, name, challenger) REFERENCES version ON DELETE CASCADE
);
