//! Everything that can go wrong before a guest runs, with its exit code.

use hvcall::ExitCode;
use loader::backend::choice::Mismatch;
use loader::build::BuildError;
use loader::device_spec::DiskError;
use loader::evidence::output::OutputError;
use loader::image::ImageError;
use loader::net::frames::PolicyError;
use loader::net::tap::TapError;
use loader::net::user::UserNetError;
use loader::new::NewError;
use loader::parent::StartError;
use loader::signature::SignatureError;
use loader::symbols::SymbolsError;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Backend(#[from] Mismatch),
    #[error(transparent)]
    New(#[from] NewError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("the audit failed: {0}")]
    Audit(String),
    #[error(transparent)]
    Symbols(#[from] SymbolsError),
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error(transparent)]
    Tap(#[from] TapError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    UserNet(#[from] UserNetError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("cannot make a socket pair for the network: {0}")]
    SocketPair(std::io::Error),
    #[error("the sandbox is not complete: this kernel {0}")]
    Sandbox(String),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("fuzzing stopped: {0}")]
    Fuzz(#[from] std::io::Error),
}

impl CommandError {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Backend(_) => ExitCode::USAGE,
            Self::New(error) => error.exit_code(),
            Self::Build(error) => error.exit_code(),
            Self::Image(error) => error.exit_code(),
            Self::Signature(error) => error.exit_code(),
            Self::Audit(_) => ExitCode::BAD_IMAGE,
            Self::Symbols(error) => error.exit_code(),
            Self::Tap(error) => error.exit_code(),
            Self::Disk(error) => error.exit_code(),
            Self::Sandbox(_) => ExitCode::UNAVAILABLE,
            Self::Policy(PolicyError::NoResolver) => ExitCode::USAGE,
            Self::Policy(PolicyError::Resolve(_))
            | Self::UserNet(_)
            | Self::SocketPair(_)
            | Self::Output(_)
            | Self::Start(_)
            | Self::Fuzz(_) => ExitCode::HOST_ERROR,
        }
    }
}
