//! The policy's tables: which paths are never touched, which need a closer look, and which calls do.
//!
//! Globs are matched against lower-case paths; `*` also matches `/`. To protect more, add a line here or to the
//! configuration.

const CI: &str = "it configures CI, which runs with the repository's secrets";
const HOOK: &str = "it runs on developers' machines when they commit or open the folder";
const AGENT: &str = "it instructs agents that work on the repository";
const REVIEW: &str = "it decides who reviews";
const OWN: &str = "it configures homeostat itself";

/// Never touched. `.git*` has a rule of its own.
pub(super) const PROTECTED: &[(&str, &str)] = &[
    ("**/.circleci/**", CI),
    ("**/.buildkite/**", CI),
    ("**/.drone.y*ml", CI),
    ("**/.woodpecker*", CI),
    ("**/.woodpecker/**", CI),
    ("**/.travis.y*ml", CI),
    ("**/.cirrus.y*ml", CI),
    ("**/.semaphore/**", CI),
    ("**/.teamcity/**", CI),
    ("**/.tekton/**", CI),
    ("**/.forgejo/**", CI),
    ("**/.ci/**", CI),
    ("**/azure-pipelines*.y*ml", CI),
    ("**/.azure-pipelines/**", CI),
    ("**/bitbucket-pipelines.y*ml", CI),
    ("**/buildspec*.y*ml", CI),
    ("**/cloudbuild*.y*ml", CI),
    ("**/codefresh*.y*ml", CI),
    ("**/wercker.y*ml", CI),
    ("**/*appveyor.y*ml", CI),
    ("**/jenkinsfile*", CI),
    ("**/renovate.json*", CI),
    ("**/.renovaterc*", CI),
    ("**/.husky/**", HOOK),
    ("**/.pre-commit-config.y*ml", HOOK),
    ("**/lefthook*.y*ml", HOOK),
    ("**/.lefthook*/**", HOOK),
    ("**/.vscode/**", HOOK),
    ("**/.idea/**", HOOK),
    ("**/.devcontainer*", HOOK),
    ("**/.devcontainer/**", HOOK),
    ("**/.envrc", HOOK),
    ("**/.npmrc", HOOK),
    ("**/.yarnrc*", HOOK),
    ("**/.cargo/**", HOOK),
    ("**/pip.conf", HOOK),
    ("**/agents*.md", AGENT),
    ("**/claude*.md", AGENT),
    ("**/gemini*.md", AGENT),
    ("**/copilot-instructions*.md", AGENT),
    ("**/.mcp.json", AGENT),
    ("**/.mcp/**", AGENT),
    ("**/.agents/**", AGENT),
    ("**/.claude/**", AGENT),
    ("**/.codex/**", AGENT),
    ("**/.gemini/**", AGENT),
    ("**/.cursor/**", AGENT),
    ("**/.cursorrules", AGENT),
    ("**/.windsurf*", AGENT),
    ("**/.windsurf/**", AGENT),
    ("**/.clinerules*", AGENT),
    ("**/.aider*", AGENT),
    ("**/.continue/**", AGENT),
    ("**/.roo*", AGENT),
    ("**/.roo/**", AGENT),
    ("**/codeowners", REVIEW),
    ("**/owners", REVIEW),
    ("**/.homeostat.toml", OWN),
    ("**/.homeostat/**", OWN),
];

const MANIFEST: &str = "a manifest or lock file of dependencies changes";
const DEPLOY: &str = "how it is packaged or deployed changes";
const RUNNER: &str = "what builds or tests the project changes";
const DATA: &str = "stored data or its schema changes";
const ACCESS: &str = "it seems to guard access";

/// A reviewer should look closely.
pub(super) const SENSITIVE: &[(&str, &str)] = &[
    ("**/package.json", MANIFEST),
    ("**/*lock.json", MANIFEST),
    ("**/*lock.y*ml", MANIFEST),
    ("**/*.lock", MANIFEST),
    ("**/*.lockb", MANIFEST),
    ("**/*.lockfile", MANIFEST),
    ("**/requirements*.txt", MANIFEST),
    ("**/requirements/**", MANIFEST),
    ("**/constraints*.txt", MANIFEST),
    ("**/pyproject.toml", MANIFEST),
    ("**/setup.py", MANIFEST),
    ("**/setup.cfg", MANIFEST),
    ("**/pipfile", MANIFEST),
    ("**/cargo.toml", MANIFEST),
    ("**/go.mod", MANIFEST),
    ("**/go.sum", MANIFEST),
    ("**/pom.xml", MANIFEST),
    ("**/*.gradle*", MANIFEST),
    ("**/gemfile*", MANIFEST),
    ("**/*.gemspec", MANIFEST),
    ("**/composer.json", MANIFEST),
    ("**/*.csproj", MANIFEST),
    ("**/*.fsproj", MANIFEST),
    ("**/mix.exs", MANIFEST),
    ("**/package.swift", MANIFEST),
    ("**/pubspec.yaml", MANIFEST),
    ("**/*dockerfile*", DEPLOY),
    ("**/*containerfile*", DEPLOY),
    ("**/*compose*.y*ml", DEPLOY),
    ("**/*.tf", DEPLOY),
    ("**/*.tfvars", DEPLOY),
    ("**/helm/**", DEPLOY),
    ("**/k8s/**", DEPLOY),
    ("**/kubernetes/**", DEPLOY),
    ("**/*.service", DEPLOY),
    ("**/nginx*.conf", DEPLOY),
    ("**/makefile*", RUNNER),
    ("**/cmakelists.txt", RUNNER),
    ("**/build.rs", RUNNER),
    ("**/conftest.py", RUNNER),
    ("**/pytest.ini", RUNNER),
    ("**/tox.ini", RUNNER),
    ("**/noxfile.py", RUNNER),
    ("**/jest.config.*", RUNNER),
    ("**/vitest.config.*", RUNNER),
    ("**/.mocharc*", RUNNER),
    ("**/karma.conf*", RUNNER),
    ("**/babel.config*", RUNNER),
    ("**/webpack*.js", RUNNER),
    ("**/tsconfig*.json", RUNNER),
    ("**/migrations/**", DATA),
    ("**/migrate/**", DATA),
    ("**/*.sql", DATA),
    ("**/*auth*", ACCESS),
    ("**/*login*", ACCESS),
    ("**/*permission*", ACCESS),
    ("**/*crypto*", ACCESS),
    ("**/*password*", ACCESS),
    ("**/security/**", ACCESS),
];

/// Tests, by the names that runners look for.
pub(super) const TESTS: &[&str] = &[
    "**/test/**",
    "**/tests/**",
    "**/__tests__/**",
    "**/spec/**",
    "**/specs/**",
    "**/testdata/**",
    "**/test_*.py",
    "**/*_test.*",
    "**/*_tests.*",
    "**/*.test.*",
    "**/*.spec.*",
    "**/*_spec.rb",
    "**/*test.java",
    "**/*tests.java",
    "**/*test.kt",
    "**/*test.php",
    "**/*tests.cs",
];

/// New lines with such calls, outside of tests, need a closer look.
pub(super) const CALLS: &[(&str, &str)] = &[
    (
        r"\bsubprocess\b|\bos\.system\b|\bpopen\b|child_process|ProcessBuilder|getRuntime\(\)|exec\.Command|Command::new|shell_exec|proc_open",
        "a new line starts a process",
    ),
    (
        r"\beval\s*\(|(^|[^.\w])exec\s*\(|new Function\s*\(|__import__|\bimportlib\b|\bdlopen\b",
        "a new line runs code made at run time",
    ),
    (
        r"\bpickle\b|\bmarshal\.loads?\b|yaml\.(unsafe_)?load\s*\(|ObjectInputStream|\bunserialize\s*\(|BinaryFormatter",
        "a new line reads objects from bytes",
    ),
    (
        r"https?://|\brequests\.\w+\(|\burllib|http\.client|\bfetch\s*\(|\baxios\b|XMLHttpRequest|\bsocket\.|net\.Dial|http\.(Get|Post)|\breqwest::|HttpClient|\bcurl_",
        "a new line talks to the network or holds an address",
    ),
    (
        r"\bos\.environ\b|\bgetenv\b|process\.env\b|\benv::var|System\.getenv|\bENV\[",
        "a new line reads the environment",
    ),
    (r"[A-Za-z0-9+/=]{120,}|(\\x[0-9a-fA-F]{2}){20,}", "a new line holds an encoded blob"),
    (r"\brm\s+-rf\b|shutil\.rmtree|\bRemoveAll\b|remove_dir_all|fs\.rm\(", "a new line deletes folders"),
    (
        r"(?i)verify\s*=\s*False|InsecureSkipVerify|rejectUnauthorized\s*:\s*false|danger_accept_invalid",
        "a new line switches off a check of certificates",
    ),
    (
        r"(?i)except(\s+\w*Exception)?\s*:\s*(pass)?\s*$|catch\s*\([^)]*\)\s*\{\s*\}",
        "a new line swallows errors",
    ),
];

/// Kinds of secrets that the redactor recognises by what stands beside them; in source code that is often a variable.
pub(super) const LIKELY_KINDS: &[&str] = &["password", "token", "authorization", "cookie", "email", "card"];
