-- Alerts, what is configured for them, and who is to be told. Every key starts with the workspace.
-- Times are Unix epoch, ms.

-- Rules, receivers, routes and inhibitions that somebody has put.
CREATE TABLE config (
    workspace text  NOT NULL,
    kind      text  NOT NULL CHECK (kind IN ('rule', 'receiver', 'route', 'inhibition')),
    name      text  NOT NULL COLLATE "C",
    body      bytea NOT NULL,                       -- AlertRule, AlertReceiver, AlertRoute, AlertInhibition
    PRIMARY KEY (workspace, kind, name)
);

-- One row an episode; of those with the same labels at most one fires.
CREATE TABLE alert (
    workspace          text    NOT NULL,
    id                 uuid    NOT NULL,            -- version 7: in order of time
    fingerprint        text    NOT NULL,
    rule               text    NOT NULL,
    body               bytea   NOT NULL,            -- modelbus.alert.v1.Alert: what does not change
    annotations        bytea   NOT NULL,            -- Alert with those of the last event
    firing             boolean NOT NULL,
    started_at_ms      bigint  NOT NULL,
    resolve_at_ms      bigint  NOT NULL,            -- by time; 0: not
    resolved_at_ms     bigint  NOT NULL,
    resolved_by        text    NOT NULL,
    acknowledged_at_ms bigint  NOT NULL,            -- 0: nobody has
    acknowledged_by    text    NOT NULL,
    comment            text    NOT NULL,
    events             bigint  NOT NULL,
    last_event_at_ms   bigint  NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE UNIQUE INDEX alert_firing ON alert (workspace, fingerprint) WHERE firing;
CREATE INDEX alert_by_time ON alert (resolve_at_ms) WHERE firing AND resolve_at_ms > 0;
CREATE INDEX alert_resolved ON alert (resolved_at_ms) WHERE NOT firing;

CREATE TABLE silence (
    workspace     text   NOT NULL,
    id            uuid   NOT NULL,
    body          bytea  NOT NULL,                  -- modelbus.alert.v1.Silence
    ends_at_ms    bigint NOT NULL,
    PRIMARY KEY (workspace, id)
);

-- What a receiver is to be told of a group of alerts. Once attempted, body stays as it is, and what
-- happens after that goes into a later row; rows of kind 'change' of a group are told in order of seq.
CREATE TABLE notification (
    seq              bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id               uuid    NOT NULL UNIQUE,
    workspace        text    NOT NULL,
    receiver         text    NOT NULL,
    route            text    NOT NULL,
    group_key        text    NOT NULL,
    kind             text    NOT NULL CHECK (kind IN ('change', 'repeat', 'escalation')),
    held             boolean NOT NULL DEFAULT false, -- all its alerts are silenced or inhibited
    done             boolean NOT NULL DEFAULT false, -- delivered or given up
    created_at_ms    bigint  NOT NULL,
    due_at_ms        bigint  NOT NULL,               -- while it is attempted: when to think it lost
    attempts         bigint  NOT NULL DEFAULT 0,
    attempted_at_ms  bigint  NOT NULL DEFAULT 0,     -- first
    body             bytea   NOT NULL DEFAULT '',    -- modelbus.alert.v1.AlertGroup, from the first attempt on
    delivered_at_ms  bigint  NOT NULL DEFAULT 0,
    error            text    NOT NULL DEFAULT ''
);
CREATE INDEX notification_due ON notification (due_at_ms) WHERE NOT done;
CREATE INDEX notification_group ON notification (workspace, receiver, group_key, seq);
CREATE INDEX notification_turn ON notification (workspace, receiver, group_key, seq) WHERE NOT done;
CREATE UNIQUE INDEX notification_repeat ON notification (workspace, receiver, group_key)
    WHERE kind = 'repeat' AND NOT done;
CREATE INDEX notification_done ON notification (delivered_at_ms) WHERE done;

CREATE TABLE notification_alert (
    seq       bigint  NOT NULL REFERENCES notification ON DELETE CASCADE,
    workspace text    NOT NULL,
    alert_id  uuid    NOT NULL,
    firing    boolean NOT NULL,
    PRIMARY KEY (seq, alert_id)
);
CREATE INDEX notification_alert_of ON notification_alert (workspace, alert_id);
