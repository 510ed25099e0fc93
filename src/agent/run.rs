//! The one way in: runs an attempt of the agent from its first call, or from where its transcript ends.
//!
//! Does the I/O that the machine asks for, in its order, and nothing on its own account.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::client::http::{Allowed, Called, Client};
use super::client::request::ModelRequest;
use super::contract::{AgentEnd, AgentOutcome, AgentParts, AgentTask, ReserveAnswer};
use super::entry::Entry;
use super::error::AgentError;
use super::machine::{Effect, Event, Failure, Machine, MachineConfig, ToolCall};
use super::prompt;
use super::tools::run::Toolbox;
use super::tools::schema;
use super::tools::text::cap;
use crate::base::backoff::Backoff;
use crate::base::clock::Timestamp;
use crate::base::id::ReservationId;
use crate::base::shutdown::Shutdown;
use crate::model::money::NanoUsd;

/// Characters of a step's detail.
const MAX_STEP_CHARS: usize = 400;

/// How long an API that is away is left alone if it does not say so itself.
const AWAY_BACKOFF: Backoff = Backoff::new(Duration::from_secs(30), Duration::from_secs(10 * 60));

/// Runs one attempt until it ends or `stop` is requested. With a transcript that is not empty it goes on from there; a
/// call that was under way is settled at its reservation and repeated, a tool run that was cut off is run again.
///
/// # Errors
/// What stopped the attempt from going on; see [`AgentError::is_transient`].
pub async fn run(task: AgentTask, parts: AgentParts, stop: &Shutdown) -> Result<AgentEnd, AgentError> {
    for model in [Some(&parts.settings.model), parts.settings.fallback_model.as_ref()].into_iter().flatten() {
        if parts.settings.price(model).is_none() {
            return Err(AgentError::UnknownPrice { model: model.clone() });
        }
    }
    let lines = parts.transcript.load().await;
    let lines = lines.map_err(|source| AgentError::Transcript { action: "read", source })?;
    let client = Client::new(&parts.settings, Arc::clone(&parts.clock))
        .map_err(|error| AgentError::ModelRefused { message: error.to_string() })?;
    // Random, so that nobody who logged a line knows the fence, and the same in all that is sent.
    let key = uuid::Uuid::now_v7().to_string();
    let mut machine = Machine::new(MachineConfig {
        settings: parts.settings.clone(),
        system: prompt::SYSTEM.to_owned(),
        tools: schema::definitions(),
        first_turn: prompt::first_turn(&task, parts.workspace.root(), &key),
    });
    for (entry_idx, line) in lines.iter().enumerate() {
        let broken = |reason| AgentError::BrokenTranscript { seq: entry_idx + 1, reason };
        let (entry, at) = Entry::parse(line).map_err(broken)?;
        machine.replay(&entry, at).map_err(broken)?;
    }
    let first = if lines.is_empty() { Event::Started { key } } else { Event::Resumed };
    let (began, began_at) = (Instant::now(), parts.clock.now());
    let waited = Duration::ZERO;
    let mut driver = Driver { task: &task, parts: &parts, client, machine, stop, began, began_at, waited };
    driver.restore().await?;
    driver.drive(first).await
}

/// What came of an effect.
enum Done {
    Nothing,
    Event(Event),
    End(AgentOutcome),
}

struct Driver<'a> {
    task: &'a AgentTask,
    parts: &'a AgentParts,
    client: Client,
    machine: Machine,
    stop: &'a Shutdown,
    began: Instant,
    began_at: Timestamp,
    /// How long this process has waited for the model API.
    waited: Duration,
}

impl Driver<'_> {
    /// The time, by the clock at the beginning and what has passed since: a clock that jumps neither ends an attempt nor prolongs it.
    fn now(&self) -> Timestamp {
        let passed =
            jiff::SignedDuration::try_from(self.began.elapsed()).unwrap_or(jiff::SignedDuration::MAX);
        self.began_at.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// Brings the workspace to where the transcript ends; also where the attempt has ended, as its changes are still to be taken out.
    async fn restore(&self) -> Result<(), AgentError> {
        match self.machine.snapshot() {
            Some(snapshot) => {
                let restored = self.parts.workspace.restore(snapshot).await;
                restored.map_err(|source| AgentError::Workspace { action: "restore the changes", source })
            }
            None => Ok(()),
        }
    }

    async fn drive(&mut self, first: Event) -> Result<AgentEnd, AgentError> {
        let mut effects = VecDeque::new();
        let mut event = Some(first);
        loop {
            if let Some(event) = event.take() {
                let now = self.now();
                effects.extend(self.machine.handle(event, now));
            }
            let effect = effects.pop_front().expect("a machine that has not ended asks for something");
            match self.perform(effect, effects.is_empty()).await? {
                Done::Nothing => {}
                Done::Event(next) => event = Some(next),
                Done::End(how) => return Ok(AgentEnd { how, totals: self.machine.totals() }),
            }
        }
    }

    /// Does one thing. `is_last`: the machine waits for an event.
    async fn perform(&mut self, effect: Effect, is_last: bool) -> Result<Done, AgentError> {
        match effect {
            // Nothing is begun after a stop; what was is already in the transcript.
            Effect::Reserve { .. } | Effect::RunTool(_) if is_last && self.stop.is_requested() => {
                return Ok(Done::Event(Event::StopRequested));
            }
            Effect::Reserve { model, amount } => return self.reserve(&model, amount).await.map(Done::Event),
            Effect::Call(request) => return Ok(Done::Event(self.call(&request).await)),
            Effect::Pause(pause) => return Ok(Done::Event(self.pause(pause).await)),
            Effect::RunTool(call) => return self.run_tool(&call).await.map(Done::Event),
            Effect::End(how) => return Ok(Done::End(how)),
            Effect::Fail(failure) => return Err(error_of(failure)),
            Effect::Append { seq, entry } => {
                let appended = self.parts.transcript.append(seq, &entry.to_line()).await;
                appended.map_err(|source| AgentError::Transcript { action: "write", source })?;
            }
            Effect::Step { name, detail } => self.step(name, &detail).await,
            Effect::Settle { id, usage, cost } => {
                let settled = self.parts.ledger.settle(id, usage, cost).await;
                settled.map_err(|source| AgentError::Ledger { action: "settle", source })?;
            }
            Effect::SettleCutOff => {
                let settled = self.parts.ledger.settle_cut_off().await;
                settled.map_err(|source| AgentError::Ledger { action: "settle", source })?;
            }
        }
        Ok(Done::Nothing)
    }

    /// A stop ends the pause; what comes after looks for it.
    async fn pause(&mut self, pause: Duration) -> Event {
        let began = Instant::now();
        self.stop.sleep(pause).await;
        self.waited += began.elapsed();
        Event::Waited(began.elapsed())
    }

    async fn call(&mut self, request: &ModelRequest) -> Event {
        let totals = self.machine.totals();
        let detail = format!("{} call {}, {} so far", request.model, totals.n_model_calls + 1, totals.cost);
        self.step("model call", &detail).await;
        // Whoever waits for longer does so in the queue, where no container and no worker waits too.
        let wait = self.parts.settings.timeouts.call.saturating_sub(self.waited);
        let allowed = Allowed { answer: self.machine.time_left(self.now()), wait };
        let Called { answer, waited } = self.client.call(request, allowed, self.stop).await;
        self.waited += waited;
        match answer {
            Ok(turn) => Event::Answered { turn, waited },
            Err(error) => Event::CallFailed { error, waited },
        }
    }

    async fn reserve(&self, model: &str, amount: NanoUsd) -> Result<Event, AgentError> {
        let id = ReservationId::new();
        let answer = self.parts.ledger.reserve(id, model, amount).await;
        match answer.map_err(|source| AgentError::Ledger { action: "reserve", source })? {
            ReserveAnswer::Granted => Ok(Event::Reserved { id, amount }),
            ReserveAnswer::Refused { limit, limit_amount, spent } => {
                debug!(limit, %limit_amount, %spent, "a model call was not made for its cost");
                Ok(Event::NotReserved { limit })
            }
        }
    }

    async fn run_tool(&mut self, call: &ToolCall) -> Result<Event, AgentError> {
        self.step("tool run", &describe(call)).await;
        let toolbox = Toolbox {
            workspace: &*self.parts.workspace,
            redactor: &self.parts.redactor,
            limits: self.parts.settings.limits,
            base_commit: &self.task.base_commit,
            deadline: Instant::now() + self.machine.time_left(self.now()),
        };
        let machine = &self.machine;
        let ran = tokio::select! {
            biased;
            () = self.stop.requested() => return Ok(Event::StopRequested),
            ran = toolbox.run(call, |path| machine.seen(path).map(str::to_owned)) => ran,
        };
        let outcome = ran.map_err(|source| AgentError::Workspace { action: "run a tool", source })?;
        Ok(Event::ToolRan(outcome))
    }

    async fn step(&self, name: &'static str, detail: &str) {
        let detail = self.parts.redactor.redact(detail);
        self.parts.progress.step(name, &cap(detail.as_str(), MAX_STEP_CHARS)).await;
    }
}

/// A tool call in one line, for people: its name and what it is about.
fn describe(call: &ToolCall) -> String {
    let input: serde_json::Value = serde_json::from_str(&call.input).unwrap_or_default();
    let about = ["command", "pattern", "path", "outcome"].iter().find_map(|field| input[field].as_str());
    about.map_or_else(|| call.name.clone(), |about| format!("{}: {}", call.name, about.trim()))
}

fn error_of(failure: Failure) -> AgentError {
    match failure {
        Failure::UnknownPrice { model } => AgentError::UnknownPrice { model },
        Failure::Refused { message } => AgentError::ModelRefused { message },
        Failure::Away { message, retry_after, n_in_a_row } => {
            let retry_after = retry_after.unwrap_or_else(|| AWAY_BACKOFF.delay(n_in_a_row));
            AgentError::ModelAway { message, retry_after: Some(retry_after) }
        }
    }
}
