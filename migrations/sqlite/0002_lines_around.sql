-- Lines of the same stream around a kept record; `around_id` is by which those that come later find it.

alter table samples add column around_id blob;
alter table samples add column lines_before text not null default '';
alter table samples add column lines_after text not null default '';
create index samples_by_around on samples (around_id) where around_id is not null;
