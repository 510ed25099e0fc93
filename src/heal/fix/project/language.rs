//! The languages that projects are built and tested in, and what their runtimes are called in traces.

use std::fmt;

use crate::model::trace::Runtime;

/// The language a project is built and tested in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    Python,
    Node,
    Rust,
    Go,
    Jvm,
    Ruby,
    Php,
    Dotnet,
    /// Anything else that `make` or a given command can test.
    Other,
}

impl Language {
    pub const ALL: [Self; 9] = [
        Self::Python,
        Self::Node,
        Self::Rust,
        Self::Go,
        Self::Jvm,
        Self::Ruby,
        Self::Php,
        Self::Dotnet,
        Self::Other,
    ];

    /// The name used in the config.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Rust => "rust",
            Self::Go => "go",
            Self::Jvm => "jvm",
            Self::Ruby => "ruby",
            Self::Php => "php",
            Self::Dotnet => "dotnet",
            Self::Other => "other",
        }
    }

    /// The language of a trace; `None` for records without one. What is not known apart is built by `make`.
    pub const fn of_runtime(runtime: Runtime) -> Option<Self> {
        match runtime {
            Runtime::Python => Some(Self::Python),
            Runtime::Node => Some(Self::Node),
            Runtime::Rust => Some(Self::Rust),
            Runtime::Go => Some(Self::Go),
            Runtime::Jvm => Some(Self::Jvm),
            Runtime::Ruby => Some(Self::Ruby),
            Runtime::Php => Some(Self::Php),
            Runtime::Dotnet => Some(Self::Dotnet),
            Runtime::Cpp
            | Runtime::Perl
            | Runtime::Dart
            | Runtime::Elixir
            | Runtime::Swift
            | Runtime::Lua
            | Runtime::Haskell => Some(Self::Other),
            Runtime::Message => None,
        }
    }

    /// Whether a project in this language has its build files, or a part of it, in a folder with these file names.
    pub(super) fn is_at_home(self, name: &str) -> bool {
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        match self {
            Self::Python => matches!(
                name,
                "pyproject.toml"
                    | "setup.py"
                    | "setup.cfg"
                    | "requirements.txt"
                    | "Pipfile"
                    | "tox.ini"
                    | "pytest.ini"
            ),
            Self::Node => name == "package.json",
            Self::Rust => name == "Cargo.toml",
            Self::Go => name == "go.mod",
            Self::Jvm => matches!(
                name,
                "pom.xml"
                    | "build.gradle"
                    | "build.gradle.kts"
                    | "settings.gradle"
                    | "settings.gradle.kts"
                    | "Makefile"
            ),
            Self::Ruby => matches!(name, "Gemfile" | "Rakefile" | ".rspec") || ends(&[".gemspec"]),
            Self::Php => matches!(name, "composer.json" | "phpunit.xml" | "phpunit.xml.dist"),
            Self::Dotnet => ends(&[".sln", ".csproj", ".fsproj", ".vbproj"]),
            Self::Other => matches!(name, "Makefile" | "makefile" | "GNUmakefile"),
        }
    }

    /// Whether the parts of such a project are built together from its outermost build file.
    pub(super) const fn is_built_as_a_whole(self) -> bool {
        match self {
            Self::Rust | Self::Jvm | Self::Dotnet => true,
            Self::Python | Self::Node | Self::Go | Self::Ruby | Self::Php | Self::Other => false,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
