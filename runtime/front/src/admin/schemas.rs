//! `/v1/schemas`: tables for format conversion.

use serde_json::{Value, json};

use super::Admin;
use super::functions::to_json;
use crate::error::{ApiError, Code};
use crate::percent::percent_decoded;

/// Letters of a database's or a table's name, as Glue has them.
const NAME_CHARS_MAX: usize = 255;

/// `PUT /v1/schemas/{database}/{table}`: the body is the definition.
pub(crate) async fn put(
    admin: &dyn Admin,
    database: &str,
    table: &str,
    definition: Vec<u8>,
) -> Result<Value, ApiError> {
    let (database, table) = (percent_decoded(database)?, percent_decoded(table)?);
    check_name("database", &database)?;
    check_name("table", &table)?;
    let definition =
        String::from_utf8(definition).map_err(|_| ApiError::invalid("the table's definition is not UTF-8"))?;
    to_json(&*admin.put_table(&database, &table, definition).await?)
}

/// Glue keeps names in lower case, and who queries the table by name (Athena, Hive) takes these only.
fn check_name(what: &str, name: &str) -> Result<(), ApiError> {
    let good = (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    if good {
        return Ok(());
    }
    Err(ApiError::slugged(
        Code::InvalidArgument,
        "schema.name",
        format!("the {what}'s name {name:.80} is not 1 to {NAME_CHARS_MAX} of a-z, 0-9, _ and -, as Glue has them"),
    ))
}

/// `GET /v1/schemas`.
pub(crate) fn list(admin: &dyn Admin) -> Result<Value, ApiError> {
    let tables = admin.tables().iter().map(|t| to_json(&**t)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "tables": tables }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_glue() {
        for good in ["a", "db_1", "2026-flights", &"x".repeat(255)] {
            assert!(check_name("table", good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a.b", "A", "a b", "ä", "a/b", "a%2e", "a\0", &"x".repeat(256)] {
            let error = check_name("table", bad).expect_err(bad);
            assert_eq!((error.code, error.slug), (Code::InvalidArgument, "schema.name"));
            assert!(error.message.starts_with("the table's name "), "{error}");
        }
    }
}
