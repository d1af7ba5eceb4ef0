//! What becomes of every operation and member of the AWS APIs: read from the tables that check the
//! requests, so that the page made from it is true.

use crate::firehose::{MISSING, Operation};
use crate::lambda;
use crate::protocol::shape::{Member, Outcome, Shape};

/// An operation and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationCompatibility {
    /// The service: `firehose` or `lambda`.
    pub service: &'static str,
    /// The operation's name.
    pub operation: &'static str,
    /// Why it is refused, when it is; it has no members then.
    pub refused: Option<&'static str>,
    /// Its members, in the order of the service's model, nested ones behind their parents.
    pub members: Vec<MemberCompatibility>,
}

/// A member and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberCompatibility {
    /// Its path, with `[]` for the items of a list.
    pub path: String,
    /// What becomes of it.
    pub outcome: MemberOutcome,
    /// Values that are ours and not the service's.
    pub extensions: Vec<&'static str>,
}

/// What becomes of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberOutcome {
    /// It does what the service documents.
    Honoured,
    /// It is kept and shown again, and does nothing else; the text says why.
    Shown(&'static str),
    /// These values are honoured; another is refused by name with the text.
    Only(Vec<&'static str>, &'static str),
    /// It does what the service documents, but for these values, which are refused by name with the text.
    Except(Vec<&'static str>, &'static str),
    /// It is refused by name with the text.
    Refused(&'static str),
}

/// Every operation of the services that this server speaks.
#[must_use]
pub fn compatibility() -> Vec<OperationCompatibility> {
    let here = Operation::ALL.into_iter().map(|operation| {
        let mut members = Vec::new();
        collect(operation.members(), "", &mut members);
        OperationCompatibility { service: "firehose", operation: operation.name(), refused: None, members }
    });
    let missing = MISSING.into_iter().map(|(operation, advice)| OperationCompatibility {
        service: "firehose",
        operation,
        refused: Some(advice),
        members: Vec::new(),
    });
    here.chain(missing).chain(lambda_operations()).collect()
}

fn lambda_operations() -> impl Iterator<Item = OperationCompatibility> {
    let here = lambda::Operation::ALL.into_iter().map(|(operation, name)| {
        let mut members = Vec::new();
        collect(operation.members(), "", &mut members);
        OperationCompatibility { service: "lambda", operation: name, refused: None, members }
    });
    let missing = lambda::MISSING.iter().map(|missing| OperationCompatibility {
        service: "lambda",
        operation: missing.name,
        refused: Some(missing.advice),
        members: Vec::new(),
    });
    here.chain(missing)
}

/// The same as the Markdown of `docs/compatibility.md`.
#[must_use]
pub fn compatibility_page() -> String {
    let mut page = String::from(
        "# Compatibility\n\nMade from the tables that check the requests; a test compares. *Honoured*: does what the \
         service documents. *Shown*: kept and shown again, without another effect. Anything else is refused by name, \
         and so is a member that is not listed here.\n",
    );
    for operation in compatibility() {
        page.push_str(&format!("\n## {} `{}`\n\n", operation.service, operation.operation));
        match operation.refused {
            Some(advice) => page.push_str(&format!("Not in this version: {advice}.\n")),
            None => page.push_str("| Member | What becomes of it |\n|---|---|\n"),
        }
        for member in operation.members {
            let quoted = |values: Vec<&str>| {
                let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
                values.join(", ")
            };
            let mut outcome = match member.outcome {
                MemberOutcome::Honoured => "honoured".to_owned(),
                MemberOutcome::Shown(why) => format!("shown: {why}"),
                MemberOutcome::Only(values, advice) => format!("only {}; else refused: {advice}", quoted(values)),
                MemberOutcome::Except(values, advice) => format!("honoured, but {} refused: {advice}", quoted(values)),
                MemberOutcome::Refused(advice) => format!("refused: {advice}"),
            };
            for extension in member.extensions {
                outcome.push_str(&format!("; `{extension}` besides, ours"));
            }
            page.push_str(&format!("| `{}` | {outcome} |\n", member.path));
        }
    }
    page
}

fn collect(members: &[Member], parent: &str, out: &mut Vec<MemberCompatibility>) {
    for member in members {
        let dot = if parent.is_empty() { "" } else { "." };
        let path = format!("{parent}{dot}{}", member.name);
        let outcome = match member.outcome {
            Outcome::Honoured => MemberOutcome::Honoured,
            Outcome::Shown(why) => MemberOutcome::Shown(why),
            Outcome::Only(values, advice) => MemberOutcome::Only(values.to_vec(), advice),
            Outcome::Except(values, advice) => MemberOutcome::Except(values.to_vec(), advice),
            Outcome::Refused(advice) => MemberOutcome::Refused(advice),
        };
        let extensions = match &member.shape {
            Shape::Enum { extensions, .. } => extensions.to_vec(),
            _ => Vec::new(),
        };
        out.push(MemberCompatibility { path: path.clone(), outcome, extensions });
        match &member.shape {
            Shape::Structure(inner) => collect(inner, &path, out),
            Shape::List(_, _, Shape::Structure(inner)) => collect(inner, &format!("{path}[]"), out),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_operations_and_the_deep_members_are_there() {
        let all = compatibility();
        let of = |service| all.iter().filter(|o| o.service == service).count();
        assert_eq!((of("firehose"), of("lambda")), (12, 91));
        let create = all.iter().find(|o| o.operation == "CreateDeliveryStream").expect("there");
        let outcome = |path: &str| create.members.iter().find(|m| m.path == path).map(|m| m.outcome.clone());
        assert_eq!(outcome("DeliveryStreamName"), Some(MemberOutcome::Honoured));
        assert!(matches!(
            outcome("ExtendedS3DestinationConfiguration.ProcessingConfiguration.Processors[].Type"),
            Some(MemberOutcome::Only(..))
        ));
        let orc = "ExtendedS3DestinationConfiguration.DataFormatConversionConfiguration.\
                   OutputFormatConfiguration.Serializer.OrcSerDe";
        assert!(matches!(outcome(orc), Some(MemberOutcome::Refused(_))));
        let page = compatibility_page();
        assert!(page.contains("| `DeliveryStreamType` | only `DirectPut`; else refused: "), "{page}");
        assert!(page.contains(
            "Not in this version: wait until nothing of the stream is pending, delete it and create it again.\n"
        ));
    }
    #[test]
    fn the_page_in_the_docs_is_the_one_that_the_code_makes() {
        let page = include_str!("../../../docs/compatibility.md");
        assert!(page == compatibility_page(), "make it again: millrace compatibility > docs/compatibility.md");
    }
}
