//! The rolling minute of one scope: the segments by which Redis counts, and every request by itself.

use super::Place;
use crate::script::SEGMENT_MS;
use crate::window::RATE_WINDOW_MS;

#[derive(Clone, Debug, Default)]
pub(super) struct RateWindow {
    /// In the order in which they leave.
    segments: Vec<Segment>,
    arrivals: Vec<Arrival>,
}

/// Admissions that leave the rate window together.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) opened_ms: u64,
    pub(super) leaves_ms: u64,
    /// Came from [`crate::script::Load`], not from admissions; takes no further ones.
    pub(super) restored: bool,
    pub(super) counted: Vec<Counted>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    /// `None` for what the ledger restored.
    pub(super) place: Option<Place>,
    pub(super) requests: u64,
    pub(super) tokens: u64,
}

/// A counted request by itself, and the latest moment at which it can reach the upstream.
#[derive(Clone, Debug)]
struct Arrival {
    place: Place,
    latest_ms: u64,
    tokens: u64,
}

/// An admission to be counted in the rate window.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) tokens: u64,
    /// It is in the window until then.
    pub(super) leaves_ms: u64,
    /// It can reach the upstream until then.
    pub(super) latest_ms: u64,
}

impl Segment {
    pub(super) fn tokens(&self) -> u64 {
        self.counted
            .iter()
            .map(|counted| counted.tokens)
            .fold(0, u64::saturating_add)
    }

    pub(super) fn requests(&self) -> u64 {
        self.counted
            .iter()
            .map(|counted| counted.requests)
            .fold(0, u64::saturating_add)
    }
}

impl RateWindow {
    /// Sums over the segments; what left must be dropped before.
    pub(super) fn sum(&self, of: fn(&Segment) -> u64) -> u64 {
        self.segments.iter().map(of).fold(0, u64::saturating_add)
    }

    pub(super) fn true_sums(&self, now_ms: u64) -> (u64, u64) {
        let edge = now_ms.saturating_sub(RATE_WINDOW_MS);
        let inside = self
            .arrivals
            .iter()
            .filter(|arrival| arrival.latest_ms > edge);
        inside.fold((0, 0), |(requests, tokens), arrival| {
            (
                u64::saturating_add(requests, 1),
                u64::saturating_add(tokens, arrival.tokens),
            )
        })
    }

    pub(super) fn is_over(&self, clock_ms: u64) -> bool {
        self.segments
            .iter()
            .all(|segment| segment.leaves_ms <= clock_ms)
    }

    /// Moments at which a segment stops taking admissions or leaves.
    pub(super) fn edges(&self) -> impl Iterator<Item = u64> {
        let edges = |segment: &Segment| {
            [
                segment.leaves_ms,
                segment.opened_ms.saturating_add(SEGMENT_MS),
            ]
        };
        self.segments.iter().flat_map(edges)
    }

    pub(super) fn expire(&mut self, now_ms: u64) {
        self.segments.retain(|segment| segment.leaves_ms > now_ms);
        let edge = now_ms.saturating_sub(RATE_WINDOW_MS);
        self.arrivals.retain(|arrival| arrival.latest_ms > edge);
    }

    pub(super) fn count(&mut self, now_ms: u64, entry: Entry) {
        self.expire(now_ms);
        let Entry {
            place,
            tokens,
            latest_ms,
            ..
        } = entry;
        let counted = Counted {
            place: Some(place),
            requests: 1,
            tokens,
        };
        let last = self.segments.last_mut();
        let earlier_ms = last.as_ref().map_or(0, |segment| segment.leaves_ms);
        let leaves_ms = entry.leaves_ms.max(earlier_ms);
        let joins = |open: &&mut Segment| {
            !open.restored && now_ms.saturating_sub(open.opened_ms) < SEGMENT_MS
        };
        if let Some(open) = last.filter(joins) {
            open.leaves_ms = leaves_ms;
            open.counted.push(counted);
        } else {
            let counted = vec![counted];
            self.segments.push(Segment {
                opened_ms: now_ms,
                leaves_ms,
                restored: false,
                counted,
            });
        }
        self.arrivals.push(Arrival {
            place,
            latest_ms,
            tokens,
        });
    }

    /// Corrects the tokens of a counted admission.
    pub(super) fn correct(&mut self, place: Place, tokens: u64) {
        let counted = self
            .segments
            .iter_mut()
            .flat_map(|segment| &mut segment.counted);
        for counted in counted.filter(|counted| counted.place == Some(place)) {
            counted.tokens = tokens;
        }
        for arrival in self
            .arrivals
            .iter_mut()
            .filter(|arrival| arrival.place == place)
        {
            arrival.tokens = tokens;
        }
    }

    /// Takes an admission that never reached the upstream out of the rate window.
    pub(super) fn withdraw(&mut self, place: Place) {
        for segment in &mut self.segments {
            segment
                .counted
                .retain(|counted| counted.place != Some(place));
        }
        self.arrivals.retain(|arrival| arrival.place != place);
    }

    /// Puts what the ledger knows before what renewals have counted again, in place of what an earlier restore put there.
    pub(super) fn restore(&mut self, restored: Vec<Segment>, now_ms: u64) {
        self.expire(now_ms);
        let counted = std::mem::take(&mut self.segments);
        let restored = restored
            .into_iter()
            .filter(|segment| segment.leaves_ms > now_ms);
        let kept = counted.into_iter().filter(|segment| !segment.restored);
        self.segments = restored.chain(kept).collect();
        let mut latest_ms = 0;
        for segment in &mut self.segments {
            latest_ms = segment.leaves_ms.max(latest_ms);
            segment.leaves_ms = latest_ms;
        }
    }

    /// Milliseconds until segments that count `excess` have left.
    pub(super) fn wait(&self, excess: u64, of: fn(&Segment) -> u64, now_ms: u64) -> u64 {
        let mut freed: u64 = 0;
        for segment in &self.segments {
            freed = freed.saturating_add(of(segment));
            if freed >= excess {
                return segment.leaves_ms.saturating_sub(now_ms);
            }
        }
        0
    }
}
