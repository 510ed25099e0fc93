//! What a patch is made of: its tests, the rest, and what its proof cannot vouch for.

mod inline;
mod integrity;
mod split;
mod test_path;

pub use integrity::{Finding, examine};
pub use split::{Plan, plan};
pub use test_path::is_test_path;
