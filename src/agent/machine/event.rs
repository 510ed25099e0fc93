//! What the machine is told, and what it asks for.

use std::time::Duration;

use crate::agent::client::assemble::AssistantTurn;
use crate::agent::client::http::CallError;
use crate::agent::client::request::ModelRequest;
use crate::agent::contract::{AgentOutcome, Claim};
use crate::agent::entry::{Entry, SeenFile};
use crate::agent::usage::Usage;
use crate::base::id::ReservationId;
use crate::model::money::NanoUsd;

/// What happened.
#[derive(Debug)]
pub(in crate::agent) enum Event {
    /// A new attempt; the key is random and names its conversations to the API.
    Started {
        key: String,
    },
    /// A process took the attempt up again, after its transcript was replayed.
    Resumed,
    /// The reservation that was asked for is made.
    Reserved {
        id: ReservationId,
        amount: NanoUsd,
    },
    /// It is not: the call could pass the limit of this name.
    NotReserved {
        limit: String,
    },
    /// The call gave an answer, after waiting for so long for a try that was taken.
    Answered {
        turn: AssistantTurn,
        waited: Duration,
    },
    CallFailed {
        error: CallError,
        waited: Duration,
    },
    /// A pause is over, after so long.
    Waited(Duration),
    /// The tool that was asked for has run.
    ToolRan(ToolOutcome),
    /// A stop was requested while no call was under way.
    StopRequested,
}

/// What to do. In order; at most the last one gives an event.
#[derive(Debug)]
pub(in crate::agent) enum Effect {
    /// Make the entry durable before anything else.
    Append {
        seq: i64,
        entry: Box<Entry>,
    },
    /// Show a step. Not redacted yet.
    Step {
        name: &'static str,
        detail: String,
    },
    /// Reserve the most that the next call can cost.
    Reserve {
        model: String,
        amount: NanoUsd,
    },
    Call(ModelRequest),
    Settle {
        id: ReservationId,
        usage: Usage,
        cost: NanoUsd,
    },
    /// Let the open reservations count in full.
    SettleCutOff,
    /// Wait before the next call; the time is not the attempt's.
    Pause(Duration),
    RunTool(ToolCall),
    End(AgentOutcome),
    /// The attempt cannot go on now; its transcript can be taken up again.
    Fail(Failure),
}

/// Why the attempt cannot go on now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) enum Failure {
    UnknownPrice {
        model: String,
    },
    Refused {
        message: String,
    },
    /// `n_in_a_row` counts this time and those directly before it.
    Away {
        message: String,
        retry_after: Option<Duration>,
        n_in_a_row: u32,
    },
}

/// A tool call of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) struct ToolCall {
    pub(in crate::agent) id: String,
    pub(in crate::agent) name: String,
    /// JSON as the model wrote it.
    pub(in crate::agent) input: String,
}

/// What a tool gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::agent) struct ToolOutcome {
    /// Cleaned, redacted and capped.
    pub(in crate::agent) text: String,
    pub(in crate::agent) is_error: bool,
    /// Whether there is no such tool, or its input could not be read.
    pub(in crate::agent) is_bad_call: bool,
    /// The workspace, if the tool may have changed it.
    pub(in crate::agent) snapshot: Option<String>,
    pub(in crate::agent) seen: Vec<SeenFile>,
    /// What `task_complete` said, if it was accepted.
    pub(in crate::agent) claim: Option<Claim>,
}
