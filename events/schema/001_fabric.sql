-- The event fabric of one service: events out, events in, replies kept for repeated commands.

-- Events that commit with the rows that caused them; see events/outbox.h.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    key bytea,
    value bytea,
    headers bytea NOT NULL, -- events/headers.h
    created_at timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    refused text -- why the broker will never take it; set with published_at
);
-- What the relay reads; empty when nothing waits.
CREATE INDEX outbox_unpublished ON outbox (id) WHERE published_at IS NULL;
-- What pruning reads: rows arrive in this order, so a block range index is enough.
CREATE INDEX outbox_created ON outbox USING brin (created_at) WITH (pages_per_range = 32);

-- Clusters that this service has published to.
CREATE TABLE bus_cluster (
    cluster text PRIMARY KEY,
    first_seen_at timestamptz NOT NULL DEFAULT now()
);

-- Events that were handled: the first 16 bytes of SHA-256 over source, NUL, id.
CREATE TABLE inbox (
    key uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX inbox_at ON inbox USING brin (at) WITH (pages_per_range = 32);

-- The next offset to read; moved by compare-and-set, which fences a stale consumer.
CREATE TABLE bus_offset (
    cluster text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next bigint NOT NULL,
    PRIMARY KEY (cluster, topic, partition)
) WITH (fillfactor = 10); -- hot rows: updates stay on their page

-- Messages that could not be handled, whole, until somebody replays or drops them.
CREATE TABLE dead_letter (
    id text PRIMARY KEY, -- <service>/<cluster>/<topic>/<partition>/<offset>
    workspace text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key bytea,
    value bytea,
    headers bytea NOT NULL,
    event_type text NOT NULL,
    error_code text NOT NULL,
    error_message text NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT now(),
    replayed_at timestamptz
);
CREATE INDEX dead_letter_page ON dead_letter (workspace, failed_at DESC, id DESC);

-- Replies to commands, for requests that come twice; see shared/rpc/rpc.h.
CREATE TABLE rpc_request (
    workspace text NOT NULL,
    subject text NOT NULL,
    request_id text NOT NULL,
    method text NOT NULL,
    body_sha256 bytea NOT NULL,
    reply bytea,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, subject, request_id)
);
CREATE INDEX rpc_request_at ON rpc_request USING brin (at) WITH (pages_per_range = 32);
