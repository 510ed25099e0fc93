-- What a service has spent in a day, and the few calls whose usage is not known.

create index spend_by_service on spend (service, at, state, amount);
create index spend_open on spend (at, id) where state <> 'settled';
