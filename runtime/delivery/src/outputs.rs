//! The outputs of a batch, and the number that each has among the outputs of its input.

use millrace_transform::Output;
use millrace_types::{Batch, Columns};

/// The outputs of a batch: what they are and where each came from.
pub(crate) struct Outputs<'a> {
    pub(crate) columns: Columns<'a>,
    /// `None`: the input itself.
    pub(crate) sources: Option<&'a [u32]>,
    /// For each output which of its input's outputs it is; empty when all are the first.
    nth: Vec<u32>,
}

impl<'a> Outputs<'a> {
    /// The batch as it is.
    pub(crate) fn of_batch(batch: &'a Batch) -> Self {
        Self { columns: batch.columns(), sources: None, nth: Vec::new() }
    }

    /// What a function made of a batch.
    pub(crate) fn of_run(output: &'a Output) -> Self {
        Self { columns: output.columns(), sources: Some(&output.sources), nth: nth_outputs(&output.sources) }
    }

    /// True when no input has two outputs.
    pub(crate) fn is_plain(&self) -> bool {
        self.nth.is_empty()
    }

    pub(crate) fn source(&self, output: u32) -> u32 {
        self.sources.map_or(output, |sources| sources[output as usize])
    }

    pub(crate) fn nth(&self, output: u32) -> u32 {
        self.nth.get(output as usize).copied().unwrap_or(0)
    }

    /// How many outputs an input has.
    pub(crate) fn count(&self, source: u32) -> u32 {
        let Some(sources) = self.sources else { return 1 };
        if sources.binary_search(&source).is_ok() { self.total(source) } else { 0 }
    }

    /// How many outputs an input has that has one.
    pub(crate) fn total(&self, source: u32) -> u32 {
        let (Some(sources), false) = (self.sources, self.nth.is_empty()) else { return 1 };
        let behind = sources.partition_point(|s| *s <= source);
        self.nth[behind.max(1) - 1] + 1
    }

    /// Output number `index` of an input, when it has so many.
    pub(crate) fn find(&self, source: u32, index: u32) -> Option<u32> {
        let first = match self.sources {
            None => source,
            Some(sources) => u32::try_from(sources.partition_point(|s| *s < source)).ok()?,
        };
        (index < self.count(source)).then(|| first + index)
    }
}

/// For each output its number among the outputs of its input; empty when no input has two.
/// Sources never decrease: the function host refuses an output where they do.
fn nth_outputs(sources: &[u32]) -> Vec<u32> {
    if sources.windows(2).all(|pair| pair[0] != pair[1]) {
        return Vec::new();
    }
    let mut nth = Vec::with_capacity(sources.len());
    for (at, source) in sources.iter().enumerate() {
        let next = if at > 0 && sources[at - 1] == *source { nth[at - 1] + 1 } else { 0 };
        nth.push(next);
    }
    nth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_numbered_within_their_input() {
        assert_eq!(nth_outputs(&[0, 1, 5]), Vec::<u32>::new());
        assert_eq!(nth_outputs(&[0, 0, 0, 2, 3, 3]), vec![0, 1, 2, 0, 0, 1]);
    }

    #[test]
    fn an_output_is_found_by_its_input_and_number() {
        for sources in [vec![0, 0, 0, 2, 3, 3], vec![1, 2, 4]] {
            let output = Output { ends: vec![0; sources.len()], sources, ..Output::default() };
            let outputs = Outputs::of_run(&output);
            for source in 0..6 {
                let own: Vec<u32> =
                    (0u32..).zip(&output.sources).filter(|(_, s)| **s == source).map(|(o, _)| o).collect();
                assert_eq!(outputs.count(source) as usize, own.len());
                for index in 0..5 {
                    assert_eq!(outputs.find(source, index), own.get(index as usize).copied());
                }
            }
        }
    }
}
