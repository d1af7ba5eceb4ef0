//! `ProcessingConfiguration`: the function to call and the delimiter to append.

use millrace_catalog::{FunctionCall, Processing};

use crate::error::ApiError;
use crate::protocol::view::View;

/// Processors at most, when enabled.
const PROCESSORS_MAX: usize = 5;
/// `NumberOfRetries` at most.
const RETRIES_MAX: u32 = 300;
/// `BufferIntervalInSeconds` at most.
const BUFFER_INTERVAL_S_MAX: u32 = 900;
/// Letters of an alias.
const ALIAS_CHARS_MAX: usize = 128;
/// Letters of a function's name.
const FUNCTION_NAME_CHARS_MAX: usize = 64;
/// Values of `NumberOfRetries`, `BufferSizeInMBs` and `BufferIntervalInSeconds` when none are given.
const DEFAULTS: (&str, &str, &str) = ("3", "1", "60");

/// The configuration in its checked form.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// The Lambda processor, when processing is enabled.
    pub(super) function: Option<FunctionCall>,
    /// The delimiter, when processing is enabled.
    pub(super) delimiter: Option<String>,
    /// As it is shown again.
    pub(super) shown: Option<Processing>,
}

pub(super) fn parse(destination: View<'_>, role_arn: &str) -> Result<Parsed, ApiError> {
    let Some(given) = destination.structure("ProcessingConfiguration") else { return Ok(Parsed::default()) };
    let enabled = given.boolean("Enabled").unwrap_or(false);
    let count = given.list("Processors").count();
    if enabled && !(1..=PROCESSORS_MAX).contains(&count) {
        return Err(ApiError::invalid(
            "A maximum of 5 and a minimum of 1 processor needs to be supplied when processing is enabled.",
        ));
    }
    let mut parsed = Parsed::default();
    let mut processors = Vec::with_capacity(count);
    for processor in given.list("Processors") {
        let parameters = Parameters::of(processor)?;
        let kind = processor.text_or_empty("Type");
        if kind == "Lambda" {
            if parsed.function.is_some() {
                return Err(ApiError::invalid("Cannot have more than 1 Lambda processor."));
            }
            let (call, shown) = lambda(&parameters, role_arn)?;
            parsed.function = Some(call);
            processors.push((kind, shown));
        } else {
            if parsed.delimiter.is_some() {
                return Err(ApiError::invalid("Cannot have more than 1 AppendDelimiterToRecord processor."));
            }
            let escaped = delimiter(&parameters)?;
            parsed.delimiter = Some(unescape(&escaped)?);
            processors.push((kind, vec![("Delimiter".to_owned(), escaped)]));
        }
    }
    if !enabled {
        parsed = Parsed::default();
    }
    parsed.shown = Some(Processing { enabled, processors });
    Ok(parsed)
}

/// Parameters of one processor, each at most once.
struct Parameters<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Parameters<'a> {
    fn of(processor: View<'a>) -> Result<Self, ApiError> {
        let mut found: Vec<(&str, &str)> = Vec::new();
        for parameter in processor.list("Parameters") {
            let name = parameter.text("ParameterName").unwrap_or_default();
            if found.iter().any(|(other, _)| *other == name) {
                return Err(ApiError::invalid("Duplicate ProcessorParameter passed to ProcessingConfiguration."));
            }
            found.push((name, parameter.text("ParameterValue").unwrap_or_default()));
        }
        Ok(Self(found))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }

    /// What would have no effect is refused.
    fn only(&self, kind: &str, names: &[&str]) -> Result<(), ApiError> {
        match self.0.iter().find(|(name, _)| !names.contains(name)) {
            None => Ok(()),
            Some((name, _)) => {
                Err(ApiError::invalid(format!("The parameter {name} does not belong to the processor {kind}.")))
            }
        }
    }
}

type Shown = Vec<(String, String)>;

fn lambda(parameters: &Parameters<'_>, role_arn: &str) -> Result<(FunctionCall, Shown), ApiError> {
    parameters
        .only("Lambda", &["LambdaArn", "NumberOfRetries", "RoleArn", "BufferSizeInMBs", "BufferIntervalInSeconds"])?;
    let Some(arn) = parameters.get("LambdaArn") else {
        return Err(ApiError::invalid("LambdaArn is required when Lambda processor is used."));
    };
    let (name, qualifier) = lambda_arn(arn)?;
    let retries_text = parameters.get("NumberOfRetries").unwrap_or(DEFAULTS.0);
    let retries = retries_text
        .parse()
        .ok()
        .filter(|retries| *retries <= RETRIES_MAX)
        .ok_or_else(|| ApiError::invalid("Number of retries for lambda must be between 0 and 300."))?;
    let (size, interval) = match (parameters.get("BufferSizeInMBs"), parameters.get("BufferIntervalInSeconds")) {
        (Some(size), Some(interval)) => (size, interval),
        (None, None) => (DEFAULTS.1, DEFAULTS.2),
        _ => {
            return Err(ApiError::invalid(
                "Both BufferSizeInMBs and BufferIntervalInSeconds are required to configure buffering for lambda \
                 processor.",
            ));
        }
    };
    let buffer_bytes = buffer_bytes(size)
        .ok_or_else(|| ApiError::invalid("BufferSizeInMBs for lambda processor must be between 0.2 and 3."))?;
    let buffer_interval_s =
        interval.parse().ok().filter(|interval| *interval <= BUFFER_INTERVAL_S_MAX).ok_or_else(|| {
            ApiError::invalid("BufferIntervalInSeconds for lambda processor must be between 0 and 900.")
        })?;
    let shown = [
        ("LambdaArn", arn),
        ("NumberOfRetries", retries_text),
        ("RoleArn", parameters.get("RoleArn").unwrap_or(role_arn)),
        ("BufferSizeInMBs", size),
        ("BufferIntervalInSeconds", interval),
    ];
    let shown = shown.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let call = FunctionCall {
        arn: arn.to_owned(),
        name: name.to_owned(),
        qualifier,
        retries,
        buffer_bytes,
        buffer_interval_s,
    };
    Ok((call, shown))
}

/// Bytes of a size in MiB with a fraction, 0.2 to 3.
fn buffer_bytes(size: &str) -> Option<u32> {
    let mib: f64 = size.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0.2 and 3 MiB")]
    (0.2..=3.0).contains(&mib).then_some((mib * 1_048_576.0) as u32)
}

/// Name and qualifier of `arn:aws:lambda:REGION:ACCOUNT:function:NAME[:VERSION|:ALIAS|:$LATEST]`. Whether the
/// function exists is not checked, as at AWS: it may be deployed later.
fn lambda_arn(arn: &str) -> Result<(&str, Option<String>), ApiError> {
    let invalid = || ApiError::invalid("Invalid lambda ARN.");
    let parts: Vec<&str> = arn.split(':').collect();
    let (head, name, qualifier) = match parts.as_slice() {
        [head @ .., name] if head.len() == 6 => (head, *name, None),
        [head @ .., name, qualifier] if head.len() == 6 => (head, *name, Some(*qualifier)),
        _ => return Err(invalid()),
    };
    let ["arn", partition, "lambda", region, account, "function"] = head else { return Err(invalid()) };
    let is_name = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    let good = partition.starts_with("aws")
        && is_name(partition, b"-")
        && is_name(region, b"-")
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && name.len() <= FUNCTION_NAME_CHARS_MAX
        && is_name(name, b"_-");
    if !good {
        return Err(invalid());
    }
    match qualifier {
        None | Some("$LATEST") => Ok((name, None)),
        Some(version) if version.bytes().all(|b| b.is_ascii_digit()) => {
            let number = version.parse::<u32>().ok().filter(|v| *v > 0).ok_or_else(invalid)?;
            Ok((name, Some(number.to_string())))
        }
        Some(alias) if alias.len() <= ALIAS_CHARS_MAX && is_name(alias, b"_-") => Ok((name, Some(alias.to_owned()))),
        Some(_) => Err(invalid()),
    }
}

fn delimiter(parameters: &Parameters<'_>) -> Result<String, ApiError> {
    parameters.only("AppendDelimiterToRecord", &["Delimiter"])?;
    Ok(parameters.get("Delimiter").unwrap_or(r"\n").to_owned())
}

/// The delimiter comes as escaped text; an escape that is not known is refused, not guessed.
fn unescape(text: &str) -> Result<String, ApiError> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('0') => '\0',
            Some('\\') => '\\',
            _ => {
                return Err(ApiError::invalid(format!(
                    "The Delimiter {text} has an unknown escape: there are \\n, \\r, \\t, \\0 and \\\\"
                )));
            }
        });
    }
    Ok(out)
}
