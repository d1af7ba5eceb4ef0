//! The line of an error object for one failed record, by the folder that it goes to.

use millrace_catalog::SchemaChoice;
use millrace_encode::Format;
use millrace_encode::{CatalogTable, ConversionFailure, ProcessingFailure, SchemaSource};

use crate::plan::Plan;
use crate::work::CONVERSION_FAILED;

/// What is known of a failed record.
pub(crate) struct Failure<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) code: &'a str,
    pub(crate) message: &'a str,
    pub(crate) attempts: u32,
    pub(crate) arrival_ms: i64,
    pub(crate) ended_ms: i64,
}

/// Appends the line (`reference/firehose.md` section 6).
pub(crate) fn write_failure(plan: &Plan, folder: &str, failure: &Failure<'_>, out: &mut Vec<u8>) {
    let Failure { raw, code, message, attempts, arrival_ms, ended_ms } = *failure;
    if folder == CONVERSION_FAILED {
        let line = ConversionFailure {
            raw,
            code,
            message,
            attempts,
            arrival_ms,
            ended_ms,
            sequence_number: None,
            sub_sequence_number: None,
            table: table(plan),
        };
        line.write_line(out);
        return;
    }
    let function_arn = plan.function.as_ref().map(|f| qualified(&f.arn));
    let function_arn = function_arn.as_deref();
    ProcessingFailure { raw, code, message, attempts, arrival_ms, ended_ms, function_arn }.write_line(out);
}

/// An ARN without a qualifier appears with `:$LATEST` (`reference/firehose.md` section 5).
fn qualified(arn: &str) -> String {
    if arn.split(':').count() > 7 { arn.to_owned() } else { format!("{arn}:$LATEST") }
}

fn table(plan: &Plan) -> Option<CatalogTable<'_>> {
    let Format::Parquet(settings) = &plan.data.format else { return None };
    let SchemaSource::Table(table) = &settings.schema else { return None };
    let choice = plan.stream.destination.conversion.as_ref().map(|conversion| &conversion.schema);
    let pinned = matches!(choice, Some(SchemaChoice::Table { version: Some(_), .. }));
    let mut arn = plan.stream.arn.split(':').skip(3);
    Some(CatalogTable {
        region: arn.next().unwrap_or_default(),
        catalog_id: arn.next().unwrap_or_default(),
        database_name: &table.database,
        table_name: &table.name,
        version_id: if pinned { table.version.to_string().into() } else { "LATEST".into() },
        role_arn: &plan.stream.destination.role_arn,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_without_a_qualifier_gets_the_newest() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        assert_eq!(qualified(arn), format!("{arn}:$LATEST"));
        assert_eq!(qualified(&format!("{arn}:3")), format!("{arn}:3"));
    }
}
