//! What the tests begin with in which things happen at random: the same on every run, unless the environment says otherwise.

use homeostat::base::env;

/// How many things happen: `HOMEOSTAT_ACTIONS`, else `in_the_suite`.
pub(crate) fn n_actions(in_the_suite: u64) -> u64 {
    number_of(env::TEST_ACTIONS, in_the_suite)
}

/// How often something is killed: `HOMEOSTAT_KILLS`, else `in_the_suite`.
pub(crate) fn n_kills(in_the_suite: u64) -> u64 {
    number_of(env::TEST_KILLS, in_the_suite)
}

/// `HOMEOSTAT_SEED`, else always the same.
pub(crate) fn seed() -> u64 {
    number_of(env::TEST_SEED, 1)
}

fn number_of(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |it| it.parse().expect("a number"))
}
