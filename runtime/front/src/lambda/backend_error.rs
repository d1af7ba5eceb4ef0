//! Why the functions behind the Lambda API refuse a call; each stands for a modelled exception.

/// Why a call was refused. The wire layer gives each the service's exception, status and text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LambdaError {
    /// `ResourceNotFoundException`, "Function not found: ARN": no such function, or the version or
    /// alias that the call's target names.
    #[error("there is no such function")]
    FunctionNotFound,
    /// `ResourceNotFoundException`, "Function not found: ARN:N": a version that an alias names.
    #[error("there is no version {0}")]
    VersionNotFound(u32),
    /// `ResourceNotFoundException`, "Cannot find alias arn: ARN".
    #[error("there is no such alias")]
    AliasNotFound,
    /// `ResourceNotFoundException`, "The function ARN doesn't have an EventInvokeConfig".
    #[error("nothing is set for the events of this function")]
    EventConfigNotFound,
    /// `ResourceConflictException`, "Function already exist: NAME".
    #[error("the function is there already")]
    FunctionExists,
    /// `ResourceConflictException`, "Alias already exists: ARN".
    #[error("the alias is there already")]
    AliasExists,
    /// `ResourceConflictException`: aliases point at the version to delete; their names.
    #[error("aliases point at the version: {0:?}")]
    VersionInUse(Vec<String>),
    /// `ResourceConflictException`: the function is compiled for the first time.
    #[error("the function is pending")]
    Pending,
    /// `ResourceConflictException`: the function was never good; the reason.
    #[error("the function has failed: {0}")]
    Failed(String),
    /// `ResourceConflictException`: another update has not ended.
    #[error("an update is in progress")]
    UpdateInProgress,
    /// `ResourceConflictException` with this sentence.
    #[error("{0}")]
    Conflict(String),
    /// `PreconditionFailedException`: the revision id is an older one.
    #[error("the revision id is not the newest")]
    RevisionMismatch,
    /// `InvalidParameterValueException`: `CodeSha256` of `$LATEST` is this one.
    #[error("the code is another")]
    CodeMismatch([u8; 32]),
    /// `InvalidParameterValueException` with this sentence: a value that only the backend can judge,
    /// a module that is not one, an object that is not there.
    #[error("{0}")]
    Invalid(String),
    /// `CodeStorageExceededException` with this sentence.
    #[error("{0}")]
    CodeStorageExceeded(String),
    /// `AliasLimitExceededException` with this sentence.
    #[error("{0}")]
    AliasLimit(String),
    /// `RequestTooLargeException` (413) with this sentence: the answer of a function is over its limit.
    #[error("{0}")]
    TooLarge(String),
    /// `TooManyRequestsException` (429), "Rate Exceeded.".
    #[error("too many calls at once")]
    TooManyRequests(ThrottleReason),
    /// 503: back-pressure, or trouble that a retry may outlive. `slug` is one of docs/errors.md.
    #[error("{message}")]
    Unavailable {
        /// Stable name of the condition.
        slug: &'static str,
        /// A sentence.
        message: String,
    },
    /// 500: the server's own fault. The sentence goes to the log and to the client.
    #[error("{0}")]
    Internal(String),
}

/// `Reason` of a `TooManyRequestsException`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleReason {
    /// All that the account has: `ConcurrentInvocationLimitExceeded`.
    Account,
    /// What the function has reserved: `ReservedFunctionConcurrentInvocationLimitExceeded`.
    Reserved,
    /// Events that wait, or calls in a time: `CallerRateLimitExceeded`.
    Rate,
}
