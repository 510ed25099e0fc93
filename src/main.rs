//! homeostat
fn main() {}
