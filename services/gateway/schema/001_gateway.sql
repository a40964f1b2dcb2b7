-- API tokens. Only the SHA-256 of a token is kept.
CREATE TABLE token (
    id            text    PRIMARY KEY,           -- UUIDv7: ordered by creation
    workspace     text    NOT NULL,
    hash          bytea   NOT NULL UNIQUE CHECK (length(hash) = 32),
    subject       text    NOT NULL,
    roles         integer NOT NULL,              -- bits of enum auth_role
    scopes        text    NOT NULL DEFAULT '',   -- space-separated narrowing
    created_at_ms bigint  NOT NULL,
    created_by    text    NOT NULL,
    expires_at_ms bigint  NOT NULL DEFAULT 0,    -- 0: never
    revoked_at_ms bigint  NOT NULL DEFAULT 0     -- 0: not revoked
);
CREATE INDEX token_of_workspace ON token (workspace, id);
CREATE INDEX token_live ON token (id) WHERE revoked_at_ms = 0;
