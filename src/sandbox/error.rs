//! Why the sandbox could not do what it was asked. A command that fails is not an error, see [`super::spec::ExecEnd`].

/// Why the sandbox could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine does not answer.
    #[error("failed to reach the container engine at `{host}`")]
    EngineAway {
        host: String,
        #[source]
        source: bollard::errors::Error,
    },
    /// The address of the engine cannot be used.
    #[error("`{host}` is not an address of a container engine: use `unix:///path` or `tcp://host:port`")]
    BadHost { host: String },
    /// The engine does not have the image.
    #[error(
        "the sandbox image `{image}` is not on the engine: run `scripts/setup`, or pull or build it there"
    )]
    ImageMissing { image: String },
    /// The engine mounts a volume that the image declares, although it was told not to.
    #[error(
        "the sandbox image `{image}` declares the volume `{path}`, which cannot be left out: take one without"
    )]
    Volume { image: String, path: String },
    /// The engine refused or failed.
    #[error("failed to {action} the sandbox `{name}`")]
    Engine {
        action: &'static str,
        name: String,
        #[source]
        source: bollard::errors::Error,
    },
    /// The container ended by itself or was removed; what was in its workspace is gone.
    #[error("the sandbox `{name}` is gone while trying to {action}")]
    Lost { action: &'static str, name: String },
    /// `tar` in the container failed.
    #[error("failed to {action} the sandbox `{name}`: {message}")]
    Transfer { action: &'static str, name: String, message: String },
}

impl SandboxError {
    /// Whether the same may work later, in a new sandbox.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::EngineAway { .. } | Self::Engine { .. } | Self::Lost { .. } => true,
            Self::BadHost { .. }
            | Self::ImageMissing { .. }
            | Self::Volume { .. }
            | Self::Transfer { .. } => false,
        }
    }
}
