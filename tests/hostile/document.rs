//! The corpus as the tables of `docs/isolation.md`.

use millrace_tests::guests::tree;

use crate::corpus::{Must, PARTS};

/// The page.
const PAGE: &str = "docs/isolation.md";
/// What stands before and behind the tables.
const MARKS: (&str, &str) = ("<!-- the corpus -->\n", "<!-- end of the corpus -->\n");

fn outcome(must: Must) -> String {
    match must {
        Must::BeRefused(words) => {
            format!("not deployed: {}", words.iter().map(|w| w.replace('`', "")).collect::<Vec<_>>().join(" … "))
        }
        Must::Fail(code, "") => format!("`{code}`"),
        Must::Fail(code, says) => format!("`{code}`: {says}"),
        Must::BeStopped => "`Lambda.FunctionTimedOut`, or its million calls of the host are used up".to_owned(),
        Must::Answer => "answers, and nobody notices".to_owned(),
    }
}

/// The tables.
fn tables() -> String {
    let mut text = format!("{} modules.\n", PARTS.iter().map(|(_, cases)| cases.len()).sum::<usize>());
    for (headline, cases) in PARTS {
        text.push_str(&format!("\n### {headline}\n\n| module | what it does | what happens |\n|---|---|---|\n"));
        for case in cases {
            text.push_str(&format!("| `{}` | {} | {} |\n", case.name, case.does, outcome(case.must)));
        }
    }
    text.push('\n');
    text
}

/// The page, and the page as it should be.
fn pages() -> (String, String) {
    let page = std::fs::read_to_string(tree().join(PAGE)).expect("the page");
    let (head, rest) = page.split_once(MARKS.0).expect("where the tables begin");
    let (_, tail) = rest.split_once(MARKS.1).expect("where the tables end");
    let should = format!("{head}{}\n{}{}{tail}", MARKS.0, tables(), MARKS.1);
    (page, should)
}

#[test]
fn the_page_shows_the_corpus() {
    let (page, should) = pages();
    assert!(
        page == should,
        "{PAGE} is behind: cargo test --release -p millrace-tests --test hostile -- --ignored write_the_page"
    );
}

#[test]
#[ignore = "by hand: writes the tables of docs/isolation.md anew"]
fn write_the_page() {
    std::fs::write(tree().join(PAGE), pages().1).expect("the page is written");
}
