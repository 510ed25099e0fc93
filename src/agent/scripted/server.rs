//! The server: takes a request, checks it, answers as the script says, and keeps the books.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::answer::{Cut, error_response, respond};
use super::blocks::{self, SentBlock};
use super::books::{Books, Ledgers, cost};
use super::memory::{Conversation, head};
use super::script::{Instead, Script, Turn};
use super::stream::{error_event, events, output_tokens};
use super::wire::{Refusal, SeenMessage, WireRequest, messages};
use super::{check, pairing};
use crate::model::money::NanoUsd;

const MAX_REQUEST_BYTES: usize = 32 << 20;

/// A scripted model server on loopback; it ends with the value.
#[derive(Debug)]
pub struct ScriptedModel {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

/// What the server takes. By default any key, and no end of money.
#[derive(Debug, Clone, Default)]
pub struct ScriptedOptions {
    /// Only this key.
    pub api_key: Option<String>,
    /// Refuses requests once the answers have cost so much.
    pub credit: Option<NanoUsd>,
}

#[derive(Debug)]
struct Shared {
    scripts: Vec<Script>,
    options: ScriptedOptions,
    books: Mutex<Ledgers>,
    conversations: Mutex<BTreeMap<String, Conversation>>,
}

impl ScriptedModel {
    /// Starts a server that plays `scripts` and takes any key.
    ///
    /// # Errors
    /// When loopback has no free port.
    pub async fn start(scripts: Vec<Script>) -> std::io::Result<Self> {
        Self::start_with(scripts, ScriptedOptions::default()).await
    }

    /// Starts a server that is choosier.
    ///
    /// # Errors
    /// When loopback has no free port.
    pub async fn start_with(scripts: Vec<Script>, options: ScriptedOptions) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { scripts, options, books: Mutex::default(), conversations: Mutex::default() });
        let router = Router::new().route("/v1/messages", post(answer)).with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = axum::serve(listener, router) => {}
                () = stopped.cancelled() => {}
            }
        });
        Ok(Self { address, shared, _stop: stop.drop_guard() })
    }

    /// Where it listens, for [`crate::agent::settings::Settings::base_url`].
    pub fn base_url(&self) -> url::Url {
        let url = format!("http://{}", self.address);
        url.parse().expect("a socket address makes a URL")
    }

    /// The books of all conversations together.
    pub fn books(&self) -> Books {
        lock(&self.shared.books).total()
    }

    /// The books of each conversation.
    pub fn conversations(&self) -> Vec<(String, Books)> {
        lock(&self.shared.books).by_conversation.clone().into_iter().collect()
    }

    /// What each answer cost that was sent whole, in order: a bill with a line for each call.
    pub fn bill(&self) -> Vec<NanoUsd> {
        lock(&self.shared.books).answers.clone()
    }

    /// What was refused because it was wrong, in order: status, kind and message.
    pub fn refusals(&self) -> Vec<String> {
        lock(&self.shared.books).refusals.clone()
    }
}

/// A request that is right, and whose conversation it belongs to.
struct Accepted {
    key: String,
    model: String,
    head: String,
    messages: Vec<SeenMessage>,
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Response {
    let body = axum::body::to_bytes(body, MAX_REQUEST_BYTES).await;
    let accepted = match body {
        Ok(body) => shared.accept(&headers, &body),
        Err(_) => Err((
            "unknown".to_owned(),
            Refusal {
                status: 413,
                kind: "request_too_large",
                message: "Request exceeds the maximum size".to_owned(),
            },
        )),
    };
    match accepted {
        Ok(accepted) => shared.play(accepted).await,
        Err((key, refusal)) => {
            let mut books = lock(&shared.books);
            books.of(&key).n_requests += 1;
            books.of(&key).n_refused += 1;
            books.refusals.push(format!("{} {}: {}", refusal.status, refusal.kind, refusal.message));
            error_response(refusal.status, refusal.kind, &refusal.message, &[])
        }
    }
}

impl Shared {
    fn accept(&self, headers: &HeaderMap, body: &[u8]) -> Result<Accepted, (String, Refusal)> {
        let unknown = |refusal| ("unknown".to_owned(), refusal);
        check::headers(headers, self.options.api_key.as_deref()).map_err(unknown)?;
        check::credit(self.options.credit, lock(&self.books).total().cost).map_err(unknown)?;
        let request: WireRequest = serde_json::from_slice(body)
            .map_err(|error| unknown(Refusal::invalid(format!("the body cannot be read: {error}"))))?;
        let user_id = request.metadata.as_ref().and_then(|metadata| metadata["user_id"].as_str());
        let first = request.messages.first().map(|message| message.content.get()).unwrap_or_default();
        let key =
            user_id.map_or_else(|| blake3::hash(first.as_bytes()).to_hex()[..16].to_owned(), str::to_owned);
        self.accept_in(&key, request).map_err(|refusal| (key, refusal))
    }

    fn accept_in(&self, key: &str, request: WireRequest) -> Result<Accepted, Refusal> {
        check::parameters(&request)?;
        let system = check::system(&request)?;
        let messages = messages(&request.messages)?;
        check::breakpoints(&request, &system, &messages)?;
        let tools: Vec<&str> = request.tools.iter().flatten().map(|tool| tool.get()).collect();
        let head = head(&request.model, &tools.join(","), &system);
        let mut conversations = lock(&self.conversations);
        let conversation = conversations.entry(key.to_owned()).or_default();
        pairing::check(&messages, conversation.is_paused)?;
        conversation.check(&head, &messages)?;
        Ok(Accepted { key: key.to_owned(), model: request.model, head, messages })
    }

    async fn play(&self, accepted: Accepted) -> Response {
        lock(&self.books).of(&accepted.key).n_requests += 1;
        loop {
            let (turn, instead) = self.next(&accepted);
            if let Some(delay) = instead.as_ref().and_then(Instead::delay) {
                tokio::time::sleep(delay).await;
                continue;
            }
            return match instead {
                Some(Instead::Status { status, kind, headers }) => {
                    lock(&self.books).of(&accepted.key).n_faults += 1;
                    error_response(status, &kind, "as the script says", &headers)
                }
                Some(Instead::Answer(other)) => self.stream(&accepted, &other, None),
                Some(Instead::BreakOff { n_events }) => {
                    self.stream(&accepted, &turn, Some((n_events, Cut::BreakOff)))
                }
                Some(Instead::ErrorEvent { n_events, kind }) => {
                    self.stream(&accepted, &turn, Some((n_events, Cut::Event(error_event(&kind)))))
                }
                Some(Instead::Malformed { n_events }) => {
                    let broken = "event: content_block_delta\ndata: {\"type\":\n\n".to_owned();
                    self.stream(&accepted, &turn, Some((n_events, Cut::Event(broken))))
                }
                Some(Instead::Hang { n_events }) => {
                    self.stream(&accepted, &turn, Some((n_events, Cut::Hang)))
                }
                Some(Instead::Delay { .. }) | None => self.stream(&accepted, &turn, None),
            };
        }
    }

    /// The turn that is due, and what is given in its place this time.
    fn next(&self, accepted: &Accepted) -> (Turn, Option<Instead>) {
        let first: Vec<String> =
            accepted.messages[0].blocks.iter().map(|block| block.value.to_string()).collect();
        let first = first.join("\n");
        let fits = |script: &&Script| {
            first.contains(&script.when) && script.model.as_ref().is_none_or(|it| *it == accepted.model)
        };
        let turn_idx = accepted.messages.iter().filter(|message| !message.is_user).count();
        let turn = self.scripts.iter().find(fits).and_then(|script| script.turns.get(turn_idx)).cloned();
        let turn = turn.unwrap_or_else(|| Turn::text("The script is over."));
        let mut conversations = lock(&self.conversations);
        let n_given =
            conversations.entry(accepted.key.clone()).or_default().n_given.entry(turn_idx).or_default();
        let instead = turn.before.get(*n_given).cloned();
        *n_given += usize::from(instead.is_some());
        (turn, instead)
    }

    fn stream(&self, accepted: &Accepted, turn: &Turn, cut: Option<(usize, Cut)>) -> Response {
        let sent = blocks::build(&turn.blocks, &accepted.key, &accepted.head, &accepted.messages);
        let has_calls = sent.iter().any(|block| block.input.is_some());
        let natural = if has_calls { "tool_use" } else { "end_turn" };
        let stop_reason = turn.stop_reason.as_deref().unwrap_or(natural);
        let mut usage = {
            let mut conversations = lock(&self.conversations);
            let conversation = conversations.entry(accepted.key.clone()).or_default();
            conversation.is_paused = stop_reason == "pause_turn";
            // Empty texts are sent, but do not come back.
            let come_back = sent.iter().filter(|block| block.value["text"] != "");
            conversation.note_sent(come_back.map(|block| block.value.clone()).collect());
            conversation.count_input(&accepted.head, &accepted.messages)
        };
        usage.output_tokens = output_tokens(&sent);
        let message_id = message_id(accepted, &sent);
        let stop = (stop_reason, turn.stop_category.as_deref());
        let mut events = events(&message_id, &accepted.model, &sent, stop, &usage);
        let mut ledgers = lock(&self.books);
        if cut.is_none() {
            ledgers.answers.push(cost(&accepted.model, &usage));
        }
        let books = ledgers.of(&accepted.key);
        match &cut {
            Some((n_events, _)) => {
                events.truncate(*n_events);
                books.n_broken_off += 1;
            }
            None => {
                books.n_answered += 1;
                books.usage += usage;
                books.cost += cost(&accepted.model, &usage);
            }
        }
        respond(events, cut.map(|(_, cut)| cut))
    }
}

fn message_id(accepted: &Accepted, sent: &[SentBlock]) -> String {
    let text = format!("{}{}{sent:?}", accepted.key, accepted.messages.len());
    format!("msg_{}", &blake3::hash(text.as_bytes()).to_hex()[..20])
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
