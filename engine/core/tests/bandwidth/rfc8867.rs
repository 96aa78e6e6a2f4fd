//! RFC 8867 §5.1 to §5.8.

use visavis_weather::scenario::RFC_8867;

use crate::scenarios::{assert_nobody_starves, assert_used_and_shared_with_short_queues, has_tcp};

#[test]
fn bandwidth_is_used_and_shared_and_queues_are_short() {
    let scenarios = RFC_8867.iter().filter(|scenario| !has_tcp(scenario));
    scenarios.for_each(assert_used_and_shared_with_short_queues);
}

#[test]
fn tcp_starves_nobody_and_is_not_starved() {
    RFC_8867.iter().filter(|scenario| has_tcp(scenario)).for_each(assert_nobody_starves);
}
