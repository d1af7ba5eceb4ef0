//! The Prometheus text format, version 0.0.4: samples of one name together, under one HELP and TYPE.

use std::collections::BTreeMap;

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Samples by name.
#[derive(Debug, Default)]
pub(crate) struct Text {
    families: BTreeMap<&'static str, (Kind, &'static str, String)>,
}

impl Text {
    /// Adds a sample to its family.
    pub(crate) fn sample(
        &mut self,
        name: &'static str,
        kind: Kind,
        help: &'static str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        self.suffixed(name, "", kind, help, labels, value);
    }

    /// A sample whose name is the family's with a suffix, as histograms have them.
    pub(crate) fn suffixed(
        &mut self,
        name: &'static str,
        suffix: &str,
        kind: Kind,
        help: &'static str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        let (_, _, lines) = self.families.entry(name).or_insert_with(|| (kind, help, String::new()));
        lines.push_str(name);
        lines.push_str(suffix);
        for (index, (label, value)) in labels.iter().enumerate() {
            lines.push(if index == 0 { '{' } else { ',' });
            lines.push_str(label);
            lines.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' => lines.push_str("\\\\"),
                    '"' => lines.push_str("\\\""),
                    '\n' => lines.push_str("\\n"),
                    c => lines.push(c),
                }
            }
            lines.push('"');
        }
        if !labels.is_empty() {
            lines.push('}');
        }
        lines.push_str(&format!(" {value}\n"));
    }

    /// The whole text.
    pub(crate) fn finish(self) -> String {
        let mut out = String::new();
        for (name, (kind, help, lines)) in self.families {
            let kind = match kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}"));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        let mut text = Text::default();
        text.sample("b_total", Kind::Counter, "B.", &[("x", "a\"\\\n"), ("y", "")], 2.0);
        text.sample("a", Kind::Gauge, "A.", &[], 0.5);
        assert_eq!(
            text.finish(),
            "# HELP a A.\n# TYPE a gauge\na 0.5\n# HELP b_total B.\n# TYPE b_total counter\n\
             b_total{x=\"a\\\"\\\\\\n\",y=\"\"} 2\n"
        );
    }
}
