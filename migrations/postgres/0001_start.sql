-- Times are microseconds since 1970 UTC, ids are UUIDs, money is nano-dollars. See src/store/mod.rs.

create table meta (
    key text primary key,
    value text not null
);
insert into meta (key, value) values ('paused', 'false'), ('spend_lock', ''), ('audit_head', '0:');

-- What was seen.

create table issues (
    id uuid primary key,
    service text not null,
    identity bytea not null,
    exact bytea not null,
    place bytea,
    template text not null,
    preimage text not null,
    title text not null,
    title_folded text not null,
    rule text not null,
    severity text not null,
    action text not null,
    runtime text not null,
    state text not null,
    state_since bigint not null,
    muted_until bigint,
    count bigint not null,
    first_seen bigint not null,
    last_seen bigint not null,
    updated_at bigint not null,
    last_acted_at bigint,
    unique (service, identity)
);
create index issues_by_identity on issues (identity);
create index issues_by_last_seen on issues (last_seen, id);
create index issues_by_state on issues (action, state, muted_until, count);

create table minutes (
    issue_id uuid not null references issues (id),
    minute bigint not null,
    count bigint not null,
    primary key (issue_id, minute)
);

create table samples (
    issue_id uuid not null references issues (id),
    seq bigint not null,
    at bigint not null,
    text text not null,
    origin text not null,
    revision text,
    primary key (issue_id, seq)
);

create table timeline (
    seq bigint generated always as identity primary key,
    issue_id uuid not null references issues (id),
    at bigint not null,
    actor text not null,
    what text not null,
    detail text not null
);
create index timeline_by_issue on timeline (issue_id, at, seq);

create table cursors (
    stream text primary key,
    cursor text not null,
    updated_at bigint not null
);

create table gaps (
    seq bigint generated always as identity primary key,
    stream text not null,
    service text not null,
    noticed_at bigint not null,
    lost_from text not null,
    lost_to text not null,
    reason text not null
);

create table deliveries (
    key text primary key,
    committed_at bigint not null
);

-- What is to be done.

create table jobs (
    id uuid primary key,
    issue_id uuid references issues (id),
    unique_key text not null unique,
    kind text not null,
    priority bigint not null,
    run_at bigint not null,
    state text not null,
    n_failures bigint not null,
    n_leases bigint not null,
    payload text not null,
    progress text,
    result text,
    is_cancel_requested boolean not null,
    lease_token uuid,
    lease_owner text,
    lease_expires_at bigint,
    created_at bigint not null,
    updated_at bigint not null
);
create index jobs_due on jobs (priority desc, run_at, id) where state in ('queued', 'running');
create index jobs_by_issue on jobs (issue_id, created_at, id);
create index jobs_by_age on jobs (created_at, id);
create index jobs_by_kind on jobs (kind, state);

create table steps (
    job_id uuid not null references jobs (id),
    seq bigint not null,
    at bigint not null,
    name text not null,
    detail text not null,
    primary key (job_id, seq)
);

-- What was tried, and what it cost.

create table attempts (
    id uuid primary key,
    issue_id uuid not null references issues (id),
    job_id uuid not null,
    number bigint not null,
    model text not null,
    base_commit text not null,
    started_at bigint not null,
    ended_at bigint,
    outcome text,
    report text not null,
    patch text not null,
    validation text,
    cost bigint not null,
    n_model_calls bigint not null,
    n_tool_calls bigint not null,
    unique (issue_id, number)
);

create table transcript (
    attempt_id uuid not null references attempts (id),
    seq bigint not null,
    at bigint not null,
    entry text not null,
    primary key (attempt_id, seq)
);

-- `amount` is what counts: the reservation until it is settled, then the cost. No reference to attempts: money is counted whatever else is lost.
create table spend (
    id uuid primary key,
    attempt_id uuid not null,
    issue_id uuid not null,
    service text not null,
    model text not null,
    state text not null,
    reserved bigint not null,
    amount bigint not null,
    input_tokens bigint not null,
    cache_write_tokens bigint not null,
    cache_read_tokens bigint not null,
    output_tokens bigint not null,
    at bigint not null,
    settled_at bigint
);
create index spend_by_attempt on spend (attempt_id, state, amount);
create index spend_by_issue on spend (issue_id, state, amount);
create index spend_by_time on spend (at, state, amount);

create table tickets (
    id uuid primary key,
    issue_id uuid not null references issues (id),
    tracker text not null,
    key text not null,
    url text not null,
    opened_at bigint not null,
    unique (issue_id, tracker)
);

create table proposals (
    id uuid primary key,
    issue_id uuid not null references issues (id),
    attempt_id uuid not null unique,
    forge text not null,
    key text not null,
    url text not null,
    branch text not null,
    base_branch text not null,
    head text not null,
    files text not null,
    title text not null,
    body text not null,
    is_draft boolean not null,
    state text not null,
    opened_at bigint not null,
    updated_at bigint not null
);
create index proposals_by_issue on proposals (issue_id, opened_at, id);

-- The local tracker.

create table local_tickets (
    number bigint generated always as identity primary key,
    marker text not null unique,
    title text not null,
    body text not null,
    is_open boolean not null,
    opened_at bigint not null
);

create table local_comments (
    number bigint not null references local_tickets (number),
    seq bigint not null,
    marker text not null,
    at bigint not null,
    body text not null,
    primary key (number, seq),
    unique (number, marker)
);

-- Who changed what.

create table audit (
    seq bigint primary key,
    at bigint not null,
    actor text not null,
    action text not null,
    subject text not null,
    detail text not null,
    hash bytea not null
);
