//! The ways in which a call fails.

/// Why a call gave no output. Texts are bounded and safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum CallError {
    /// The function trapped (a panic, division by zero, stack overflow, …).
    #[error("the function trapped: {trace}")]
    Trap {
        /// Root cause and the guest's frames by name.
        trace: String,
    },
    /// It ran longer than it may.
    #[error("the function ran past its deadline: {trace}")]
    Deadline {
        /// Where it was.
        trace: String,
    },
    /// It failed after more memory than granted was refused.
    #[error("the function needs more than the {bytes} bytes of memory it may have: {trace}")]
    Memory {
        /// The limit, bytes.
        bytes: usize,
        /// Where it was.
        trace: String,
    },
    /// It returned more than it may.
    #[error("the function returned more than {bytes_max} bytes")]
    OutputTooLarge {
        /// The limit, bytes.
        bytes_max: usize,
    },
    /// It called the host more often than it may.
    #[error("the function made more than {max} calls of the host")]
    HostCalls {
        /// The limit.
        max: u32,
    },
    /// It said itself that it could not process the batch or event; of an event the words are whole, up
    /// to [`ANSWER_BYTES_MAX`](crate::ANSWER_BYTES_MAX).
    #[error("{0}")]
    Returned(String),
    /// It returned what is not an output.
    #[error("the function returned an invalid output: {0}")]
    Invalid(String),
    /// It was to answer JSON, and did not.
    #[error("the function's answer is not valid JSON: {0}")]
    NotJson(String),
    /// The event is none that this function can be given; it was not called.
    #[error("{0}")]
    Event(String),
    /// It answered well, but what it wrote through `key-value` could not be kept.
    #[error("the function's state could not be kept: {0}")]
    State(String),
    /// The host failed; a defect of ours, contained.
    #[error("the function host failed: {0}")]
    Host(String),
}

impl CallError {
    /// All that [`Self::kind`] answers.
    pub const KINDS: [&'static str; 11] = [
        "trap",
        "deadline",
        "memory",
        "output-too-large",
        "host-calls",
        "returned",
        "invalid",
        "not-json",
        "event",
        "state",
        "host",
    ];

    /// One word for metrics and logs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        Self::KINDS[self.kind_index()]
    }

    /// Place of [`Self::kind`] in [`Self::KINDS`].
    #[must_use]
    pub const fn kind_index(&self) -> usize {
        match self {
            Self::Trap { .. } => 0,
            Self::Deadline { .. } => 1,
            Self::Memory { .. } => 2,
            Self::OutputTooLarge { .. } => 3,
            Self::HostCalls { .. } => 4,
            Self::Returned(_) => 5,
            Self::Invalid(_) => 6,
            Self::NotJson(_) => 7,
            Self::Event(_) => 8,
            Self::State(_) => 9,
            Self::Host(_) => 10,
        }
    }
}
