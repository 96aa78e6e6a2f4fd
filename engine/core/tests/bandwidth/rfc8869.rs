//! RFC 8869 §4.1: a wire behind a Wi-Fi network that makes packets late.

use visavis_weather::scenario::RFC_8869_WIRED;

use crate::scenarios::{assert_nobody_starves, assert_used_and_shared_with_short_queues, has_tcp};

#[test]
fn jitter_of_wifi_is_no_queue_and_a_constant_bitrate_is_given_way() {
    let scenarios = RFC_8869_WIRED.iter().filter(|scenario| !has_tcp(scenario));
    scenarios.for_each(assert_used_and_shared_with_short_queues);
}

#[test]
fn tcp_behind_wifi_starves_nobody_and_is_not_starved() {
    RFC_8869_WIRED.iter().filter(|scenario| has_tcp(scenario)).for_each(assert_nobody_starves);
}
