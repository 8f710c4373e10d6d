//! Risk: a flight jumps, or ends elsewhere.

use std::time::Duration;

use super::{Demo, End};
use crate::view::View;

fn demo(seconds: u64, end: End) -> (Demo, View) {
    let home = View::home((960, 600));
    let place = View {
        center: (
            "-0.743643887037".parse().unwrap(),
            "0.131825904205".parse().unwrap(),
        ),
        zoom: 40.0,
    };
    let length = Duration::from_secs(seconds);
    (Demo { length, place, end }, home)
}

#[test]
fn a_flight_begins_and_ends_at_home() {
    let (demo, home) = demo(60, End::Home);
    assert!(demo.view(&home, Duration::ZERO).is_close_to(&home));
    assert!(
        demo.view(&home, Duration::from_secs(31))
            .is_close_to(&demo.place)
    );
    assert!(demo.view(&home, Duration::from_secs(60)).is_close_to(&home));
    assert!(!demo.is_over(Duration::from_secs(59)) && demo.is_over(Duration::from_secs(60)));
}

#[test]
fn a_short_flight_does_not_go_all_the_way() {
    let (demo, home) = demo(4, End::Home);
    let deepest = demo.view(&home, Duration::from_millis(2100));
    assert!(deepest.zoom > home.zoom + 6.0 && deepest.zoom < home.zoom + 9.0);
}

#[test]
fn a_flight_may_stay_where_it_goes() {
    let (demo, home) = demo(2, End::Place);
    assert!(
        demo.view(&home, Duration::from_secs(2))
            .is_close_to(&demo.place)
    );
}
