//! Date patterns of `java.time.format.DateTimeFormatter` (JDK 16 and newer): what they may hold.
//!
//! The letters that Firehose refuses are refused (C I J P R T U V b f i j l o p r t, and Java's
//! reserved `{ } #`), and so is what Java's own parser refuses: too many of a letter, an open quote
//! or bracket. Optional sections `[…]` print as if the brackets were not there.

/// One piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text as it is.
    Text(String),
    /// A letter and how often it stands there.
    Field(char, usize),
}

/// A checked pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pieces: Vec<Piece>,
}

impl Pattern {
    /// Reads `text`; `None` where Java or Firehose would refuse it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut optional_depth = 0usize;
        let mut chars = text.chars().peekable();
        while let Some(letter) = chars.next() {
            match letter {
                'A'..='Z' | 'a'..='z' => {
                    let mut count = 1;
                    while chars.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    if !is_allowed(letter, count) {
                        return None;
                    }
                    pieces.push(Piece::Field(letter, count));
                }
                '\'' => push_text(&mut pieces, &quoted(&mut chars)?),
                '[' => optional_depth += 1,
                ']' => optional_depth = optional_depth.checked_sub(1)?,
                '{' | '}' | '#' => return None,
                other => push_text(&mut pieces, other.encode_utf8(&mut [0; 4])),
            }
        }
        // Java closes optional sections at the end by itself.
        (!text.is_empty()).then_some(Self { pieces })
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

/// The text behind an opening quote, up to the closing one; `''` is a quote inside, and alone too.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let mut text = String::new();
    loop {
        match chars.next()? {
            '\'' if chars.next_if_eq(&'\'').is_some() => text.push('\''),
            '\'' if text.is_empty() => return Some("'".to_owned()),
            '\'' => return Some(text),
            other => text.push(other),
        }
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if let Some(Piece::Text(last)) = pieces.last_mut() {
        last.push_str(text);
    } else {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// How often a letter may stand (`DateTimeFormatterBuilder.appendPattern`).
fn is_allowed(letter: char, count: usize) -> bool {
    match letter {
        'u' | 'y' | 'Y' | 'A' | 'n' | 'N' | 'g' => count <= 19,
        'G' | 'M' | 'L' | 'Q' | 'q' | 'E' | 'e' | 'Z' | 'X' | 'x' => count <= 5,
        'c' => count <= 5 && count != 2,
        'B' => matches!(count, 1 | 4 | 5),
        'a' | 'F' | 'W' => count == 1,
        'd' | 'h' | 'H' | 'k' | 'K' | 'm' | 's' | 'w' => count <= 2,
        'D' => count <= 3,
        'S' => count <= 9,
        'z' => count <= 4,
        'v' | 'O' => matches!(count, 1 | 4),
        _ => false,
    }
}
