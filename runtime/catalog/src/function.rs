//! What the catalog holds of a function: revisions, published versions, aliases, settings of calls.
//!
//! A **revision** is code and configuration at one moment, and never changes but for the outcome of its
//! build. `$LATEST` and each published version point at one. So whatever names a revision (an intent of a
//! delivered object, a batch under way) names exactly what ran.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// The number of its first revision, which no other function of its name ever had: the catalog gives it. 0 for
    /// those that were made before there were ids.
    #[serde(default)]
    pub id: u32,
    /// Its name, 1–64 of `[a-zA-Z0-9_-]`.
    pub name: String,
    /// Its ARN, without a qualifier.
    pub arn: String,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// The revision behind `$LATEST`.
    pub latest: u32,
    /// The highest revision ever given.
    pub last_revision: u32,
    /// What became of the last change of `$LATEST`.
    pub last_update: LastUpdate,
    /// A deploy under way. What it makes is seen by nobody before all of it is there.
    #[serde(default)]
    pub deploying: Option<Deploying>,
    /// `RevisionId` of `$LATEST`: another one after each change.
    pub revision_id: String,
    /// Published versions by number.
    pub versions: BTreeMap<u32, Published>,
    /// The highest number ever given to a published version.
    pub last_version: u32,
    /// Aliases by name.
    pub aliases: BTreeMap<String, Alias>,
    /// `ReservedConcurrentExecutions`.
    pub reserved_concurrency: Option<u32>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Asynchronous invocation by qualifier (`$LATEST`, a number, an alias).
    pub event_configs: BTreeMap<String, EventConfig>,
    /// A revision that runs beside the live one, unseen.
    pub shadow: Option<Shadow>,
}

impl Function {
    /// Whose its state and its events are: a function of the same name that comes after it is somebody else.
    #[must_use]
    pub fn owner(&self) -> String {
        owner(&self.name, self.id)
    }
}

/// Names have no `#`.
fn owner(name: &str, id: u32) -> String {
    if id == 0 { name.to_owned() } else { format!("{name}#{id}") }
}

/// `LastUpdateStatus`, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LastUpdate {
    /// What was asked for is live.
    Successful,
    /// This revision is being built; the one of `$LATEST` is live.
    InProgress(u32),
    /// It could not be built; the one of `$LATEST` is live.
    Failed(BuildFailure),
}

/// A deploy under way: cut before it is done, it is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploying {
    /// The revision that it has made.
    pub revision: u32,
    /// [`Function::last_update`] before it; `None` when the deploy made the function.
    pub before: Option<LastUpdate>,
}

/// A published version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// What it runs.
    pub revision: u32,
    /// When it was published, milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// `Description`.
    pub description: String,
    /// `RevisionId`.
    pub revision_id: String,
}

/// An alias: a version, and perhaps a second one that gets a share of the calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alias {
    /// The version that gets what is left.
    pub version: u32,
    /// The second version and its share, from 0 to 1.
    pub canary: Option<(u32, f64)>,
    /// `Description`.
    pub description: String,
    /// `RevisionId`.
    pub revision_id: String,
    /// The versions that were live before, the last one behind: what a rollback goes back to.
    pub before: Vec<u32>,
}

/// `FunctionEventInvokeConfig`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventConfig {
    /// `MaximumRetryAttempts`, 0–2.
    pub retries: Option<u32>,
    /// `MaximumEventAgeInSeconds`, 60–21,600.
    pub age_s: Option<u32>,
    /// `DestinationConfig.OnFailure.Destination`.
    pub on_failure: Option<String>,
    /// When it was set, milliseconds since the Unix epoch.
    pub modified_ms: i64,
}

/// A version that runs on a share of the live batches; its output is compared and thrown away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shadow {
    /// The version; `None` is `$LATEST`.
    pub version: Option<u32>,
    /// Share of the batches, above 0 and up to 1.
    pub share: f64,
}

/// Code and configuration at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// The function's name.
    pub function: String,
    /// [`Function::id`] of its function.
    #[serde(default)]
    pub function_id: u32,
    /// 1, 2, …; higher than that of any function of this name before.
    pub number: u32,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// What was given, and what it is.
    pub code: Code,
    /// How it runs.
    pub config: Configuration,
    /// Whether it can run.
    pub state: BuildState,
}

impl Revision {
    /// [`Function::owner`] of its function.
    #[must_use]
    pub fn owner(&self) -> String {
        owner(&self.function, self.function_id)
    }
}

/// A module: as it was given, and the component that was made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// SHA-256 of the component, hex: names its files under `functions/`.
    pub sha256: String,
    /// Bytes of the component.
    pub component_bytes: u64,
    /// SHA-256 of what was uploaded, base64: `CodeSha256`.
    pub uploaded_sha256: String,
    /// Bytes of what was uploaded: `CodeSize`.
    pub uploaded_bytes: u64,
    /// The world that it exports: `transform` or `handler`.
    pub world: String,
    /// What it imports, by name.
    pub imports: Vec<String>,
}

/// Settings by their names alone: values may be secrets, and what is debugged is logged.
pub struct SettingNames<'a>(pub &'a BTreeMap<String, String>);

impl std::fmt::Debug for SettingNames<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// How a revision runs.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// `Description`.
    pub description: String,
    /// `Role`: shown again, not used.
    pub role: String,
    /// What the guest reads through the settings interface.
    pub settings: BTreeMap<String, String>,
    /// Memory of one instance at most, bytes.
    pub memory_bytes: u64,
    /// Time of one call at most, milliseconds.
    pub timeout_ms: u32,
    /// Keep instances between calls.
    pub warm: bool,
    /// Hosts that it may send requests to, as they were granted.
    pub http_hosts: Vec<String>,
    /// It may keep state.
    pub key_value: bool,
    /// `LoggingConfig.LogGroup`: shown again, not used.
    pub log_group: Option<String>,
}

impl std::fmt::Debug for Configuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { description, role, settings, memory_bytes, timeout_ms, warm, http_hosts, key_value, log_group } =
            self;
        f.debug_struct("Configuration")
            .field("description", description)
            .field("role", role)
            .field("settings", &SettingNames(settings))
            .field("memory_bytes", memory_bytes)
            .field("timeout_ms", timeout_ms)
            .field("warm", warm)
            .field("http_hosts", http_hosts)
            .field("key_value", key_value)
            .field("log_group", log_group)
            .finish()
    }
}

/// Whether a revision can run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BuildState {
    /// Its code waits to be compiled, or is being compiled.
    Building,
    /// It was compiled and started once.
    Active,
    /// It never will run.
    Failed(BuildFailure),
}

/// Why a revision cannot run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildFailure {
    /// A stable name of the condition.
    pub slug: String,
    /// Why, with the user's own names.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_settings_are_not_debugged() {
        let settings = BTreeMap::from([("TOKEN".to_owned(), "hidden".to_owned())]);
        let shown = format!("{:?}", Configuration { settings, memory_bytes: 7, ..Configuration::default() });
        assert!(shown.contains("settings: {\"TOKEN\"}, memory_bytes: 7") && !shown.contains("hidden"), "{shown}");
    }
}
