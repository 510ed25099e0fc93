//! Rule files: what to look for, as data. Parse, check, compile to one [`RuleSet`].
//!
//! A rule names patterns that are searched **line by line** (`^` and `$` are the ends of a line, and `^` stands behind a
//! shipper's stamp too), excludes that take a
//! line back, and example lines of both kinds that `homeostat check` and the tests run. The regex engine takes linear
//! time, so no rule can hang the daemon. Patterns are ASCII unless they say `(?u)`.
//!
//! Pure: no clock, no database; [`RuleSet::load_dir`] is the one function that reads files.

mod adjust;
mod beside_ids;
mod best;
mod builtin;
mod escape;
mod examples;
mod groups;
mod lazy;
mod levels;
mod parse;
mod report;
mod rule;
mod set;
mod stamp;

pub use crate::base::search::{Cost, RequiredLiterals};
pub use adjust::{Adjustment, check_pattern};
pub use rule::{Origin, Rule, RuleProblem};
pub use set::RuleSet;
