//! Which time zone and reset time count, and which counted before.

use std::sync::Arc;

use chrono::NaiveTime;
use chrono_tz::Tz;
use serde_json::{Value, json};

/// How many changes are remembered: enough for windows that began before any of them.
const REMEMBERED: usize = 8;

/// The proxy's settings about windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRules {
    /// LiteLLM's `timezone`.
    pub timezone: Tz,
    /// LiteLLM's `budget_reset_time`: the time of day at which days, weeks and months begin.
    pub reset_time: NaiveTime,
    /// What counted before, and until when: a window that had begun goes on to its own end.
    pub earlier: Option<Arc<Earlier>>,
}

/// Rules that no longer count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The rules.
    pub rules: WindowRules,
    /// Until when, microseconds since the epoch.
    pub until_us: u64,
}

impl Default for WindowRules {
    fn default() -> Self {
        Self::new(Tz::UTC, NaiveTime::MIN)
    }
}

impl WindowRules {
    /// Rules that always counted.
    pub fn new(timezone: Tz, reset_time: NaiveTime) -> Self {
        Self {
            timezone,
            reset_time,
            earlier: None,
        }
    }

    /// Whether both compute the same from now on.
    pub fn same(&self, other: &Self) -> bool {
        (self.timezone, self.reset_time) == (other.timezone, other.reset_time)
    }

    /// These rules from `now_us` on, `known` before.
    #[must_use]
    pub fn after(&self, known: &Self, now_us: u64) -> Self {
        let earlier = Earlier {
            rules: known.cut(REMEMBERED - 1),
            until_us: now_us,
        };
        Self {
            earlier: Some(Arc::new(earlier)),
            ..self.clone()
        }
    }

    fn cut(&self, depth: usize) -> Self {
        let kept = self.earlier.as_deref().filter(|_| depth > 0);
        let earlier = kept.map(|earlier| Earlier {
            rules: earlier.rules.cut(depth.saturating_sub(1)),
            until_us: earlier.until_us,
        });
        Self {
            earlier: earlier.map(Arc::new),
            ..Self::new(self.timezone, self.reset_time)
        }
    }

    /// As it is stored.
    pub fn to_json(&self) -> Value {
        let time = self.reset_time.format("%H:%M").to_string();
        let mut value = json!({"timezone": self.timezone.name(), "budget_reset_time": time});
        if let (Some(earlier), Some(object)) = (&self.earlier, value.as_object_mut()) {
            object.insert("earlier".into(), earlier.rules.to_json());
            object.insert("earlier_until_us".into(), json!(earlier.until_us));
        }
        value
    }

    /// What [`WindowRules::to_json`] gave.
    pub fn from_json(value: &Value) -> Option<Self> {
        let timezone: Tz = value.get("timezone")?.as_str()?.parse().ok()?;
        let time = value.get("budget_reset_time")?.as_str()?;
        let reset_time = NaiveTime::parse_from_str(time, "%H:%M").ok()?;
        let earlier = match value.get("earlier") {
            Some(earlier) => Some(Arc::new(Earlier {
                rules: Self::from_json(earlier)?,
                until_us: value.get("earlier_until_us")?.as_u64()?,
            })),
            None => None,
        };
        Some(Self {
            timezone,
            reset_time,
            earlier,
        })
    }
}
