//! What an import did, in words.

use std::fmt;

/// Rows of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Taken, or to be taken.
    pub taken: u64,
    /// There already.
    pub there: u64,
    /// Not taken; the notes say why.
    pub left: u64,
}

impl Counted {
    pub(super) fn add(&mut self, other: &Self) {
        self.taken += other.taken;
        self.there += other.there;
        self.left += other.left;
    }
}

/// The outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Whether anything was written.
    pub applied: bool,
    /// Kinds of rows.
    pub tables: Vec<(&'static str, Counted)>,
    /// What was not taken, and why.
    pub notes: Vec<String>,
}

impl Report {
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let taken = if self.applied { "taken" } else { "to be taken" };
        for (called, counted) in &self.tables {
            let Counted {
                taken: new,
                there,
                left,
            } = counted;
            writeln!(
                f,
                "{called}: {new} {taken}, {there} there already, {left} left out"
            )?;
        }
        for note in &self.notes {
            writeln!(f, "- {note}")?;
        }
        if !self.applied {
            writeln!(
                f,
                "This was a dry run: nothing was written. Run it again with --apply."
            )?;
        }
        Ok(())
    }
}
