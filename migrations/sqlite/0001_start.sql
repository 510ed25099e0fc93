-- Times are microseconds since 1970 UTC, ids are UUIDs of 16 bytes, money is nano-dollars. See src/store/mod.rs.

create table meta (
    key text primary key,
    value text not null
) strict, without rowid;
insert into meta (key, value) values ('paused', 'false'), ('spend_lock', ''), ('audit_head', '0:');

-- What was seen.

create table issues (
    id blob primary key,
    service text not null,
    identity blob not null,
    exact blob not null,
    place blob,
    template text not null,
    preimage text not null,
    title text not null,
    title_folded text not null,
    rule text not null,
    severity text not null,
    action text not null,
    runtime text not null,
    state text not null,
    state_since integer not null,
    muted_until integer,
    count integer not null,
    first_seen integer not null,
    last_seen integer not null,
    updated_at integer not null,
    last_acted_at integer,
    unique (service, identity)
) strict;
create index issues_by_identity on issues (identity);
create index issues_by_last_seen on issues (last_seen, id);
create index issues_by_state on issues (action, state, muted_until, count);

create table minutes (
    issue_id blob not null references issues (id),
    minute integer not null,
    count integer not null,
    primary key (issue_id, minute)
) strict, without rowid;

create table samples (
    issue_id blob not null references issues (id),
    seq integer not null,
    at integer not null,
    text text not null,
    origin text not null,
    revision text,
    primary key (issue_id, seq)
) strict;

create table timeline (
    seq integer primary key,
    issue_id blob not null references issues (id),
    at integer not null,
    actor text not null,
    what text not null,
    detail text not null
) strict;
create index timeline_by_issue on timeline (issue_id, at, seq);

create table cursors (
    stream text primary key,
    cursor text not null,
    updated_at integer not null
) strict;

create table gaps (
    seq integer primary key,
    stream text not null,
    service text not null,
    noticed_at integer not null,
    lost_from text not null,
    lost_to text not null,
    reason text not null
) strict;

create table deliveries (
    key text primary key,
    committed_at integer not null
) strict, without rowid;

-- What is to be done.

create table jobs (
    id blob primary key,
    issue_id blob references issues (id),
    unique_key text not null unique,
    kind text not null,
    priority integer not null,
    run_at integer not null,
    state text not null,
    n_failures integer not null,
    n_leases integer not null,
    payload text not null,
    progress text,
    result text,
    is_cancel_requested integer not null,
    lease_token blob,
    lease_owner text,
    lease_expires_at integer,
    created_at integer not null,
    updated_at integer not null
) strict;
create index jobs_due on jobs (priority desc, run_at, id) where state in ('queued', 'running');
create index jobs_by_issue on jobs (issue_id, created_at, id);
create index jobs_by_age on jobs (created_at, id);
create index jobs_by_kind on jobs (kind, state);

create table steps (
    job_id blob not null references jobs (id),
    seq integer not null,
    at integer not null,
    name text not null,
    detail text not null,
    primary key (job_id, seq)
) strict;

-- What was tried, and what it cost.

create table attempts (
    id blob primary key,
    issue_id blob not null references issues (id),
    job_id blob not null,
    number integer not null,
    model text not null,
    base_commit text not null,
    started_at integer not null,
    ended_at integer,
    outcome text,
    report text not null,
    patch text not null,
    validation text,
    cost integer not null,
    n_model_calls integer not null,
    n_tool_calls integer not null,
    unique (issue_id, number)
) strict;

create table transcript (
    attempt_id blob not null references attempts (id),
    seq integer not null,
    at integer not null,
    entry text not null,
    primary key (attempt_id, seq)
) strict;

-- `amount` is what counts: the reservation until it is settled, then the cost. No reference to attempts: money is counted whatever else is lost.
create table spend (
    id blob primary key,
    attempt_id blob not null,
    issue_id blob not null,
    service text not null,
    model text not null,
    state text not null,
    reserved integer not null,
    amount integer not null,
    input_tokens integer not null,
    cache_write_tokens integer not null,
    cache_read_tokens integer not null,
    output_tokens integer not null,
    at integer not null,
    settled_at integer
) strict;
create index spend_by_attempt on spend (attempt_id, state, amount);
create index spend_by_issue on spend (issue_id, state, amount);
create index spend_by_time on spend (at, state, amount);

create table tickets (
    id blob primary key,
    issue_id blob not null references issues (id),
    tracker text not null,
    key text not null,
    url text not null,
    opened_at integer not null,
    unique (issue_id, tracker)
) strict;

create table proposals (
    id blob primary key,
    issue_id blob not null references issues (id),
    attempt_id blob not null unique,
    forge text not null,
    key text not null,
    url text not null,
    branch text not null,
    base_branch text not null,
    head text not null,
    files text not null,
    title text not null,
    body text not null,
    is_draft integer not null,
    state text not null,
    opened_at integer not null,
    updated_at integer not null
) strict;
create index proposals_by_issue on proposals (issue_id, opened_at, id);

-- The local tracker.

create table local_tickets (
    number integer primary key,
    marker text not null unique,
    title text not null,
    body text not null,
    is_open integer not null,
    opened_at integer not null
) strict;

create table local_comments (
    number integer not null references local_tickets (number),
    seq integer not null,
    marker text not null,
    at integer not null,
    body text not null,
    primary key (number, seq),
    unique (number, marker)
) strict;

-- Who changed what.

create table audit (
    seq integer primary key,
    at integer not null,
    actor text not null,
    action text not null,
    subject text not null,
    detail text not null,
    hash blob not null
) strict;
