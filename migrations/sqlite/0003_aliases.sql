-- Fingerprints whose occurrences count for the issue of another one. An alias that was taken back stays as history.

create table aliases (
    id blob primary key,
    service text not null,
    identity blob not null,
    issue_id blob not null references issues (id),
    why text not null,
    made_by text not null,
    made_at integer not null,
    count integer not null,
    ended_by text,
    ended_at integer
) strict;
create unique index aliases_in_force on aliases (service, identity) where ended_at is null;
create index aliases_by_identity on aliases (service, identity);
create index aliases_by_issue on aliases (issue_id, made_at, id);
create index aliases_by_version on aliases (identity) where why = 'new_version';

-- An issue that counts for another one keeps its state beneath. No reference: a new issue would have to look for those merged into it.
alter table issues add column merged_into blob;
drop index issues_by_state;
create index issues_by_state on issues (action, state, muted_until, merged_into, count);

-- The fingerprint of a record that came by a merge.
alter table samples add column identity blob;

-- Suggestions to merge that a person does not want to see again.
create table dismissals (
    service text not null,
    pattern text not null,
    actor text not null,
    at integer not null,
    primary key (service, pattern)
) strict, without rowid;

insert into meta (key, value) values ('alias_lock', '');
