//! All long-lived tasks of the daemon, born in one place, each with a name.
//!
//! A task that ends before it was asked to, fails or panics stops the whole daemon with its name in the error: half a
//! daemon that looks alive is worse than one that systemd starts again.

use std::future::Future;
use std::time::Duration;

use tokio::task::{Id, JoinSet};

use crate::base::chain::Chain;
use crate::base::shutdown::Shutdown;

/// What a task may fail with.
pub(super) type TaskError = Box<dyn std::error::Error + Send + Sync>;

/// The named tasks of one stopping step.
#[derive(Debug)]
pub(super) struct Tasks {
    set: JoinSet<Result<(), TaskError>>,
    names: Vec<(Id, &'static str)>,
    shutdown: Shutdown,
}

/// A task ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
#[error("the task `{name}` {how}")]
pub struct TaskEnded {
    name: &'static str,
    how: String,
}

impl Tasks {
    /// No tasks yet; `shutdown` is what they will be told to stop with.
    pub(super) fn new(shutdown: Shutdown) -> Self {
        Self { set: JoinSet::new(), names: Vec::new(), shutdown }
    }

    /// The order to stop that these tasks listen to.
    pub(super) fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Starts a task.
    pub(super) fn spawn<E>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) where
        E: Into<TaskError>,
    {
        let handle = self.set.spawn(async move { task.await.map_err(Into::into) });
        self.names.push((handle.id(), name));
    }

    /// Waits for the first task that ends although no stop was asked for. Never ends while all of them run.
    pub(super) async fn first_failure(&mut self) -> TaskEnded {
        loop {
            match self.set.join_next_with_id().await {
                Some(ended) => {
                    let (id, how) = describe(ended);
                    if !self.shutdown.is_requested() {
                        return TaskEnded { name: self.name(id), how };
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Asks all tasks to stop and waits until they have, at most `deadline`; those that have not are cut off.
    pub(super) async fn stop(&mut self, deadline: Duration) {
        self.shutdown.request();
        let all = async {
            while let Some(ended) = self.set.join_next_with_id().await {
                if !matches!(ended, Ok((_, Ok(())))) {
                    let (id, how) = describe(ended);
                    tracing::warn!(task = self.name(id), how, "task did not stop cleanly");
                }
            }
        };
        if tokio::time::timeout(deadline, all).await.is_err() {
            tracing::error!(
                n_tasks = self.set.len(),
                ?deadline,
                "tasks did not stop in time, cutting them off"
            );
            self.set.shutdown().await;
        }
    }

    fn name(&self, id: Id) -> &'static str {
        self.names.iter().find(|(known, _)| *known == id).map_or("unknown", |(_, name)| name)
    }
}

fn describe(ended: Result<(Id, Result<(), TaskError>), tokio::task::JoinError>) -> (Id, String) {
    match ended {
        Ok((id, Ok(()))) => (id, "ended".to_owned()),
        Ok((id, Err(error))) => (id, format!("failed: {}", Chain(error.as_ref()))),
        Err(error) => {
            let id = error.id();
            let how = if error.is_panic() {
                panic_text(error.into_panic().as_ref())
            } else {
                "was cut off".to_owned()
            };
            (id, how)
        }
    }
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_that_ends_early_is_named() {
        type Body = std::pin::Pin<Box<dyn Future<Output = Result<(), TaskError>> + Send>>;
        let cases: [(Body, &str); 3] = [
            (Box::pin(async { Ok(()) }), "the task `odd` ended"),
            (Box::pin(async { Err("disk full".into()) }), "the task `odd` failed: disk full"),
            (Box::pin(async { panic!("boom") }), "the task `odd` panicked: boom"),
        ];
        for (body, expected) in cases {
            let mut tasks = Tasks::new(Shutdown::new());
            let stop = tasks.shutdown();
            tasks.spawn("even", async move {
                stop.requested().await;
                Ok::<_, TaskError>(())
            });
            tasks.spawn("odd", body);
            assert_eq!(tasks.first_failure().await.to_string(), expected);
            tasks.stop(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_stop_is_cut_off() {
        let mut tasks = Tasks::new(Shutdown::new());
        tasks.spawn("deaf", std::future::pending::<Result<(), TaskError>>());
        tasks.stop(Duration::from_secs(5)).await;
        assert!(tasks.set.is_empty());
    }
}
