//! The program. Everything is in the library; see its map.

use std::process::ExitCode;

fn main() -> ExitCode {
    homeostat::cli::main()
}
