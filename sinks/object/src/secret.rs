//! A credential in the settings: inline, or where to find it. It never shows itself.

use std::io::Read;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

use crate::ObjectError;

/// Largest credential file in bytes (a service account key takes about 2,400).
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;
/// What stands for an inline secret in every output.
const REDACTED: &str = "[redacted]";

/// A credential: `"text"`, `{ env = "NAME" }` or `{ file = "PATH" }`.
///
/// References are looked up when a bucket's client is made, and again after the store has refused
/// the credentials: a file that was replaced is picked up without a restart.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, deny_unknown_fields, expecting = "a text, { env = \"NAME\" } or { file = \"PATH\" }")]
pub enum Secret {
    /// The credential itself.
    Inline(String),
    /// In an environment variable.
    Env {
        /// Its name.
        env: String,
    },
    /// In a file; line ends behind it are cut.
    File {
        /// Its path.
        file: PathBuf,
    },
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inline(_) => f.write_str(REDACTED),
            Self::Env { env } => write!(f, "env {env}"),
            Self::File { file } => write!(f, "file {}", file.display()),
        }
    }
}

/// For printing the effective settings: an inline secret is written as `[redacted]`.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Inline(_) => serializer.serialize_str(REDACTED),
            Self::Env { env } => serializer.collect_map([("env", env.as_str())]),
            Self::File { file } => serializer.collect_map([("file", file)]),
        }
    }
}

impl Secret {
    /// The credential's text. Reads a small file, where it is in one.
    pub(crate) fn resolve(
        &self,
        setting: &'static str,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, ObjectError> {
        let text = match self {
            Self::Inline(text) => Ok(text.clone()),
            Self::Env { env } => lookup(env).ok_or_else(|| format!("the environment has no {env}; set it")),
            Self::File { file } => read(file).map_err(|error| format!("{}: {error}", file.display())),
        };
        match text {
            Ok(text) if text.is_empty() => Err("is empty".to_owned()),
            // It would be sent in a header, and an HTTP header cannot hold these.
            Ok(text) if !text.trim_start().starts_with('{') && text.chars().any(char::is_control) => {
                Err("holds a control character, such as a line end".to_owned())
            }
            other => other,
        }
        .map_err(|why| ObjectError::Secret { setting, why })
    }
}

fn read(file: &PathBuf) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(file)?.take(SECRET_FILE_BYTES_MAX).read_to_string(&mut text)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_shows_itself() {
        let secret = Secret::Inline("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"[redacted]\"");
        let env = Secret::Env { env: "KEY".to_owned() };
        assert_eq!(serde_json::to_string(&env).unwrap(), "{\"env\":\"KEY\"}");
    }

    #[test]
    fn is_found_where_the_settings_say() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "from file\r\n").unwrap();
        let lookup = |name: &str| (name == "KEY").then(|| "from env".to_owned());
        let resolve = |secret: Secret| secret.resolve("key", &lookup).map_err(|e| e.to_string());
        assert_eq!(resolve(Secret::File { file }), Ok("from file".to_owned()));
        assert_eq!(resolve(Secret::Env { env: "KEY".to_owned() }), Ok("from env".to_owned()));
        assert_eq!(
            resolve(Secret::Env { env: "GONE".to_owned() }),
            Err("key: the environment has no GONE; set it".to_owned())
        );
        assert_eq!(resolve(Secret::Inline(String::new())), Err("key: is empty".to_owned()));
        assert!(resolve(Secret::Inline("a\nb".to_owned())).is_err());
        assert!(resolve(Secret::File { file: dir.path().join("none") }).is_err());
    }
}
