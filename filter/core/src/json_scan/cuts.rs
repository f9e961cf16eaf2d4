//! Members of an object that concern the gateway alone and do not go upstream. Decides which bytes go with them, so that commas stay right.

use super::facts::Span;

/// The members of one object as they pass.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    /// Where the last member that stays ends; before the first, where the object opens.
    kept_end: usize,
    /// Where the member that is being read begins.
    start: usize,
    /// It goes.
    goes: bool,
    /// The member before the next one went: where it begins and ends.
    gone: Option<Span>,
    /// Whether any member stays.
    stays: bool,
    spans: Vec<Span>,
}

impl Cuts {
    /// The object's first member may come at `inside`.
    pub(super) fn opened(&mut self, inside: usize) {
        *self = Self {
            kept_end: inside,
            ..Self::default()
        };
    }

    /// A member begins with its key.
    pub(super) fn member(&mut self, start: usize) {
        // One that went before it goes with the comma between them.
        if let Some(gone) = self.gone.take() {
            self.spans.push(Span {
                start: gone.start,
                end: start,
            });
        }
        self.start = start;
        self.goes = false;
    }

    /// The member that is being read does not go upstream.
    pub(super) const fn mark(&mut self) {
        self.goes = true;
    }

    /// Its value is complete.
    pub(super) const fn ended(&mut self, end: usize) {
        if self.goes {
            self.gone = Some(Span {
                start: self.start,
                end,
            });
        } else {
            self.stays = true;
            self.kept_end = end;
        }
    }

    /// The object is complete; answers whether it had members and none stays.
    pub(super) fn closed(&mut self) -> bool {
        if let Some(gone) = self.gone.take() {
            // Nothing follows: the comma before the first that went goes too.
            self.spans.retain(|span| span.start < self.kept_end);
            self.spans.push(Span {
                start: self.kept_end,
                end: gone.end,
            });
        }
        !self.stays && !self.spans.is_empty()
    }

    /// What to cut out, in order.
    pub(super) fn take(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.spans)
    }
}
