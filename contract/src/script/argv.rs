//! Builds one EVALSHA or EVAL command: keys first, then arguments.

use super::{By, Script};
use crate::decimal::{self, Digits};
use crate::id::Rev;
use crate::limits::Limits;
use crate::resp::{encode_bulk, encode_head};
use crate::window::BudgetWindow;

/// A command under construction. All keys must be given before the first argument.
pub(super) struct Argv {
    keys: Vec<u8>,
    key_count: usize,
    args: Vec<u8>,
    arg_count: usize,
}

impl Argv {
    pub(super) fn new() -> Self {
        Self {
            keys: Vec::with_capacity(512),
            key_count: 0,
            args: Vec::with_capacity(512),
            arg_count: 0,
        }
    }

    pub(super) fn key(&mut self, name: &str) {
        self.key_count = self.key_count.saturating_add(1);
        encode_bulk(&mut self.keys, name.as_bytes());
    }

    pub(super) fn bytes(&mut self, arg: &[u8]) {
        self.arg_count = self.arg_count.saturating_add(1);
        encode_bulk(&mut self.args, arg);
    }

    pub(super) fn text(&mut self, arg: &str) {
        self.bytes(arg.as_bytes());
    }

    pub(super) fn number(&mut self, arg: u64) {
        self.bytes(Digits::new(arg, 1).as_bytes());
    }

    pub(super) fn count(&mut self, arg: usize) {
        self.bytes(decimal::of_length(arg).as_bytes());
    }

    /// Sixteen digits.
    pub(super) fn rev(&mut self, rev: Rev) {
        self.bytes(Digits::new(rev.get(), 16).as_bytes());
    }

    /// P as the marker carries it: five digits.
    pub(super) fn partitions(&mut self, partitions: u16) {
        self.bytes(Digits::new(u64::from(partitions), 5).as_bytes());
    }

    /// A limit, `-1` where there is none.
    pub(super) fn limit(&mut self, limit: Option<u64>) {
        match limit {
            Some(limit) => self.number(limit),
            None => self.text("-1"),
        }
    }

    /// rpm, tpm, parallel, budget and the budget's window.
    pub(super) fn limits(&mut self, limits: &Limits) {
        self.limit(limits.rpm.map(u64::from));
        // A limit above 2^53 cannot be told apart from 2^53 in Lua, and no minute reaches it.
        self.limit(limits.tpm.map(|tpm| tpm.min(1 << 53)));
        self.limit(limits.parallel.map(u64::from));
        self.limit(limits.budget.as_ref().map(|budget| budget.max.get()));
        self.text(&window(limits.budget.as_ref().map(|budget| &budget.window)));
    }

    /// Appends the whole command to `out`.
    pub(super) fn finish(self, script: Script, by: By, out: &mut Vec<u8>) {
        out.reserve(
            self.keys
                .len()
                .saturating_add(self.args.len())
                .saturating_add(80),
        );
        encode_head(
            out,
            self.key_count
                .saturating_add(self.arg_count)
                .saturating_add(3),
        );
        match by {
            By::Hash => {
                encode_bulk(out, b"EVALSHA");
                encode_bulk(out, script.sha().as_bytes());
            }
            By::Source => {
                encode_bulk(out, b"EVAL");
                encode_bulk(out, script.source().as_bytes());
            }
        }
        encode_bulk(out, decimal::of_length(self.key_count).as_bytes());
        out.extend_from_slice(&self.keys);
        out.extend_from_slice(&self.args);
    }
}

/// A budget window as scope headers store it: `L` (never rolls, or no budget), `F<anchor>,<every>` or `C<boundary>,<boundary>…`.
pub(super) fn window(window: Option<&BudgetWindow>) -> String {
    let mut text = String::with_capacity(32);
    match window {
        None | Some(BudgetWindow::Lifetime) => text.push('L'),
        Some(BudgetWindow::Fixed {
            anchor_ms,
            every_ms,
        }) => {
            text.push('F');
            text.push_str(Digits::new(*anchor_ms, 1).as_str());
            text.push(',');
            text.push_str(Digits::new((*every_ms).max(1), 1).as_str());
        }
        Some(BudgetWindow::Calendar(boundaries)) => {
            text.push('C');
            for (index, boundary) in boundaries.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(Digits::new(*boundary, 1).as_str());
            }
        }
    }
    text
}
