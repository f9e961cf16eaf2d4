//! Tollkeeper's Envoy filter: carries Envoy's callbacks to the request path as events and its effects back as host calls. Decides nothing.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]
