//! How the commands show things to people: tables, text of others, numbers of things.

use comfy_table::{ColumnConstraint, Row, Table, presets::NOTHING};

/// Rows below a header.
pub(super) struct Rows(Table);

impl Rows {
    pub(super) fn new<const N: usize>(header: [&str; N]) -> Self {
        let mut table = Table::new();
        table.load_preset(NOTHING).set_header(header);
        Self(table)
    }

    pub(super) fn push<const N: usize>(&mut self, row: [String; N]) {
        self.0.add_row(row);
    }

    /// Leaves out a column that holds nothing.
    pub(super) fn drop_if_empty(&mut self, column: usize) {
        let empty = |row: &Row| row.cell_iter().nth(column).is_none_or(|cell| cell.content().is_empty());
        if self.0.row_iter().all(empty)
            && let Some(column) = self.0.column_mut(column)
        {
            column.set_constraint(ColumnConstraint::Hidden);
        }
    }
}

impl std::fmt::Display for Rows {
    /// Without the blanks that would fill each line up to the longest.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.trim_fmt())
    }
}

/// Text of a record or a function: lines stay lines, other control characters are shown and do nothing to
/// the terminal.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim_end_matches(['\r', '\n']).chars() {
        match c {
            '\n' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// `1 attempt`, `2 attempts`.
pub(super) fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_wide_as_what_it_holds() {
        let mut rows = Rows::new(["record", "output", "partition keys"]);
        rows.push(["0".into(), "x".repeat(150), String::new()]);
        rows.push(["1".into(), "y".into(), String::new()]);
        rows.drop_if_empty(2);
        let shown = rows.to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], " record  output");
        assert_eq!(lines[2], " 1       y");
        assert!(lines.iter().all(|line| !line.ends_with(' ')), "{shown}");
    }

    #[test]
    fn a_column_that_holds_something_stays() {
        let mut rows = Rows::new(["record", "partition keys"]);
        rows.push(["0".into(), "k=a".into()]);
        rows.drop_if_empty(1);
        assert_eq!(rows.to_string(), " record  partition keys\n 0       k=a");
    }

    #[test]
    fn text_of_others_does_nothing_to_the_terminal() {
        assert_eq!(printable("panicked at a.rs:\nno\tway\u{1b}[2J\r\n"), "panicked at a.rs:\nno\\tway\\u{1b}[2J");
        assert_eq!((count(1, "attempt"), count(2, "attempt")), ("1 attempt".into(), "2 attempts".into()));
    }
}
