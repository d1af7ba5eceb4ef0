//! The table for `docs/performance.md`: conditions, head, rows; printed as they come and, when asked, written to
//! a file as Markdown.

use std::path::PathBuf;

use anyhow::Context as _;

const HEAD: &str = "| path | gate (stretch) | measured | CPU s | wall s | peak RSS | parts, CPU s | whole / parts |\n\
    |---|---|---|---|---|---|---|---|";

/// A table that grows.
#[derive(Debug)]
pub(crate) struct Table {
    text: String,
    out: Option<PathBuf>,
}

impl Table {
    /// Begins one with the command and the conditions above it.
    pub(crate) fn begin(command: &str, conditions: &str, out: Option<PathBuf>) -> anyhow::Result<Self> {
        let mut table = Self { text: String::new(), out };
        table.add(&format!("`{command}`: {conditions}.\n\n{HEAD}"))?;
        Ok(table)
    }

    /// Adds a row, of cells in the order of the head; those that are missing are empty.
    pub(crate) fn row(&mut self, cells: &[&str]) -> anyhow::Result<()> {
        let columns = HEAD.lines().next().map_or(0, |line| line.matches('|').count() - 1);
        anyhow::ensure!(cells.len() <= columns, "{} cells in {columns} columns", cells.len());
        let empty = std::iter::repeat_n(&"", columns - cells.len());
        let row = cells.iter().chain(empty).fold(String::from("|"), |row, cell| format!("{row} {cell} |"));
        self.add(&row)
    }

    /// The file is written anew with each row, so that it is there however the run ends.
    fn add(&mut self, lines: &str) -> anyhow::Result<()> {
        println!("{lines}");
        self.text.push_str(lines);
        self.text.push('\n');
        match &self.out {
            None => Ok(()),
            Some(path) => std::fs::write(path, &self.text).with_context(|| format!("write {}", path.display())),
        }
    }
}

/// The run in the middle, by one figure of each: whole runs, so that all figures of a row belong together.
pub(crate) fn median<T>(mut runs: Vec<T>, figure: impl Fn(&T) -> f64) -> anyhow::Result<T> {
    runs.sort_by(|a, b| figure(a).total_cmp(&figure(b)));
    let middle = runs.len() / 2;
    runs.into_iter().nth(middle).context("no run")
}

/// Smallest and largest figure of the runs, where there is more than one.
pub(crate) fn spread<T>(runs: &[T], figure: impl Fn(&T) -> f64, show: impl Fn(f64) -> String) -> String {
    let figures = || runs.iter().map(&figure);
    let (least, most) = (figures().fold(f64::INFINITY, f64::min), figures().fold(f64::NEG_INFINITY, f64::max));
    if runs.len() > 1 { format!(", {} to {} in {} runs", show(least), show(most), runs.len()) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_written_as_they_come_and_the_middle_run_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.md");
        let mut table = Table::begin("load all", "2 cores", Some(path.clone())).unwrap();
        table.row(&["a", "b"]).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.starts_with("`load all`: 2 cores.\n\n| path |"), "{text}");
        assert!(text.ends_with("|\n| a | b |  |  |  |  |  |  |\n"), "{text}");
        assert!(table.row(&["x"; 9]).is_err());
        let runs = vec![("slow", 3.0), ("fast", 1.0), ("middle", 2.0)];
        assert_eq!(spread(&runs, |run| run.1, |figure| format!("{figure:.0}")), ", 1 to 3 in 3 runs");
        assert_eq!(median(runs, |run| run.1).unwrap().0, "middle");
        assert!(median(Vec::<f64>::new(), |run| *run).is_err());
    }
}
