//! What a run of tests says of each test, read from what the runner prints.
//!
//! An exit code is no result: a change that ends the program early, or a test that skips itself, ends with 0 as well. So the
//! console output of the common runners is read ([`read`]), and two runs are compared test by test ([`compare`]).
//!
//! **Why the console and no report file.** Whatever a runner writes, the code under test can write too: it runs as the same user, in
//! the same process or as its child, and learns the path of a report from the command line. A file (JUnit XML and the like) is
//! therefore no harder to forge, a second format to read, and missing from half of the runners. The console has two advantages: most
//! runners take the output of a test away while it runs, so that a printed line does not get there by itself; and it says the same
//! thing three times (a line per test, a summary, the exit code) which have to agree. Forged lines *add*, and what is too much is a
//! contradiction; a run that is cut off *lacks* its summary. Only code that does both on purpose gets through, and that takes what
//! the rules on patches look for (`fix/patch`). Results that contradict themselves are never taken for a pass: [`Results::Broken`].

mod by_count;
pub(super) mod compare;
mod go;
mod javascript;
mod jvm;
mod libtest;
mod pytest;
mod tap;
mod told;
mod unittest;

use told::Part;
pub(super) use told::{Results, Told};

/// A runner's way of telling results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Pytest,
    Unittest,
    /// The `spec` reporter of Node's own runner.
    NodeSpec,
    Tap,
    Libtest,
    Go,
    /// Maven's surefire and failsafe.
    Surefire,
    /// JUnit's own console runners, versions 4 and 5.
    JunitConsole,
    Gradle,
    Minitest,
    TestUnit,
    Rspec,
    Phpunit,
    Jest,
    Vitest,
    Mocha,
    Dotnet,
    Ctest,
}

impl Form {
    /// Every form: where nothing is known of a command but its words.
    pub(super) const ALL: &[Self] = &[
        Self::Pytest,
        Self::Unittest,
        Self::NodeSpec,
        Self::Tap,
        Self::Libtest,
        Self::Go,
        Self::Surefire,
        Self::JunitConsole,
        Self::Gradle,
        Self::Minitest,
        Self::TestUnit,
        Self::Rspec,
        Self::Phpunit,
        Self::Jest,
        Self::Vitest,
        Self::Mocha,
        Self::Dotnet,
        Self::Ctest,
    ];

    /// What the lines say in this form, if they are in it.
    fn part(self, lines: &[&str]) -> Option<Part> {
        match self {
            Self::Pytest => pytest::read(lines),
            Self::Unittest => unittest::read(lines),
            Self::NodeSpec => javascript::node_spec(lines),
            Self::Tap => tap::read(lines),
            Self::Libtest => libtest::read(lines),
            Self::Go => go::read(lines),
            Self::Surefire => jvm::surefire(lines),
            Self::JunitConsole => jvm::junit_console(lines),
            Self::Gradle => jvm::gradle(lines),
            Self::Minitest => by_count::read(&by_count::MINITEST, lines),
            Self::TestUnit => by_count::read(&by_count::TEST_UNIT, lines),
            Self::Rspec => by_count::read(&by_count::RSPEC, lines),
            Self::Phpunit => by_count::read(&by_count::PHPUNIT, lines),
            Self::Jest => by_count::read(&by_count::JEST, lines),
            Self::Vitest => by_count::read(&by_count::VITEST, lines),
            Self::Mocha => by_count::read(&by_count::MOCHA, lines),
            Self::Dotnet => by_count::read(&by_count::DOTNET, lines),
            Self::Ctest => by_count::read(&by_count::CTEST, lines),
        }
    }
}

/// Reads a run's whole output. `forms` are those that its command may use; a command may run several runners, one after another.
pub(super) fn read(output: &str, exit_code: i64, forms: &[Form]) -> Results {
    let lines: Vec<&str> = output.lines().collect();
    let parts: Vec<Part> = forms.iter().filter_map(|form| form.part(&lines)).collect();
    told::join(parts, exit_code)
}

#[cfg(test)]
mod tests;
