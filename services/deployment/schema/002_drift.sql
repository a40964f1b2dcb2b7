-- What endpoints do by themselves when drift is detected, and what they did.
ALTER TABLE endpoint ADD COLUMN drift_policy bytea NOT NULL DEFAULT '';  -- modelbus.deployment.v1.DriftPolicy

CREATE TABLE drift_action (
    workspace     text   NOT NULL,
    endpoint      text   NOT NULL COLLATE "C",
    episode       text   NOT NULL COLLATE "C",   -- of drift: acted upon once
    number        bigint NOT NULL,               -- of the endpoint, from 1
    decided_at_ms bigint NOT NULL,
    acted         boolean NOT NULL,
    model_name    text   NOT NULL,               -- that drifted
    version       bigint NOT NULL,
    action        bytea  NOT NULL,               -- modelbus.deployment.v1.DriftAction
    PRIMARY KEY (workspace, endpoint, episode)
);
CREATE UNIQUE INDEX drift_action_by_number ON drift_action (workspace, endpoint, number);
