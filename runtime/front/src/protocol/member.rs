//! Constructors of the tables' members.

use super::patterns::Pattern;
use super::shape::{Member, Outcome, Shape};

/// A string of `from` to `to` characters that matches `pattern`.
pub(crate) const fn text(from: usize, to: usize, pattern: &'static Pattern) -> Shape {
    Shape::Text { length: (from, to), pattern: Some(pattern) }
}

/// A member that may be absent, and is honoured.
pub(crate) const fn optional(name: &'static str, shape: Shape) -> Member {
    Member { name, required: false, shape, outcome: Outcome::Honoured }
}

/// A member that must be there, and is honoured.
pub(crate) const fn required(name: &'static str, shape: Shape) -> Member {
    Member { name, required: true, shape, outcome: Outcome::Honoured }
}

/// A member that is kept and shown, and does nothing else.
pub(crate) const fn shown(name: &'static str, shape: Shape, why: &'static str) -> Member {
    Member { name, required: false, shape, outcome: Outcome::Shown(why) }
}

/// A member of which only some values are honoured.
pub(crate) const fn only(
    name: &'static str,
    shape: Shape,
    values: &'static [&'static str],
    advice: &'static str,
) -> Member {
    Member { name, required: false, shape, outcome: Outcome::Only(values, advice) }
}

/// A member that is refused by name.
pub(crate) const fn refused(name: &'static str, advice: &'static str) -> Member {
    Member { name, required: false, shape: Shape::Opaque, outcome: Outcome::Refused(advice) }
}
