//! The Markdown of a page as plain text for a terminal. What `backticks` quote stays quoted, as in every message.

/// Columns of a line.
const COLUMNS: usize = 80;

/// Paragraphs of `markdown`, filled; what to do stands on lines of its own.
pub(super) fn plain(markdown: &str) -> String {
    let unmarked = links(markdown).replace("**", "").replace("*Do*:", "\n\nDo:");
    let mut out = String::new();
    for paragraph in unmarked.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let gap = if out.is_empty() { "" } else { "\n" };
        out.push_str(&format!("{gap}{}", filled(paragraph)));
    }
    out
}

/// `[text](target)` as its text and, where it is another page, that page's file in the repository.
fn links(markdown: &str) -> String {
    let mut out = String::new();
    let mut rest = markdown;
    while let Some((before, text, target, after)) = next_link(rest) {
        out.push_str(before);
        let file = target.split('#').next().unwrap_or_default();
        match (file.strip_prefix("../"), text.trim_matches('`') == file) {
            _ if file.is_empty() => out.push_str(text),
            (Some(file), _) => out.push_str(&format!("{text} ({file})")),
            (None, true) => out.push_str(&format!("docs/{file}")),
            (None, false) => out.push_str(&format!("{text} (docs/{file})")),
        }
        rest = after;
    }
    out + rest
}

/// The first link: what stands before it, its text, its target, what stands behind it.
fn next_link(markdown: &str) -> Option<(&str, &str, &str, &str)> {
    let (head, tail) = markdown.split_once("](")?;
    let ((before, text), (target, after)) = (head.rsplit_once('[')?, tail.split_once(')')?);
    Some((before, text, target, after))
}

/// Words in lines of [`COLUMNS`] at most, or of one longer word.
fn filled(paragraph: &str) -> String {
    let mut out = String::new();
    let mut columns = 0;
    for word in paragraph.split_whitespace() {
        let length = word.chars().count();
        if columns > 0 && columns + 1 + length > COLUMNS {
            out.push('\n');
            columns = 0;
        } else if columns > 0 {
            out.push(' ');
            columns += 1;
        }
        out.push_str(word);
        columns += length;
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_plain_text() {
        let page = "HTTP 503. **Look** at [the rule](decisions/0018-lag-share.md),\n[journal.full](#journalfull), \
                    [settings.md](settings.md#x) or [LICENSE](../LICENSE). *Do*:\n`millrace status`.\n\nMore.\n";
        assert_eq!(
            plain(page),
            "HTTP 503. Look at the rule (docs/decisions/0018-lag-share.md), journal.full,\ndocs/settings.md or LICENSE \
             (LICENSE).\n\nDo: `millrace status`.\n\nMore.\n"
        );
    }

    #[test]
    fn nothing_of_the_marks_is_left_on_any_page() {
        for section in super::super::sections(super::super::PAGES) {
            let text = plain(&section.body);
            for mark in ["**", "](", "*Do*", "###"] {
                assert!(!text.contains(mark), "{mark} in {:?}: {text}", section.slugs);
            }
            assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{:?}: {text}", section.slugs);
        }
    }
}
