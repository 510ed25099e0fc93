//! Streams as the API sends them, whole, odd and broken.

use super::*;

fn assemble(events: &[&str]) -> Result<AssistantTurn, BrokenStream> {
    let mut assembler = Assembler::default();
    for event in events {
        assembler.push(event)?;
    }
    assembler.finish()
}

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":1}}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

fn stop(reason: &str) -> String {
    format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_details":{{"category":"cyber"}}}},"usage":{{"output_tokens":77}}}}"#
    )
}

/// Blocks that come out of these block events.
fn check(events: &[&str], expected: &[&str]) {
    let end = stop("end_turn");
    let mut all = vec![START];
    all.extend(events);
    all.extend([end.as_str(), STOP]);
    let turn = assemble(&all).unwrap();
    let blocks: Vec<&str> = turn.blocks.iter().map(|block| block.get()).collect();
    assert_eq!(blocks, expected);
}

#[test]
fn deltas_of_every_kind_make_blocks() {
    check(
        &[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm, "}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"\u00e9"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"Zm9v"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hello"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"a":1}}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
        ],
        &[
            r#"{"signature":"Zm9v","thinking":"Hm, é","type":"thinking"}"#,
            r#"{"citations":[{"a":1}],"text":"Hello","type":"text"}"#,
        ],
    );
}

#[test]
fn a_tools_input_stays_as_the_model_wrote_it() {
    let start = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t1","name":"read_file","input":{}}}"#;
    let delta = |json: &str| {
        format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"input_json_delta","partial_json":{}}}}}"#,
            quoted(json)
        )
    };
    let pieces = [delta(r#"{"path": "#), delta(r#""a.py","first":1.50}"#)];
    check(
        &[start, &pieces[0], &pieces[1]],
        &[r#"{"type":"tool_use","id":"t1","name":"read_file","input":{"path": "a.py","first":1.50}}"#],
    );
    // Without any delta the input is the empty object of the start, byte for byte.
    check(&[start], &[r#"{"type":"tool_use","id":"t1","name":"read_file","input":{}}"#]);
    let broken = delta(r#"{"path": "#);
    check(
        &[start, &broken],
        &[r#"{"type":"tool_use","id":"t1","name":"read_file","input":{"INVALID_JSON":"{\"path\": "}}"#],
    );
    let list = delta("[1]");
    check(
        &[start, &list],
        &[r#"{"type":"tool_use","id":"t1","name":"read_file","input":{"INVALID_JSON":"[1]"}}"#],
    );
}

#[test]
fn unknown_things_are_kept_or_passed_over() {
    check(
        &[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking", "data":"EmwKA=="}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"telepathy_delta","idea":"x"}}"#,
            r#"{"type":"weather_report","sky":"blue"}"#,
            // The API sends these and refuses them when they come back.
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
        ],
        &[r#"{"type":"redacted_thinking", "data":"EmwKA=="}"#],
    );
}

#[test]
fn usage_is_cumulative_and_every_stop_reason_is_told() {
    let cases = [
        ("end_turn", StopReason::EndTurn),
        ("max_tokens", StopReason::MaxTokens),
        ("stop_sequence", StopReason::StopSequence),
        ("tool_use", StopReason::ToolUse),
        ("pause_turn", StopReason::PauseTurn),
        ("refusal", StopReason::Refusal("cyber".into())),
        ("model_context_window_exceeded", StopReason::ContextFull),
        ("tea_time", StopReason::Other("tea_time".into())),
    ];
    for (name, expected) in cases {
        let turn = assemble(&[START, &stop(name), STOP]).unwrap();
        assert_eq!(turn.stop_reason, expected);
        assert_eq!(turn.stop_reason.parts().0, name);
        let usage =
            Usage { input_tokens: 10, cache_write_tokens: 20, cache_read_tokens: 30, output_tokens: 77 };
        assert_eq!((turn.usage, turn.message_id.as_str()), (usage, "msg_1"));
    }
}

#[test]
fn a_broken_stream_is_no_answer() {
    let end = stop("end_turn");
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let error = BrokenStream::Error { kind: "overloaded_error".into(), message: "Overloaded".into() };
    assert_eq!(assemble(&[START, overloaded]).unwrap_err(), error);
    let cases: [(&[&str], &str); 6] = [
        (&[START, &end], "the stream ended before the answer did"),
        (&[&end, STOP], "the stream ended before the answer did"),
        (&[START, STOP], "the answer has no stop reason"),
        (
            &[START, r#"{"type":"content_block_delta","index":0,"delta":{}}"#],
            "a delta for a block that was not begun",
        ),
        (&[START, r#"{"type":"content_block_start","index":1,"content_block":{}}"#], "a block out of order"),
        (&[START, "{\"type\":"], "an event is not JSON: EOF while parsing a value at line 1 column 8"),
    ];
    for (events, expected) in cases {
        assert_eq!(assemble(events).unwrap_err(), BrokenStream::Malformed(expected.into()), "{events:?}");
    }
}
