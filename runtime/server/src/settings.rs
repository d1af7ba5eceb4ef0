//! The server's settings: `millrace.toml`, `MILLRACE_*` variables and flags say the same things, and
//! each later one wins. A key that does not exist is an error with the nearest name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use millrace_delivery::DeliverySettings;
use millrace_log::JournalSettings;
use millrace_object::ObjectSettings;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// Prefix of the variables.
const PREFIX: &str = "MILLRACE_";
/// Variables with the prefix that are not settings of the server: of the client commands, of the
/// object store's credentials (read by `millrace-object`), of the tests.
const OTHERS: [&str; 10] = [
    "ENDPOINT",
    "CA",
    "CONFIG",
    "BIN",
    "PLANT",
    "S3_ENDPOINT",
    "S3_REGION",
    "S3_ACCESS_KEY_ID",
    "S3_SECRET_ACCESS_KEY",
    "S3_SESSION_TOKEN",
];
/// Beginnings of names that are not settings of the server, either.
const OTHER_PREFIXES: [&str; 1] = ["TEST_"];
/// Section that a function project's manifest has, and no settings.
const PROJECT: &str = "function";
/// Bytes of a settings file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Folder of all data: `journal/ outbox/ functions/ objects/ keys/ catalog.redb`.
    pub(crate) data_dir: PathBuf,
    /// Address and port to listen on; port 0 takes a free one.
    pub(crate) listen: String,
    /// Accept any credentials; on a loopback address only.
    pub(crate) dev: bool,
    /// Region in ARNs.
    pub(crate) region: String,
    /// Account in ARNs, twelve digits.
    pub(crate) account_id: String,
    /// Id of the one access key that variables can give.
    pub(crate) access_key_id: Option<String>,
    /// Its secret.
    pub(crate) secret_access_key: Option<Secret>,
    /// A bearer token for the plain routes.
    pub(crate) token: Option<Secret>,
    /// More access keys.
    pub(crate) access_keys: Vec<AccessKey>,
    /// PEM file of the server's certificate and its chain.
    pub(crate) tls_cert: Option<PathBuf>,
    /// PEM file of its private key.
    pub(crate) tls_key: Option<PathBuf>,
    /// Make a local certificate authority and serve TLS with it.
    pub(crate) tls_dev: bool,
    /// S3-compatible store that buckets are in; without it they are folders.
    pub(crate) s3_endpoint: Option<String>,
    /// Log lines: a filter such as `info` or `millrace_delivery=debug`.
    pub(crate) log: String,
    /// Log lines as JSON.
    pub(crate) log_json: bool,
    /// What functions run in.
    pub(crate) isolate: Isolate,
    /// The journal.
    pub(crate) journal: JournalSettings,
    /// Delivery.
    pub(crate) delivery: DeliverySettings,
    /// Object stores, by bucket where they differ.
    pub(crate) objects: ObjectSettings,
}

/// What functions run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Isolate {
    /// The server's own process: WebAssembly is the wall.
    None,
    /// Processes of their own, behind Landlock and seccomp.
    Process,
}

/// One access key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessKey {
    /// Its id.
    pub(crate) id: String,
    /// Its secret.
    pub(crate) secret: Secret,
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(secret)")
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("millrace-data"),
            listen: "127.0.0.1:4573".into(),
            dev: false,
            region: "us-east-1".into(),
            account_id: "000000000000".into(),
            access_key_id: None,
            secret_access_key: None,
            token: None,
            access_keys: Vec::new(),
            tls_cert: None,
            tls_key: None,
            tls_dev: false,
            s3_endpoint: None,
            log: "info".into(),
            log_json: false,
            isolate: Isolate::None,
            journal: JournalSettings::default(),
            delivery: DeliverySettings::default(),
            objects: ObjectSettings::default(),
        }
    }
}

/// Keys that have no default and so do not show in the serialised defaults.
const OPTIONAL: [&str; 9] = [
    "access_key_id",
    "secret_access_key",
    "token",
    "tls_cert",
    "tls_key",
    "s3_endpoint",
    "journal.disk_bytes_max",
    "access_keys",
    "objects",
];

/// Settings from a file (when it exists, or must), variables and flags, in this order.
///
/// # Errors
/// A key that does not exist, a value of the wrong type, a file that cannot be read.
pub(crate) fn load(
    file: Option<&Path>,
    variables: impl Iterator<Item = (String, String)>,
    flags: &[(String, String)],
) -> Result<Settings> {
    let known = known_keys()?;
    let mut table = match file {
        Some(path) => read(path)?,
        None if Path::new("millrace.toml").exists() => read(Path::new("millrace.toml"))?,
        None => Table::new(),
    };
    if table.contains_key(PROJECT) {
        // The manifest of a function project has the same name: a server started there is not set by it.
        match file {
            Some(path) => bail!("{} is the manifest of a function project, not settings of a server", path.display()),
            None => table = Table::new(),
        }
    }
    check_keys(&table, "", &known)?;
    for (name, value) in variables {
        let Some(short) = name.strip_prefix(PREFIX) else { continue };
        if OTHERS.contains(&short) || OTHER_PREFIXES.iter().any(|other| short.starts_with(other)) {
            continue;
        }
        let key = known.keys().find(|key| key.replace('.', "_").to_uppercase() == short);
        if short.starts_with("OBJECTS_") {
            bail!(
                "the variable {name} sets nothing: [objects] is set in millrace.toml, credentials also as MILLRACE_S3_… and AWS_…"
            );
        }
        let Some(key) = key else {
            let names: Vec<_> =
                known.keys().map(|key| format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())).collect();
            bail!("the variable {name} sets nothing{}", nearest(&name, names.iter().map(String::as_str)));
        };
        set(&mut table, key, &value, &known)?;
    }
    for (key, value) in flags {
        if !known.contains_key(key) {
            bail!("there is no setting {key}{}", nearest(key, known.keys().map(String::as_str)));
        }
        set(&mut table, key, value, &known)?;
    }
    settle(table)
}

fn settle(table: Table) -> Result<Settings> {
    // Only the message: the error's own text would show the line, which may hold a secret.
    Value::Table(table)
        .try_into()
        .map_err(|error: toml::de::Error| anyhow::anyhow!("the settings: {}", error.message()))
}

/// Settings from the text of a file alone.
#[cfg(test)]
pub(crate) fn from_text(text: &str) -> Result<Settings> {
    let table = parse(text, "the text")?;
    check_keys(&table, "", &known_keys()?)?;
    settle(table)
}

/// The effective settings as TOML, secrets not shown.
pub(crate) fn dump(settings: &Settings) -> Result<String> {
    toml::to_string_pretty(settings).context("showing the settings")
}

fn read(path: &Path) -> Result<Table> {
    let shown = path.display();
    let bytes = crate::cli::read_bounded(path, FILE_BYTES_MAX).with_context(|| format!("reading {shown}"))?;
    let bytes = bytes.with_context(|| format!("{shown}: settings have at most {FILE_BYTES_MAX} bytes"))?;
    parse(std::str::from_utf8(&bytes).with_context(|| format!("reading {shown}"))?, &shown.to_string())
}

fn parse(text: &str, shown: &str) -> Result<Table> {
    text.parse().map_err(|error: toml::de::Error| anyhow::anyhow!("{shown} is not TOML: {}", error.message()))
}

/// Every key by its dotted name, with its default where it has one.
fn known_keys() -> Result<BTreeMap<String, Option<Value>>> {
    let defaults = Value::try_from(Settings::default()).context("the defaults")?;
    let mut known = BTreeMap::new();
    flatten(&defaults, "", &mut known);
    known.extend(OPTIONAL.iter().map(|key| ((*key).to_owned(), None)));
    Ok(known)
}

fn flatten(value: &Value, path: &str, into: &mut BTreeMap<String, Option<Value>>) {
    match value {
        Value::Table(table) if !is_free(path) => {
            for (key, value) in table {
                flatten(value, &join(path, key), into);
            }
        }
        leaf => drop(into.insert(path.to_owned(), Some(leaf.clone()))),
    }
}

/// Below these keys the names are the user's own, or checked by their crate.
fn is_free(path: &str) -> bool {
    path == "objects" || path == "access_keys"
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn check_keys(table: &Table, path: &str, known: &BTreeMap<String, Option<Value>>) -> Result<()> {
    for (key, value) in table {
        let name = join(path, key);
        if known.contains_key(&name) || is_free(&name) {
            continue;
        }
        let is_section = known.keys().any(|k| k.strip_prefix(&name).is_some_and(|rest| rest.starts_with('.')));
        match value {
            Value::Table(inner) if is_section => check_keys(inner, &name, known)?,
            _ => bail!("there is no setting {name}{}", nearest(&name, known.keys().map(String::as_str))),
        }
    }
    Ok(())
}

/// `; did you mean NAME?` for the one of `names` that `name` is closest to; empty when none is close.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min()
        .filter(|(distance, _)| *distance <= name.len() / 2)
        .map_or_else(String::new, |(_, known)| format!("; did you mean {known}?"))
}

/// Sets one key from its text, in the type that its default has.
fn set(table: &mut Table, key: &str, text: &str, known: &BTreeMap<String, Option<Value>>) -> Result<()> {
    let wrong = |what: &str| anyhow::anyhow!("{key} is {what}");
    let value = match known.get(key).and_then(Option::as_ref) {
        Some(Value::Integer(_)) => Value::Integer(text.parse().map_err(|_| wrong("a whole number"))?),
        Some(Value::Float(_)) => Value::Float(text.parse().map_err(|_| wrong("a number"))?),
        Some(Value::Boolean(_)) => match text {
            "true" | "1" => Value::Boolean(true),
            "false" | "0" => Value::Boolean(false),
            _ => return Err(wrong("true or false")),
        },
        None if key == "journal.disk_bytes_max" => Value::Integer(text.parse().map_err(|_| wrong("a whole number"))?),
        _ if is_free(key) => bail!("{key} is set in millrace.toml only"),
        _ => Value::String(text.to_owned()),
    };
    let mut at = table;
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            at.insert(part.to_owned(), value);
            return Ok(());
        }
        let inner = at.entry(part).or_insert_with(|| Value::Table(Table::new()));
        at = inner.as_table_mut().ok_or_else(|| wrong("inside something that is not a section"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Settings> {
        let owned =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        load(None, owned(variables).into_iter(), &owned(flags))
    }

    #[test]
    fn flags_win_over_variables_and_variables_over_defaults() {
        let settings = with(
            &[
                ("MILLRACE_DELIVERY_INTERVAL_SCALE", "0.5"),
                ("MILLRACE_DEV", "1"),
                ("HOME", "x"),
                ("MILLRACE_REGION", "a"),
            ],
            &[("region", "b"), ("journal.segment_bytes", "1048576")],
        )
        .expect("settings");
        assert_eq!(settings.delivery.interval_scale.to_bits(), 0.5f64.to_bits());
        assert!(settings.dev);
        assert_eq!(settings.region, "b");
        assert_eq!(settings.journal.segment_bytes, 1 << 20);
    }

    #[test]
    fn what_does_not_exist_is_an_error_with_the_nearest_name() {
        let error = with(&[("MILLRACE_DELIVERY_INTERVALSCALE", "1")], &[]).expect_err("unknown");
        assert!(error.to_string().contains("did you mean MILLRACE_DELIVERY_INTERVAL_SCALE?"), "{error}");
        let error = with(&[], &[("delivery.retrycap_ms", "1")]).expect_err("unknown");
        assert!(error.to_string().contains("did you mean delivery.retry_cap_ms?"), "{error}");
        assert!(with(&[("MILLRACE_DEV", "perhaps")], &[]).is_err());
    }

    #[test]
    fn files_are_checked_key_by_key() {
        let dir = std::env::temp_dir().join(format!("millrace-settings-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("dir");
        let path = dir.join("millrace.toml");
        let load_text = |text: &str| {
            std::fs::write(&path, text).expect("file");
            load(Some(&path), std::iter::empty(), &[])
        };
        let settings =
            load_text("dev = true\n[[access_keys]]\nid = 'a'\nsecret = 's3cret'\n[delivery]\ngzip_level = 1\n");
        let settings = settings.expect("settings");
        assert_eq!(settings.delivery.gzip_level, 1);
        assert_eq!(settings.access_keys[0].secret.expose(), "s3cret");
        assert!(!dump(&settings).expect("dump").contains("s3cret"));
        assert!(!format!("{settings:?}").contains("s3cret"));
        let error = load_text("[delivery]\ngzip_levle = 1\n").expect_err("unknown");
        assert!(error.to_string().contains("did you mean delivery.gzip_level?"), "{error}");
        assert!(load_text("dev = 'yes'").is_err());
        let error = load_text("[function]\nname = 'a'\n").expect_err("a project").to_string();
        assert!(error.ends_with("is the manifest of a function project, not settings of a server"), "{error}");
        std::fs::remove_dir_all(&dir).expect("cleans up");
    }
}
