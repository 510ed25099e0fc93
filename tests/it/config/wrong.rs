//! Configs and rule files that are wrong, each in one way, and one that is wrong in many.

/// (what is wrong, the config).
pub(super) const CASES: &[(&str, &str)] = &[
    ("a key with a letter too much", "[docker]\nhosts = \"unix:///var/run/docker.sock\"\n"),
    ("a key like no other", "[heal]\nworkers = 4\n"),
    ("a section that is not known", "[deploy]\nkind = \"argo\"\n"),
    ("a text where a number belongs", "[heal]\nfixes = \"two\"\n"),
    ("a number out of range", "[heal]\nfixes = 1000\n"),
    ("a negative number", "[agent]\nmax_steps = -1\n"),
    ("a table where a text belongs", "[agent]\nmodel = { name = \"claude-sonnet-5-5\" }\n"),
    ("a value where a table belongs", "docker = true\n"),
    ("a table where tables belong", "[service]\nname = \"shop\"\n"),
    ("a duration without a unit", "[triage]\nlanding_grace = \"10\"\n"),
    ("a duration that is none", "[docker]\nlist_every = \"often\"\n"),
    ("a duration out of range", "[docker]\nlist_every = \"10ms\"\n"),
    ("a decimal size", "[sandbox]\nmemory = \"2GB\"\n"),
    ("a size out of range", "[sandbox]\nmemory = \"1KiB\"\n"),
    ("a list with a number in it", "[docker.include]\nnames = [\"web\", 3]\n"),
    ("a text where a list belongs", "[docker.include]\nnames = \"web\"\n"),
    ("an empty name", "[[service]]\nname = \"\"\n"),
    ("an empty reference", "[agent]\nkey = { file = \"\" }\n"),
    ("a bad glob", "[docker.include]\nnames = [\"web-[\"]\n"),
    ("a bad glob behind a label", "[docker.exclude]\nlabels = [\"tier={a\"]\n"),
    ("a bad expression", "[[redact.pattern]]\nname = \"customer\"\npattern = \"CUST-([0-9]{8}\"\n"),
    ("a pattern without a name", "[[redact.pattern]]\npattern = \"CUST-[0-9]{8}\"\n"),
    ("a secret file that is not there", "[agent]\nkey = { file = \"/nonexistent/key\" }\n"),
    ("a secret written into the config", "[agent]\nkey = \"sk-ant-1234\"\n"),
    ("a credential without systemd", "[github]\ntoken = { credential = \"github-token\" }\n"),
    (
        "an environment variable that is not set",
        "[github]\ntoken = { env = \"HOMEOSTAT_NO_SUCH_VARIABLE\" }\n",
    ),
    ("a secret by two references", "[agent]\nkey = { file = \"/a\", env = \"B\" }\n"),
    ("a model without a price", "[agent]\nmodel = \"claude-unheard-of-9\"\n"),
    (
        "a price that is not whole",
        "[[agent.price]]\nmodel = \"claude-unheard-of-9\"\ninput = 1.0\noutput = 2.0\n",
    ),
    (
        "a price with a day that is none",
        "[[agent.price]]\nmodel = \"m\"\nas_of = \"lately\"\ninput = 1\noutput = 1\ncache_write = 1\ncache_read = 1\n",
    ),
    ("a second model without a price", "[agent]\nfallback_model = \"claude-unheard-of-9\"\n"),
    (
        "a price twice",
        "[[agent.price]]\nmodel = \"m\"\nas_of = \"2026-10-01\"\ninput = 1\noutput = 1\ncache_write = 1\ncache_read = 1\n\n[[agent.price]]\nmodel = \"m\"\nas_of = \"2026-11-01\"\ninput = 2\noutput = 2\ncache_write = 2\ncache_read = 2\n",
    ),
    ("an effort that is none", "[agent]\neffort = \"huge\"\n"),
    ("a relative state folder", "[state]\nfolder = \"var/homeostat\"\n"),
    ("a database of another kind, with a password", "[database]\nurl = \"mysql://user:hunter2@host/name\"\n"),
    ("a database without a folder", "[database]\nurl = \"sqlite:homeostat.db\"\n"),
    ("a database in memory", "[database]\nurl = \"sqlite::memory:\"\n"),
    ("a database that is no address", "[database]\nurl = \"hunter2@host/name\"\n"),
    ("a password with signs in an address", "[database]\nurl = \"postgres://user:hun#ter2@host/name\"\n"),
    ("a password for a file", "[database]\npassword = { env = \"PATH\" }\n"),
    ("listening to everybody without a token", "[http]\nlisten = \"0.0.0.0:8686\"\n"),
    ("an address without a port", "[http]\nlisten = \"127.0.0.1\"\n"),
    ("a port out of range", "[http]\nlisten = \"127.0.0.1:99999\"\n"),
    ("a public address with a password", "[http]\npublic_url = \"https://me:hunter2@homeostat.example\"\n"),
    ("a public address that is none", "[http]\npublic_url = \"homeostat.example\"\n"),
    ("a route that is none", "[triage]\nroute = \"heal\"\n"),
    ("a fix without a repository", "[[service]]\nname = \"shop\"\nroute = \"fix\"\n"),
    (
        "a service twice",
        "[[service]]\nname = \"shop\"\n\n[[service]]\nname = \"cart\"\n\n[[service]]\nname = \"shop\"\nroute = \"fix\"\n",
    ),
    ("an empty service", "[[service]]\n"),
    ("a service without a name, and more", "[[service]]\ncontaners = [\"shop-*\"]\nroute = \"heal\"\n"),
    (
        "a token in the address of a repository",
        "[[service]]\nname = \"shop\"\nrepository = \"https://x-access-token:hunter2@github.com/a/b\"\n",
    ),
    (
        "an address of a repository that nothing is fetched from",
        "[[service]]\nname = \"shop\"\nrepository = \"git@github.com:a/b\"\n",
    ),
    (
        "an address of an engine that is none",
        "[docker]\nhost = \"/var/run/docker.sock\"\n\n[sandbox]\nhost = \"ssh://host\"\n",
    ),
    (
        "a language that is not known",
        "[[sandbox.language]]\nname = \"cobol\"\nimage = \"x\"\n\n[[sandbox.language]]\nname = \"node\"\n",
    ),
    (
        "what an installation may not have",
        "[sandbox.dependencies]\nallow = [\"https://registry.example/\"]\nenvironment = [\"NPM_CONFIG_REGISTRY=https://reader:hunter2@registry.example/npm\", \"GOPROXY\"]\non_failure = \"ignore\"\n",
    ),
    ("a key where the name of a model belongs", "[agent]\nmodel = \"AKIAIOSFODNN7EXAMPLE\"\n"),
    (
        "a secret where the name of its variable belongs",
        "[github]\ntoken = { env = \"ghp_abcdefghijklmnopqrstuvwxyz0123456789\" }\n",
    ),
    ("alerts of no service", "[alerts]\nservice_labels = []\ntext_annotation = [\"log\"]\n"),
    ("a Loki that is no table", "[alerts]\nloki = \"http://loki:3100\"\n"),
    (
        "a Loki without an address",
        "[alerts.loki]\ntenant = \"team a\"\nselector = \"container=$container\"\n",
    ),
    ("a service without a name", "[[service]]\ncontainers = [\"shop-*\"]\n"),
    (
        "a folder outside of the repository",
        "[[service]]\nname = \"shop\"\nrepository = \"https://example.org/shop\"\nfolder = \"../x\"\n",
    ),
    ("a relative path of files", "[[file]]\npaths = [\"app/*.log\", \"/var/log/[\"]\nservice = \"app\"\n"),
    ("files without paths", "[[file]]\nservice = \"app\"\n"),
    ("GitHub without a token", "[forge]\nkind = \"github\"\n"),
    ("a tracker that is not known", "[tracker]\nkind = \"jira\"\n"),
    ("half an app", "[github]\napp_id = 7\n"),
    (
        "a clone token for no https address",
        "[[repository.token]]\nprefix = \"git@github.com:example\"\ntoken = { env = \"PATH\" }\n",
    ),
    ("a messenger without an address", "[[messenger]]\nkind = \"slack\"\n"),
    ("a messenger whose secret is no address", "[[messenger]]\nkind = \"slack\"\nurl = { env = \"PATH\" }\n"),
    ("a rule to leave out that is not there", "[rules]\ndisable = [\"python.tracebacks\"]\n"),
    ("no rule at all", "[rules]\nshipped = false\n"),
    ("a folder of rules that is not there", "[rules]\nfolders = [\"/nonexistent/rules\"]\n"),
    ("no TOML", "[heal\nfixes = 2\n"),
    ("a text without an end", "[agent]\nmodel = \"claude\n"),
    ("a key twice", "[heal]\nfixes = 2\nfixes = 3\n"),
];

/// Wrong in many ways at once.
pub(super) const EVERYTHING: &str = r#"
[state]
folder = "var"

[http]
listen = "0.0.0.0:80"

[docker]
hosts = "x"
list_every = "10ms"

[docker.include]
names = ["web-[", "ok-*"]

[[redact.pattern]]
name = "customer"
pattern = "("

[[service]]
name = "shop"
route = "fix"

[agent]
model = "claude-unheard-of-9"
key = { file = "/nonexistent/key" }

[sandbox]
memory = "2GB"

[forge]
kind = "github"
"#;

/// (what is wrong, the rule file).
pub(super) const RULE_FILES: &[(&str, &str)] = &[
    (
        "expressions that cannot be read, in lists of many lines",
        "except = [\n  'fine',\n  '(?=ahead)',\n]\n\n[[rule]]\nid = \"own.broken\"\nseverity = \"error\"\naction = \"issue\"\ndescription = \"x\"\nany = [\n  'fine',\n  '(',\n  'a\\nb',\n]\nexcept = ['@quiet', '[z-a]']\nmatch = [\"fine\"]\nno_match = [\"x\"]\n",
    ),
    (
        "examples of several lines that are wrong",
        "[[rule]]\nid = \"own.late\"\nseverity = \"error\"\naction = \"issue\"\ndescription = \"late\"\nany = ['late']\nmatch = [\n  \"late\",\n  \"one\\ntwo\",\n]\nno_match = [\n  \"early\",\n  \"too\\nlate\",\n]\n",
    ),
    (
        "an id twice",
        "[[rule]]\nid = \"own.late\"\nseverity = \"error\"\naction = \"issue\"\ndescription = \"late\"\nany = ['late']\nmatch = [\"late\"]\nno_match = [\"x\"]\n\n[[rule]]\nid = \"own.late\"\nseverity = \"error\"\naction = \"issue\"\ndescription = \"late\"\nany = ['later']\nmatch = [\"later\"]\nno_match = [\"x\"]\n",
    ),
    (
        "an expression that cannot be read",
        "[[rule]]\nid = \"own.broken\"\nseverity = \"error\"\naction = \"issue\"\ndescription = \"x\"\nany = ['(']\nmatch = [\"(\"]\nno_match = [\"x\"]\n",
    ),
    (
        "an example that does not match",
        "[[rule]]\nid = \"own.late\"\nseverity = \"error\"\naction = \"issue\"\ndescription = \"late\"\nany = ['\\btoo late\\b']\nmatch = [\"much too late\", \"in time\"]\nno_match = [\"early\"]\n",
    ),
    (
        "an example that must not match and does",
        "[[rule]]\nid = \"own.late\"\nseverity = \"error\"\naction = \"issue\"\ndescription = \"late\"\nany = ['late']\nmatch = [\"late\"]\nno_match = [\"chocolate\"]\n",
    ),
    (
        "a severity that is none",
        "[[rule]]\nid = \"own.bad\"\nseverity = \"awful\"\naction = \"issue\"\ndescription = \"x\"\nany = ['x']\nmatch = [\"x\"]\nno_match = [\"y\"]\n",
    ),
    (
        "a key that is not known",
        "[[rule]]\nid = \"own.bad\"\nseverty = \"error\"\naction = \"issue\"\ndescription = \"x\"\nany = ['x']\nmatch = [\"x\"]\nno_match = [\"y\"]\n",
    ),
    ("no TOML", "[[rule]\nid = 1\n"),
    ("no rule in it", "# nothing yet\n"),
];
