//! When a window is cut: a pure function of what it holds, its age and what is going on around it.

use std::time::Duration;

/// What the decision looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Source bytes in the window, before compression.
    pub(crate) source_bytes: u64,
    /// Time since its first record came in.
    pub(crate) age: Duration,
    /// The server stops, or the shard's done set has grown past its limit: cut whatever is there.
    pub(crate) all: bool,
}

/// When to cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// `BufferingHints.SizeInMBs`, in bytes.
    pub(crate) source_bytes: u64,
    /// `BufferingHints.IntervalInSeconds`, scaled.
    pub(crate) age: Duration,
}

/// Why a window is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Size,
    Age,
    All,
    /// The node's memory is short and there is nothing to spill.
    Memory,
}

/// Whether to cut now, and why.
pub(crate) fn decide(look: Look, limits: Limits) -> Option<Reason> {
    if look.source_bytes >= limits.source_bytes {
        Some(Reason::Size)
    } else if look.age >= limits.age {
        Some(Reason::Age)
    } else if look.all {
        Some(Reason::All)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_comes_before_age_and_age_before_all() {
        let limits = Limits { source_bytes: 100, age: Duration::from_secs(10) };
        let look = |source_bytes, secs, all| Look { source_bytes, age: Duration::from_secs(secs), all };
        assert_eq!(decide(look(99, 9, false), limits), None);
        assert_eq!(decide(look(100, 10, true), limits), Some(Reason::Size));
        assert_eq!(decide(look(1, 10, true), limits), Some(Reason::Age));
        assert_eq!(decide(look(0, 0, true), limits), Some(Reason::All));
    }
}
