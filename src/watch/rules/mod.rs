//! Rule files: what to look for, as data. Parse, check, compile to one `RuleSet`.
