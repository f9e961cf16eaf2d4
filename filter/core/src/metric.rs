//! Every figure that the filter publishes as an Envoy stat. A closed set with static names, so that the adapter defines each once and nothing
//! is formatted while a request waits.

/// How Envoy keeps a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Is set by differences.
    Gauge,
    /// A distribution.
    Histogram,
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $variant:ident: $kind:ident = $name:literal,)*) => {
        /// One figure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Metric {
            $($(#[$doc])* $variant,)*
        }

        impl Metric {
            /// All of them; a metric's position is [`Metric::index`].
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stat's name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// How Envoy keeps it.
            pub const fn kind(self) -> Kind {
                match self {
                    $(Self::$variant => Kind::$kind,)*
                }
            }

            /// Position in [`Metric::ALL`].
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

metrics! {
    /// Requests admitted.
    Admitted: Counter = "tollkeeper.decision.admitted",
    /// Requests let through while Redis failed (`on_store_failure: allow`).
    AllowedWithoutStore: Counter = "tollkeeper.decision.allowed_without_store",
    /// Denied by an rpm limit.
    DeniedRpm: Counter = "tollkeeper.decision.denied_rpm",
    /// Denied by a tpm limit.
    DeniedTpm: Counter = "tollkeeper.decision.denied_tpm",
    /// Denied by a limit of requests in flight.
    DeniedParallel: Counter = "tollkeeper.decision.denied_parallel",
    /// Denied by a budget.
    DeniedBudget: Counter = "tollkeeper.decision.denied_budget",
    /// Refused: no, malformed, unknown, blocked or expired credential.
    RefusedCredential: Counter = "tollkeeper.decision.refused_credential",
    /// Refused: a path or method that the route table lacks.
    RefusedRoute: Counter = "tollkeeper.decision.refused_route",
    /// Refused: the key, owner or role may not call this route or model.
    RefusedPermission: Counter = "tollkeeper.decision.refused_permission",
    /// Refused: the body, its model, its price or its output cap.
    RefusedRequest: Counter = "tollkeeper.decision.refused_request",
    /// Refused with 503: Redis failed, is not ready, answered nonsense, or the outbox is full.
    Unavailable: Counter = "tollkeeper.decision.unavailable",
    /// Model lists answered.
    ModelsListed: Counter = "tollkeeper.decision.models_listed",
    /// Calls made to Redis.
    RedisCalls: Counter = "tollkeeper.redis.calls",
    /// Calls to Redis that brought no usable replies.
    RedisFailures: Counter = "tollkeeper.redis.failures",
    /// Milliseconds a call to Redis took.
    RedisLatency: Histogram = "tollkeeper.redis.latency_ms",
    /// Times the breaker opened.
    BreakerOpened: Counter = "tollkeeper.redis.breaker_opened",
    /// Settlements and releases that Redis has not acknowledged.
    Backlog: Gauge = "tollkeeper.settle.backlog",
    /// Reservations in flight.
    Live: Gauge = "tollkeeper.settle.live",
    /// Requests settled from the provider's own count.
    SettledExact: Counter = "tollkeeper.settle.exact",
    /// Requests settled from an estimate.
    SettledEstimated: Counter = "tollkeeper.settle.estimated",
    /// Reservations given back unused.
    Released: Counter = "tollkeeper.settle.released",
    /// Settlements sent again because Redis had lost them.
    Resent: Counter = "tollkeeper.settle.resent",
    /// Admissions repeated because a record had changed.
    Stale: Counter = "tollkeeper.records.stale",
    /// Records with a lower revision than one seen before.
    RevisionWentBack: Counter = "tollkeeper.records.revision_went_back",
    /// Memory of the workers' virtual machines, bytes.
    Memory: Gauge = "tollkeeper.memory_bytes",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_sits_at_its_index_under_a_name_of_its_own() {
        for (at, metric) in Metric::ALL.iter().enumerate() {
            assert_eq!(metric.index(), at);
            assert_eq!(
                Metric::ALL
                    .iter()
                    .filter(|other| other.name() == metric.name())
                    .count(),
                1
            );
        }
    }
}
