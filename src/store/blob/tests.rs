//! Old data: what each version wrote stays readable, and what is written now is what is expected on disk.

use super::*;

fn id(last: u128) -> Uuid {
    Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + last)
}

#[test]
fn jobs_of_version_1_are_read_and_written() {
    let attempt = AttemptId::from_uuid(id(1));
    let proposal = ProposalId::from_uuid(id(2));
    let cases = [
        (
            r#"{"version":1,"value":{"kind":"open_ticket","then_fix":true}}"#,
            JobPayload::OpenTicket { then_fix: true },
        ),
        (
            r#"{"version":1,"value":{"kind":"report_attempt","attempt":"01920000-0000-7000-8000-000000000001"}}"#,
            JobPayload::ReportAttempt { attempt },
        ),
        (
            r#"{"version":1,"value":{"kind":"report_reopened","then_fix":false}}"#,
            JobPayload::ReportReopened { then_fix: false },
        ),
        (r#"{"version":1,"value":{"kind":"fix"}}"#, JobPayload::Fix),
        (
            r#"{"version":1,"value":{"kind":"propose","attempt":"01920000-0000-7000-8000-000000000001"}}"#,
            JobPayload::Propose { attempt },
        ),
        (
            r#"{"version":1,"value":{"kind":"land","proposal":"01920000-0000-7000-8000-000000000002","actor":"ada"}}"#,
            JobPayload::Land { proposal, actor: "ada".to_owned() },
        ),
        (
            r#"{"version":1,"value":{"kind":"announce","notice":"proposal_opened","attempt":null,"proposal":"01920000-0000-7000-8000-000000000002"}}"#,
            JobPayload::Announce {
                kind: NoticeKind::ProposalOpened,
                attempt: None,
                proposal: Some(proposal),
            },
        ),
    ];
    for (text, payload) in cases {
        assert_eq!(read_payload(text).unwrap(), payload);
        assert_eq!(write_payload(&payload).unwrap(), text);
    }
}

#[test]
fn cursors_of_version_1_are_read_and_written() {
    let cases = [
        (
            r#"{"version":1,"value":{"kind":"docker","nanos":1767225600123456789,"n_at_nanos":2}}"#,
            Cursor::Docker { nanos: 1_767_225_600_123_456_789, n_at_nanos: 2, log: None },
        ),
        (
            r#"{"version":1,"value":{"kind":"docker","nanos":1767225600123456789,"n_at_nanos":0,"log":{"device":2049,"inode":7,"prefix_hash":3,"prefix_len":256,"offset":9000000000}}}"#,
            Cursor::Docker {
                nanos: 1_767_225_600_123_456_789,
                n_at_nanos: 0,
                log: Some(FilePlace {
                    device: 2049,
                    inode: 7,
                    prefix_hash: 3,
                    prefix_len: 256,
                    offset: 9_000_000_000,
                    before: 0,
                }),
            },
        ),
        (
            r#"{"version":1,"value":{"kind":"file","device":2049,"inode":7,"prefix_hash":18446744073709551615,"prefix_len":256,"offset":9000000000}}"#,
            Cursor::File {
                device: 2049,
                inode: 7,
                prefix_hash: u64::MAX,
                prefix_len: 256,
                offset: 9_000_000_000,
                before: 0,
            },
        ),
        (
            r#"{"version":1,"value":{"kind":"loki","nanos":1767225600123456789,"seen":[18446744073709551615,1],"ahead":[[7,2]]}}"#,
            Cursor::Mixed {
                place: MixedPlace::Loki { nanos: 1_767_225_600_123_456_789, seen: vec![u64::MAX, 1] },
                ahead: vec![Ahead { writer: 7, n_entries: 2 }],
            },
        ),
        (
            r#"{"version":1,"value":{"kind":"spool","offset":9000000000,"ahead":[]}}"#,
            Cursor::Mixed { place: MixedPlace::Spool { offset: 9_000_000_000 }, ahead: vec![] },
        ),
        (
            r#"{"version":1,"value":{"kind":"journal","cursor":"s=1;i=2","ahead":[]}}"#,
            Cursor::Mixed { place: MixedPlace::Journal { cursor: "s=1;i=2".to_owned() }, ahead: vec![] },
        ),
    ];
    for (text, cursor) in cases {
        assert_eq!(read_cursor(text).unwrap(), cursor);
        assert_eq!(write_cursor(&cursor).unwrap(), text);
    }
}

#[test]
fn a_validation_of_version_1_is_read_and_written() {
    let run = |command: &str, exit_code| CheckRun {
        command: command.to_owned(),
        exit_code,
        is_timed_out: exit_code == 124,
        output: "out\n".to_owned(),
        took: Duration::from_millis(1500),
        tests: None,
    };
    let validation = Validation {
        proof: Proof {
            before: run("pytest", 1),
            before_matches_issue: true,
            after: run("pytest", 0),
            reverted: run("pytest", 124),
            doubts: Vec::new(),
        },
        checks: vec![ProjectCheck {
            name: "tests".to_owned(),
            baseline: run("make test", 0),
            patched: run("make test", 0),
            worse: Vec::new(),
            flaky: Vec::new(),
        }],
    };
    let text = concat!(
        r#"{"version":1,"value":{"#,
        r#""before":{"command":"pytest","exit_code":1,"is_timed_out":false,"output":"out\n","took_millis":1500},"#,
        r#""before_matches_issue":true,"#,
        r#""after":{"command":"pytest","exit_code":0,"is_timed_out":false,"output":"out\n","took_millis":1500},"#,
        r#""reverted":{"command":"pytest","exit_code":124,"is_timed_out":true,"output":"out\n","took_millis":1500},"#,
        r#""checks":[{"name":"tests","#,
        r#""baseline":{"command":"make test","exit_code":0,"is_timed_out":false,"output":"out\n","took_millis":1500},"#,
        r#""patched":{"command":"make test","exit_code":0,"is_timed_out":false,"output":"out\n","took_millis":1500}}]}}"#,
    );
    assert_eq!(read_validation(text).unwrap(), validation);
    assert_eq!(write_validation(&validation).unwrap(), text);

    // Results of tests came later; a row without them is as above.
    let mut later = validation;
    let failed = vec!["test_a".to_owned()];
    later.proof.after.tests = Some(Tests { n_passed: 2, n_failed: 1, n_skipped: 3, failed });
    later.proof.doubts = vec!["it is skipped".to_owned()];
    later.checks[0].worse = vec!["fail".to_owned()];
    later.checks[0].flaky = vec!["test_b".to_owned()];
    let text = write_validation(&later).unwrap();
    assert!(
        text.contains(r#""tests":{"passed":2,"failed":1,"skipped":3,"names_of_failed":["test_a"]}"#),
        "{text}"
    );
    assert_eq!(read_validation(&text).unwrap(), later);
}

#[test]
fn data_from_the_future_is_refused_with_its_version() {
    let error = read_cursor(r#"{"version":2,"value":{"kind":"moon"}}"#).unwrap_err();
    let Fault::Row(reason) = error else { panic!("a broken row") };
    assert_eq!(reason, "a stored cursor has version 2, this homeostat knows 1");
}
