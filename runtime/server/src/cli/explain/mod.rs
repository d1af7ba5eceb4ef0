//! `millrace explain`: the page of an error's stable name, out of `docs/errors.md`, and the hint at
//! the end of an error that leads there.

use anyhow::{Result, bail};
use clap::Args;
use millrace_delivery::StartError;

use crate::named::Named;
use plain::plain;

/// The one source of these pages.
const PAGES: &str = include_str!("../../../../../docs/errors.md");
/// Heading of the codes that a store's bare status makes: `Http502`, `Http504`, …
const BARE_STATUS: &str = "HttpNNN";

/// `millrace explain`.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The name, as an error or `millrace status` shows it; without it all are listed.
    #[arg(value_name = "NAME")]
    slug: Option<String>,
}

/// One section: the names that share it, the chapter it stands in, its text.
struct Section<'a> {
    chapter: &'a str,
    slugs: Vec<&'a str>,
    body: String,
}

impl Explain {
    pub(super) fn run(self) -> Result<()> {
        let sections = sections(PAGES);
        match self.slug {
            Some(slug) => print!("{}", page(&sections, &slug)?),
            None => print!("{}", list(&sections)),
        }
        Ok(())
    }
}

/// The sections in the page's order. `### NAME` begins one; headings without a text between them share
/// the next.
fn sections(pages: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut chapter = "";
    let mut open = false;
    for line in pages.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            (chapter, open) = (title, false);
        } else if let Some(slug) = line.strip_prefix("### ") {
            match sections.last_mut().filter(|last| open && last.body.is_empty()) {
                Some(last) => last.slugs.push(slug),
                None => sections.push(Section { chapter, slugs: vec![slug], body: String::new() }),
            }
            open = true;
        } else if let Some(last) = sections.last_mut().filter(|last| open && !(line.is_empty() && last.body.is_empty()))
        {
            last.body.push_str(line);
            last.body.push('\n');
        }
    }
    sections
}

/// The heading that `slug` stands under.
fn heading(slug: &str) -> &str {
    let bare =
        slug.strip_prefix("Http").is_some_and(|rest| rest.len() == 3 && rest.bytes().all(|b| b.is_ascii_digit()));
    if bare { BARE_STATUS } else { slug }
}

fn page(sections: &[Section<'_>], slug: &str) -> Result<String> {
    let wanted = heading(slug);
    let Some(found) = sections.iter().find(|section| section.slugs.contains(&wanted)) else {
        let names = sections.iter().flat_map(|section| section.slugs.iter().copied());
        bail!("no error is named {slug}{} (`millrace explain` lists all)", crate::settings::nearest(slug, names));
    };
    Ok(format!("{slug} ({})\n\n{}", found.chapter, plain(&found.body)))
}

fn list(sections: &[Section<'_>]) -> String {
    let mut out = String::new();
    let mut chapter = "";
    for section in sections {
        if section.chapter != chapter {
            let gap = if out.is_empty() { "" } else { "\n" };
            chapter = section.chapter;
            out.push_str(&format!("{gap}{chapter}\n"));
        }
        for slug in &section.slugs {
            out.push_str(&format!("  {slug}\n"));
        }
    }
    out
}

/// An error with its causes and, where it has a page, the command that shows it.
pub(crate) fn told(error: &anyhow::Error) -> String {
    let (text, hint) = (format!("{error:#}"), slug_of(error).map_or_else(String::new, hint));
    match text.strip_suffix('?') {
        _ if hint.is_empty() => text,
        // A question that this sentence ends with is a sentence of its own.
        Some(_) => format!("{text} S{}", hint.trim_start_matches("; s")),
        None => format!("{}{hint}", text.trim_end_matches('.')),
    }
}

/// What stands at the end of an error: the command that explains `slug`. Empty when no page has it.
pub(super) fn hint(slug: &str) -> String {
    let known = sections(PAGES).iter().any(|section| section.slugs.contains(&heading(slug)));
    if known { format!("; see: millrace explain {slug}") } else { String::new() }
}

/// The stable name of what made a command fail, where it has one.
fn slug_of(error: &anyhow::Error) -> Option<&str> {
    // The first of these may be an error's context, which only the whole error finds.
    error.downcast_ref::<Named>().map(Named::slug).or_else(|| error.chain().find_map(slug_of_cause))
}

fn slug_of_cause<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a str> {
    if let Some(error) = cause.downcast_ref::<millrace_log::Error>() {
        return Some(error.slug());
    }
    if let Some(error) = cause.downcast_ref::<millrace_transform::Error>() {
        return Some(error.slug());
    }
    if let Some(error) = cause.downcast_ref::<millrace_object::ObjectError>() {
        return Some(error.code());
    }
    match cause.downcast_ref::<StartError>() {
        Some(StartError::Outbox(_)) => return Some("outbox.open"),
        Some(StartError::Intent { .. }) => return Some("journal.intent"),
        Some(StartError::CatalogLost(_)) => return Some("catalog.lost"),
        Some(StartError::Deletion(_)) => return Some("catalog.storage"),
        Some(StartError::Threads(_)) | None => {}
    }
    match cause.downcast_ref::<millrace_catalog::Error>() {
        Some(millrace_catalog::Error::Storage(_)) => return Some("catalog.storage"),
        Some(millrace_catalog::Error::Damaged { .. }) => return Some("catalog.damaged"),
        _ => {}
    }
    match cause.downcast_ref::<millrace_encode::Error>()? {
        millrace_encode::Error::KeyRingIo { .. }
        | millrace_encode::Error::KeyRingMode { .. }
        | millrace_encode::Error::KeyRingFormat { .. } => Some("keys.read"),
        _ => None,
    }
}

mod plain;
#[cfg(test)]
mod tests;
