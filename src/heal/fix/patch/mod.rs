//! What a patch is made of: its tests, the rest, and what its proof cannot vouch for.

mod answers;
mod assertions;
mod forged;
mod integrity;
mod split;

pub use crate::heal::policy::{Finding, is_test_path};
pub use integrity::{Look, examine};
pub use split::{Plan, plan};
