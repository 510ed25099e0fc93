//! A parsed stack trace.

use std::fmt;

/// What printed the record. `Message` is a record without a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Runtime {
    Python,
    Jvm,
    Node,
    Go,
    Rust,
    Dotnet,
    Ruby,
    Php,
    Cpp,
    Perl,
    Dart,
    Elixir,
    Swift,
    Lua,
    Haskell,
    Message,
}

impl Runtime {
    /// Every runtime, in the order of the declaration.
    pub const ALL: [Self; 16] = [
        Self::Python,
        Self::Jvm,
        Self::Node,
        Self::Go,
        Self::Rust,
        Self::Dotnet,
        Self::Ruby,
        Self::Php,
        Self::Cpp,
        Self::Perl,
        Self::Dart,
        Self::Elixir,
        Self::Swift,
        Self::Lua,
        Self::Haskell,
        Self::Message,
    ];

    /// The name used in output, in rule files and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Jvm => "jvm",
            Self::Node => "node",
            Self::Go => "go",
            Self::Rust => "rust",
            Self::Dotnet => "dotnet",
            Self::Ruby => "ruby",
            Self::Php => "php",
            Self::Cpp => "cpp",
            Self::Perl => "perl",
            Self::Dart => "dart",
            Self::Elixir => "elixir",
            Self::Swift => "swift",
            Self::Lua => "lua",
            Self::Haskell => "haskell",
            Self::Message => "message",
        }
    }

    /// The runtime with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|runtime| runtime.name() == name)
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// All that could be read from a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    pub runtime: Runtime,
    /// Root cause first, then what wrapped it, outermost last. Never empty.
    pub exceptions: Vec<Exception>,
    /// Thread, task or goroutine, as printed.
    pub thread: Option<String>,
}

impl Trace {
    /// The root cause: what an issue is about.
    pub fn root(&self) -> Option<&Exception> {
        self.exceptions.first()
    }
}

/// One exception of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exception {
    /// Type as printed, for example `java.lang.IllegalStateException` or `panic`.
    pub kind: String,
    /// Message as printed (redacted), without the type.
    pub message: String,
    /// Innermost first.
    pub frames: Vec<Frame>,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// Function with its class or module, as printed but without arguments, addresses and hashes.
    pub function: String,
    /// File or module file as printed, if any.
    pub file: Option<String>,
    /// Line, counted from 1.
    pub line: Option<u32>,
    /// What the file belongs to as printed, if it is told: a module, a package, a library.
    pub module: Option<String>,
    /// Whether the frame belongs to the service's own code and not to a library or the runtime.
    pub in_app: bool,
}
