//! TOML files of the user: read bounded, every key known or refused with the nearest one that is.

use std::path::Path;

use anyhow::{Result, bail};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::named::Named;
use crate::settings::nearest;

/// Bytes of such a file.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// One file under reading: its name stands in every error.
pub(crate) struct TomlFile<'a> {
    pub(crate) path: &'a Path,
    /// Name of every error that it may have.
    pub(crate) slug: &'static str,
}

impl TomlFile<'_> {
    pub(crate) fn read(&self) -> Result<Table> {
        let bytes = crate::cli::read_file(self.path, FILE_BYTES_MAX)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| self.wrong("is not UTF-8"))?;
        self.parse(text)
    }

    pub(crate) fn parse(&self, text: &str) -> Result<Table> {
        text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(0, |at| text.bytes().take(at.start).filter(|b| *b == b'\n').count() + 1);
            self.wrong(&format!("line {line}: not TOML: {}", error.message()))
        })
    }

    /// The error that says `what`.
    pub(crate) fn wrong(&self, what: &str) -> anyhow::Error {
        Named::new(self.slug, format!("{}: {what}", self.path.display())).into()
    }

    /// Refuses a key of `table` that is not in `known`. `place` is what stands before it, such as `function.`.
    pub(crate) fn keys(&self, table: &Table, place: &str, known: &[&str]) -> Result<()> {
        for key in table.keys() {
            if !known.contains(&key.as_str()) {
                let near = match nearest(key, known.iter().copied()) {
                    none if none.is_empty() => format!("; there are: {}", known.join(", ")),
                    near => near,
                };
                bail!(self.wrong(&format!("there is no key {place}{key}{near}")));
            }
        }
        Ok(())
    }

    /// `table` as a value of a type; an error names the place.
    pub(crate) fn value<T: DeserializeOwned>(&self, table: &Table, place: &str) -> Result<T> {
        Value::Table(table.clone())
            .try_into()
            .map_err(|error: toml::de::Error| self.wrong(&format!("{place}: {}", error.message())))
    }

    /// The table at `key`; an empty one when there is none.
    pub(crate) fn table(&self, of: &Table, key: &str) -> Result<Table> {
        match of.get(key) {
            None => Ok(Table::new()),
            Some(Value::Table(table)) => Ok(table.clone()),
            Some(_) => bail!(self.wrong(&format!("{key} is a table: write [{key}]"))),
        }
    }

    /// Settings of a function: texts; numbers and booleans as they are written.
    pub(crate) fn settings(&self, table: &Table, place: &str) -> Result<std::collections::BTreeMap<String, String>> {
        let text = |key: &String, value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Ok(value.to_string()),
            _ => Err(self.wrong(&format!("{place}{key}: a setting is text"))),
        };
        table.iter().map(|(key, value)| Ok((key.clone(), text(key, value)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_file_the_line_and_the_nearest_key() {
        let file = TomlFile { path: Path::new("a.toml"), slug: "project.manifest" };
        let table = file.parse("[function]\nnmae = 'x'\n").expect("TOML");
        let inner = file.table(&table, "function").expect("a table");
        let error = file.keys(&inner, "function.", &["name", "kind"]).expect_err("unknown");
        assert_eq!(error.to_string(), "a.toml: there is no key function.nmae; did you mean name?");
        assert!(file.keys(&table, "", &["function"]).is_ok());
        let error = file.keys(&table, "", &["settings", "limits"]).expect_err("unknown").to_string();
        assert_eq!(error, "a.toml: there is no key function; there are: settings, limits");
        let error = file.parse("a = 1\nb = \n").expect_err("no TOML").to_string();
        assert!(error.starts_with("a.toml: line 2: not TOML: "), "{error}");
        assert!(file.table(&file.parse("a = 1").expect("TOML"), "a").is_err());
    }

    #[test]
    fn settings_are_texts() {
        let file = TomlFile { path: Path::new("a.toml"), slug: "project.manifest" };
        let table = file.parse("a = 'x'\nb = 1\nc = true\n").expect("TOML");
        let found = file.settings(&table, "settings.").expect("settings");
        assert_eq!(found.into_values().collect::<Vec<_>>(), ["x", "1", "true"]);
        let error = file.settings(&file.parse("a = [1]").expect("TOML"), "settings.").expect_err("a list");
        assert_eq!(error.to_string(), "a.toml: settings.a: a setting is text");
    }
}
