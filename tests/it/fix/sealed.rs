//! What the agent can find in its container, tried from inside by the tools it has: no key, no token, no remote, no address.

use homeostat::model::attempt::Outcome;
use serde_json::Value;

use super::given::{FETCH_TOKEN, Given, MODEL_KEY, RECORD, SHOP, model};
use super::play::{always, claim, run};

/// Looks through what every process was given and through every readable file for the beginning of a secret; then once more with one planted, so
/// that a way of looking that finds nothing is not taken for nothing to find.
const LOOK: &str = r#"
look() {
  { env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\0' '\n'; } 2>/dev/null | grep -c 'model[-]key\|fetch[-]token' |
    sed 's/^0$/nothing/; s/^[0-9].*/found/'
  grep -rIl 'model[-]key\|fetch[-]token' /sandbox /tmp /etc /root /home /run /var /usr/local /opt 2>/dev/null | wc -l |
    sed 's/^ *0$/nothing/; s/^ *[0-9].*/found/'
}
echo clean: $(look)
echo 'model''-key' > /tmp/planted
echo planted: $(PLANTED='fetch''-token' sh -c "$(declare -f look); look")
rm /tmp/planted
echo names: $(cat /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | cut -d= -f1 | grep -iE 'key|token|secret|passw|cred' | sort -u).
"#;

const REMOTES: &str = r#"
echo remotes: $(git remote -v; git --git-dir=/sandbox/.homeostat.git remote -v).
echo config: $(git config --list | grep -iE 'url|remote|credential|header').
echo branches: $(git branch --all | wc -l), commits: $(git rev-list --all | wc -l)
git fetch --quiet origin 2>/dev/null || echo fetch: refused
git push --quiet origin HEAD 2>/dev/null || echo push: refused
"#;

fn connect(ports: [u16; 2]) -> String {
    format!(
        r#"python3 - <<'END'
import socket
for host in ("127.0.0.1", "172.17.0.1", "host.docker.internal", "api.anthropic.com"):
    for port in ({}, {}, 443):
        try:
            socket.create_connection((host, port), 3)
            print(host, port, "ANSWERED")
        except OSError:
            pass
print("tried")
END"#,
        ports[0], ports[1]
    )
}

#[tokio::test]
async fn the_agent_finds_no_key_no_token_no_remote_and_no_address() {
    let mut given = Given::new(SHOP).await;
    let turns = |ports| vec![run(LOOK), run(REMOTES), run(&connect(ports)), claim("needs_person")];
    // A second server of the same kind, whose port the script can name.
    let probe = model(always(turns([1, 1]))).await;
    let ports = [probe.base_url().port().unwrap(), given.git_port()];
    let model = model(always(turns(ports))).await;
    // The control: from here both answer, the one that holds the script and the one with the repository.
    for port in ports {
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    }
    assert!(MODEL_KEY.starts_with("model-key") && FETCH_TOKEN.starts_with("fetch-token"));

    let leased = given.lease_fix_of(RECORD).await;
    given.run(&leased, &model).await;
    let attempt = given.attempt().await;
    assert_eq!(attempt.outcome, Some(Outcome::NeedsPerson), "{attempt:#?}");
    assert!(given.fetched_with_token(), "the repository was cloned with the token");

    let transcript = given.store.transcript(attempt.id).await.unwrap();
    let results: Vec<String> = transcript
        .iter()
        .filter_map(|line| {
            let entry: Value = serde_json::from_str(line).unwrap();
            entry["entry"]["tool"]["text"].as_str().map(str::to_owned)
        })
        .collect();
    let expected = [
        "exit code 0\nclean: nothing nothing\nplanted: found found\nnames: .\n",
        "exit code 0\nremotes: .\nconfig: .\nbranches: 1, commits: 1\nfetch: refused\npush: refused\n",
        "exit code 0\ntried\n",
    ];
    assert_eq!(results[..3], expected, "{results:#?}");
    // Nor does the model, or whoever reads the transcript.
    let all = transcript.concat();
    assert!(!all.contains(MODEL_KEY) && !all.contains(FETCH_TOKEN));
}
