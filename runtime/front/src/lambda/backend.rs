//! The seam of the Lambda API: what the wire layer asks of the functions behind it, as plain types.
//! The wire layer has checked names, lengths, ranges and what is not supported; the backend decides
//! what depends on state. ARNs, JSON and the service's texts are the wire layer's.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use millrace_catalog::SettingNames;

use super::backend_error::LambdaError;

/// A published version (from 1), or `None` for `$LATEST`.
pub type Version = Option<u32>;

/// What a call names behind a function's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Qualifier {
    /// `$LATEST`, also when nothing is named.
    Latest,
    /// A published version.
    Version(u32),
    /// An alias: 1 to 128 of `a-z`, `A-Z`, `0-9`, `-` and `_`, not all digits.
    Alias(String),
}

/// A function and what is named of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// 1 to 64 of `a-z`, `A-Z`, `0-9`, `-` and `_`.
    pub name: String,
    /// Which of its versions.
    pub qualifier: Qualifier,
}

/// The world that a function's module is made for; `Handler` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// Batches in, outputs out.
    Transform,
    /// One event in, one answer out.
    Handler,
}

/// A function's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The WebAssembly module or component itself, taken out of its zip; at most
    /// [`crate::MODULE_BYTES_MAX`] bytes. It begins with `\0asm`; nothing else is known of it.
    pub module: Bytes,
    /// SHA-256 of the package as it was sent (the zip, or the bare module). Shown again as
    /// `CodeSha256`: tools compare it with that of the file they uploaded.
    pub package_sha256: [u8; 32],
    /// Bytes of that package; shown again as `CodeSize`.
    pub package_bytes: u64,
}

/// A function to make. Names that are taken are [`LambdaError::FunctionExists`].
#[derive(Debug, Clone, PartialEq)]
pub struct NewFunction {
    /// As [`Target::name`].
    pub name: String,
    /// Its code.
    pub code: Code,
    /// Its configuration.
    pub configuration: Configuration,
    /// Its tags: at most 50.
    pub tags: BTreeMap<String, String>,
    /// Publish version 1 as well; the answer is then that version.
    pub publish: bool,
}

/// What a function is run with, and what is shown of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Its world.
    pub world: World,
    /// What the guest reads through the settings interface; `Environment.Variables` on the wire, at
    /// most 4 KiB together.
    pub settings: BTreeMap<String, String>,
    /// Memory of one instance at most, MiB: 128 to 1,024.
    pub memory_mb: u32,
    /// Time of one invocation at most, seconds: 1 to 900.
    pub timeout_s: u32,
    /// At most 256 characters.
    pub description: String,
    /// The role's ARN; only shown again.
    pub role: String,
    /// The log group that was given; only shown again.
    pub log_group: Option<String>,
}

impl std::fmt::Debug for Configuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { world, settings, memory_mb, timeout_s, description, role, log_group } = self;
        f.debug_struct("Configuration")
            .field("world", world)
            .field("settings", &SettingNames(settings))
            .field("memory_mb", memory_mb)
            .field("timeout_s", timeout_s)
            .field("description", description)
            .field("role", role)
            .field("log_group", log_group)
            .finish()
    }
}

/// A change of the configuration of `$LATEST`: `None` leaves a member as it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConfigurationChange {
    /// As [`Configuration::world`].
    pub world: Option<World>,
    /// Replaces all settings.
    pub settings: Option<BTreeMap<String, String>>,
    /// As [`Configuration::memory_mb`].
    pub memory_mb: Option<u32>,
    /// As [`Configuration::timeout_s`].
    pub timeout_s: Option<u32>,
    /// As [`Configuration::description`].
    pub description: Option<String>,
    /// As [`Configuration::role`].
    pub role: Option<String>,
    /// As [`Configuration::log_group`].
    pub log_group: Option<String>,
    /// Only if this is the revision id of `$LATEST`, else [`LambdaError::RevisionMismatch`].
    pub revision_id: Option<String>,
}

impl std::fmt::Debug for ConfigurationChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { world, settings, memory_mb, timeout_s, description, role, log_group, revision_id } = self;
        f.debug_struct("ConfigurationChange")
            .field("world", world)
            .field("settings", &settings.as_ref().map(SettingNames))
            .field("memory_mb", memory_mb)
            .field("timeout_s", timeout_s)
            .field("description", description)
            .field("role", role)
            .field("log_group", log_group)
            .field("revision_id", revision_id)
            .finish()
    }
}

/// A change of the code of `$LATEST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeChange {
    /// The new code.
    pub code: Code,
    /// Publish a version as well; the answer is then that version.
    pub publish: bool,
    /// Check everything and change nothing; the answer is what the function would be.
    pub dry_run: bool,
    /// As [`ConfigurationChange::revision_id`].
    pub revision_id: Option<String>,
}

/// A version to publish from `$LATEST`. When neither code nor configuration has changed since the
/// last published version, that version is the answer and none is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publish {
    /// Only if this is `CodeSha256` of `$LATEST`, else [`LambdaError::CodeMismatch`].
    pub code_sha256: Option<[u8; 32]>,
    /// The version's own description; that of `$LATEST` when `None`.
    pub description: Option<String>,
    /// As [`ConfigurationChange::revision_id`].
    pub revision_id: Option<String>,
}

/// Whether a version can be invoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is being compiled for the first time.
    Pending,
    /// It can.
    Active,
    /// It cannot: it was never good.
    Failed(Failure),
}

/// What came of the last change of `$LATEST`. While it is in progress and when it has failed, the
/// code and configuration that ran before still run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastUpdate {
    /// It runs.
    Successful,
    /// It is being compiled.
    InProgress,
    /// It came to nothing.
    Failed(Failure),
}

/// Why code does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub code: FailureCode,
    /// A sentence with the next step.
    pub message: String,
}

/// Kinds of [`Failure`]: those of `StateReasonCode` that can happen here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureCode {
    /// The module is none, is for another world, or imports what is not there: `InvalidZipFileException`.
    InvalidModule,
    /// The settings or limits do not fit the module: `InvalidConfiguration`.
    InvalidConfiguration,
    /// It did not start: `FunctionError`.
    FunctionError,
    /// A limit of compilation or of the account: `ServiceQuotaExceededException`.
    Quota,
    /// The server's own trouble: `InternalError`.
    Internal,
}

/// A function's version as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Its name.
    pub name: String,
    /// Which version this is.
    pub version: Version,
    /// Its configuration.
    pub configuration: Configuration,
    /// As [`Code::package_sha256`].
    pub code_sha256: [u8; 32],
    /// As [`Code::package_bytes`].
    pub code_bytes: u64,
    /// When it was last changed (a version: published), milliseconds since the Unix epoch.
    pub modified_ms: i64,
    /// A UUID; another one after each change of code, configuration, state or aliases' target.
    pub revision_id: String,
    /// Whether it can be invoked.
    pub state: State,
    /// What came of its last change.
    pub last_update: LastUpdate,
}

/// An alias as it stands, and one to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Alias {
    /// As [`Qualifier::Alias`].
    pub name: String,
    /// The published version it points at.
    pub version: u32,
    /// Shares of calls, 0 to 1, that go to other published versions instead. The wire layer lets at
    /// most one through.
    pub weights: BTreeMap<u32, f64>,
    /// At most 256 characters.
    pub description: String,
    /// A UUID; another one after each change. Not looked at when an alias is made.
    pub revision_id: String,
}

/// A change of an alias: `None` leaves a member as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AliasChange {
    /// As [`Alias::version`].
    pub version: Option<u32>,
    /// Replaces all weights; none ends the routing.
    pub weights: Option<BTreeMap<u32, f64>>,
    /// As [`Alias::description`].
    pub description: Option<String>,
    /// Only if this is the alias's revision id, else [`LambdaError::RevisionMismatch`].
    pub revision_id: Option<String>,
}

/// What an invocation is called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Whom.
    pub target: Target,
    /// The event: valid JSON, `{}` when none was sent. At most 6 MiB, 1 MiB of an event to keep.
    pub payload: Bytes,
    /// `X-Amz-Client-Context`, decoded: a JSON object of at most 3,583 bytes.
    pub client_context: Option<String>,
    /// The id that names the call in logs and answers: a UUID.
    pub request_id: String,
    /// The end of the call's log is wanted: [`Invoked::log`].
    pub log_tail: bool,
}

/// What came of an invocation that ran, well or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoked {
    /// The version that ran; behind an alias with weights, the one that was drawn.
    pub version: Version,
    /// The answer as the function gave it; with `function_error` a JSON object with
    /// `errorMessage` and `errorType`.
    pub payload: Bytes,
    /// The function failed, trapped or was ended at its deadline.
    pub function_error: bool,
    /// The log of this call, when it was asked for; the wire layer shows its last 4 KiB.
    pub log: Bytes,
}

/// How events that are kept (`InvocationType` `Event`) are run; one for each target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventConfig {
    /// Tries after the first one that fails: 0 to 2; the default is 2.
    pub retries_max: Option<u32>,
    /// Age at which an event is given up, seconds: 60 to 21,600; the default is 21,600.
    pub age_max_s: Option<u32>,
    /// ARN of where an event goes that was given up. One that cannot be reached from here is
    /// [`LambdaError::Invalid`].
    pub on_failure: Option<String>,
}

/// An [`EventConfig`] as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventConfigInfo {
    /// Whose.
    pub target: Target,
    /// What.
    pub config: EventConfig,
    /// When it was last changed, milliseconds since the Unix epoch.
    pub modified_ms: i64,
}

/// Numbers of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Bytes of all code that may be kept.
    pub code_bytes_max: u64,
    /// Bytes of all code that is kept.
    pub code_bytes: u64,
    /// Invocations at once.
    pub concurrency_max: u32,
    /// Those that no function has reserved.
    pub concurrency_unreserved: u32,
    /// Functions.
    pub functions: u64,
}

/// The functions behind the Lambda API. Calls answer from memory where they are not `async`.
///
/// A function that is not there is [`LambdaError::FunctionNotFound`] in every method.
#[async_trait]
pub trait LambdaBackend: Send + Sync + std::fmt::Debug {
    /// Names of all functions, in ASCII order.
    fn names(&self) -> Vec<String>;

    /// What the target stands for: behind an alias, the version it points at.
    fn function(&self, target: &Target) -> Result<FunctionInfo, LambdaError>;

    /// `$LATEST`, then the published versions from the oldest.
    fn versions(&self, name: &str) -> Result<Vec<FunctionInfo>, LambdaError>;

    /// The tags.
    fn tags(&self, name: &str) -> Result<BTreeMap<String, String>, LambdaError>;

    /// Invocations at once that are reserved for the function, and its most; `None` when nothing is.
    fn concurrency(&self, name: &str) -> Result<Option<u32>, LambdaError>;

    /// One alias; [`LambdaError::AliasNotFound`].
    fn alias(&self, name: &str, alias: &str) -> Result<Alias, LambdaError>;

    /// All aliases, by name.
    fn aliases(&self, name: &str) -> Result<Vec<Alias>, LambdaError>;

    /// What was set for exactly this target; [`LambdaError::EventConfigNotFound`].
    fn event_config(&self, target: &Target) -> Result<EventConfigInfo, LambdaError>;

    /// All of a function: that of `$LATEST` first, then versions, then aliases by name.
    fn event_configs(&self, name: &str) -> Result<Vec<EventConfigInfo>, LambdaError>;

    /// The account's numbers.
    fn account(&self) -> Account;

    /// The module of a version, as [`Code::module`].
    async fn code(&self, target: &Target) -> Result<Bytes, LambdaError>;

    /// An object of a bucket, for code that is named by bucket and key: at most `bytes_max` bytes,
    /// more is [`LambdaError::Invalid`], as is one that is not there or cannot be read.
    async fn object(&self, bucket: &str, key: &str, bytes_max: usize) -> Result<Bytes, LambdaError>;

    /// Makes a function. It may answer [`State::Pending`] and compile behind the answer.
    async fn create(&self, function: NewFunction) -> Result<FunctionInfo, LambdaError>;

    /// Changes the code of `$LATEST`; may answer [`LastUpdate::InProgress`]. An update during an
    /// update is [`LambdaError::UpdateInProgress`].
    async fn update_code(&self, name: &str, change: CodeChange) -> Result<FunctionInfo, LambdaError>;

    /// Changes the configuration of `$LATEST`; as [`LambdaBackend::update_code`].
    async fn update_configuration(&self, name: &str, change: ConfigurationChange) -> Result<FunctionInfo, LambdaError>;

    /// Publishes a version.
    async fn publish(&self, name: &str, publish: Publish) -> Result<FunctionInfo, LambdaError>;

    /// Deletes the function with all it has.
    async fn delete(&self, name: &str) -> Result<(), LambdaError>;

    /// Deletes a published version; one that aliases point at is [`LambdaError::VersionInUse`], one
    /// that is not there is no error.
    async fn delete_version(&self, name: &str, version: u32) -> Result<(), LambdaError>;

    /// Makes an alias. A version that is not there is [`LambdaError::VersionNotFound`].
    async fn create_alias(&self, name: &str, alias: Alias) -> Result<Alias, LambdaError>;

    /// Changes an alias.
    async fn update_alias(&self, name: &str, alias: &str, change: AliasChange) -> Result<Alias, LambdaError>;

    /// Deletes an alias; one that is not there is no error.
    async fn delete_alias(&self, name: &str, alias: &str) -> Result<(), LambdaError>;

    /// Runs a call and waits for its answer.
    async fn invoke(&self, invocation: Invocation) -> Result<Invoked, LambdaError>;

    /// Keeps an event durably, to be run later by its [`EventConfig`].
    async fn enqueue(&self, invocation: Invocation) -> Result<(), LambdaError>;

    /// Whether a call would be taken now: the target is there and can be invoked.
    async fn check_invocation(&self, target: &Target) -> Result<(), LambdaError>;

    /// Sets (whole) how a target's events are run.
    async fn put_event_config(&self, target: &Target, config: EventConfig) -> Result<EventConfigInfo, LambdaError>;

    /// Removes it; [`LambdaError::EventConfigNotFound`].
    async fn delete_event_config(&self, target: &Target) -> Result<(), LambdaError>;

    /// Reserves invocations at once for a function, or none at all; more than the account can spare
    /// is [`LambdaError::Invalid`].
    async fn put_concurrency(&self, name: &str, reserved: Option<u32>) -> Result<(), LambdaError>;

    /// Adds and replaces tags; more than 50 are [`LambdaError::Invalid`].
    async fn tag(&self, name: &str, tags: BTreeMap<String, String>) -> Result<(), LambdaError>;

    /// Removes tags; ones that are not there are no error.
    async fn untag(&self, name: &str, keys: Vec<String>) -> Result<(), LambdaError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_settings_are_not_debugged() {
        let settings = BTreeMap::from([("TOKEN".to_owned(), "hidden".to_owned())]);
        let change = ConfigurationChange { settings: Some(settings.clone()), ..ConfigurationChange::default() };
        let whole = Configuration {
            world: World::Handler,
            settings,
            memory_mb: 128,
            timeout_s: 3,
            description: String::new(),
            role: String::new(),
            log_group: None,
        };
        for shown in [format!("{change:?}"), format!("{whole:?}")] {
            assert!(shown.contains("TOKEN") && !shown.contains("hidden"), "{shown}");
        }
    }
}
