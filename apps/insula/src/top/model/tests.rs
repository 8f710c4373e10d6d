//! The keys and the looks, without a terminal and without a program.

use insula_inspect::model::{
    Event, Isolate, IsolateDetail, Isolates, Pool, PoolDetail, Sample, Wait, Waits,
};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::order::{Order, Verb};

fn isolate(number: u64, name: &str) -> Isolate {
    Isolate {
        id: format!("isolates/{number}"),
        name: name.to_owned(),
        turns_total: 100 - number,
        ..Isolate::default()
    }
}

fn isolates(rows: Vec<Isolate>) -> Look {
    Look {
        isolates: Some(Isolates {
            total: rows.len() as u64,
            matched: rows.len() as u64,
            isolates: rows,
            ..Isolates::default()
        }),
        ..controlled()
    }
}

fn pool(number: u64, workers: u64) -> Pool {
    Pool {
        id: format!("pools/{number}"),
        name: format!("pool {number}"),
        workers,
        ..Pool::default()
    }
}

/// A look at a program that allows control.
fn controlled() -> Look {
    let mut look = Look::default();
    look.vm.can_control = true;
    look
}

fn at(at_ms: u64) -> Look {
    let mut look = controlled();
    look.vm.now = Sample {
        at_ms,
        ..Sample::default()
    };
    look
}

fn events(numbers: std::ops::RangeInclusive<u64>) -> Look {
    let mut look = controlled();
    look.events.events = numbers
        .map(|number| Event {
            number,
            subject: format!("isolates/{number}"),
            ..Event::default()
        })
        .collect();
    look
}

fn press(model: &mut Model, keys: &str) -> Action {
    let mut action = Action::None;
    for key in keys.chars() {
        action = model.on_key(match key {
            '\n' => KeyEvent::from(KeyCode::Enter),
            '\u{1b}' => KeyEvent::from(KeyCode::Esc),
            '\u{8}' => KeyEvent::from(KeyCode::Backspace),
            '\t' => KeyEvent::from(KeyCode::Tab),
            '↓' => KeyEvent::from(KeyCode::Down),
            '↑' => KeyEvent::from(KeyCode::Up),
            '→' => KeyEvent::from(KeyCode::Right),
            '←' => KeyEvent::from(KeyCode::Left),
            '$' => KeyEvent::from(KeyCode::End),
            '^' => KeyEvent::from(KeyCode::Home),
            key => KeyEvent::from(KeyCode::Char(key)),
        });
    }
    action
}

fn live(look: Look) -> Model {
    let mut model = Model::new(Source::Live);
    model.on_look(look);
    model
}

fn selected(model: &Model) -> String {
    let rows = model.table().rows;
    rows[model.cursor().index].key.clone()
}

#[test]
fn digits_and_tabs_choose_the_screen_and_what_is_asked_for() {
    let mut model = live(controlled());
    for (index, screen) in Screen::ALL.into_iter().enumerate() {
        let digit = char::from_digit(index as u32 + 1, 10).unwrap();
        assert_eq!(press(&mut model, &digit.to_string()), Action::Refresh);
        assert_eq!(model.screen, screen);
    }
    press(&mut model, "\t");
    assert_eq!(model.screen, Screen::Overview);
    model.on_key(KeyEvent::from(KeyCode::BackTab));
    assert_eq!(model.screen, Screen::Log);
    assert_eq!(model.wanted().parts, []);
    press(&mut model, "5");
    assert_eq!(model.wanted().parts, [Part::Waits]);
}

#[test]
fn q_and_control_c_quit_in_every_mode() {
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    for keys in ["", "?", "2/", "2k"] {
        let mut model = live(isolates(vec![isolate(1, "main")]));
        press(&mut model, keys);
        assert_eq!(model.on_key(control_c), Action::Quit, "{keys}");
    }
    assert_eq!(press(&mut live(controlled()), "q"), Action::Quit);
    assert_eq!(press(&mut live(controlled()), "?q"), Action::Quit);
}

#[test]
fn the_cursor_follows_its_isolate() {
    let rows = || vec![isolate(1, "a"), isolate(2, "b"), isolate(3, "c")];
    let mut model = live(isolates(rows()));
    press(&mut model, "2");
    model.on_look(isolates(rows()));
    press(&mut model, "↓");
    assert_eq!(selected(&model), "isolates/2");
    // Another comes before it, and one behind it ends.
    model.on_look(isolates(vec![
        isolate(0, "new"),
        isolate(1, "a"),
        isolate(2, "b"),
    ]));
    assert_eq!(selected(&model), "isolates/2");
    // It ends, and its place stays.
    model.on_look(isolates(vec![isolate(0, "new")]));
    assert_eq!(selected(&model), "isolates/0");
    model.on_look(isolates(Vec::new()));
    press(&mut model, "↓↓↑$^");
    assert_eq!(model.cursor().index, 0);
    model.on_look(isolates(rows()));
    press(&mut model, "$");
    assert_eq!(selected(&model), "isolates/3");
}

#[test]
fn isolates_are_sorted_reversed_and_filtered() {
    let mut model = live(controlled());
    press(&mut model, "2");
    model.on_look(isolates(vec![
        isolate(10, "beta"),
        isolate(9, "alpha"),
        isolate(11, "Alpine"),
    ]));
    let ids = |model: &Model| -> Vec<String> {
        let rows = model.sorted_isolates();
        rows.iter()
            .map(|it| it.id.replace("isolates/", ""))
            .collect()
    };
    assert_eq!(ids(&model), ["9", "10", "11"]);
    assert_eq!(press(&mut model, "r"), Action::Refresh);
    assert_eq!(model.wanted().sort, "-id");
    assert_eq!(ids(&model), ["11", "10", "9"]);
    press(&mut model, "<");
    assert_eq!(model.wanted().sort, "name");
    assert_eq!(ids(&model), ["11", "9", "10"]);
    press(&mut model, "/alp");
    assert_eq!(model.wanted().filter, "alp");
    assert_eq!(ids(&model), ["11", "9"]);
    press(&mut model, "\u{8}\u{8}\u{8}\u{8}q\n");
    assert_eq!(model.wanted().filter, "q");
    assert_eq!(ids(&model), [""; 0]);
    // Esc in the input undoes it, and outside shows all.
    press(&mut model, "/x\u{1b}");
    assert_eq!(model.wanted().filter, "q");
    press(&mut model, "\u{1b}");
    assert_eq!(ids(&model).len(), 3);
    press(&mut model, &format!("/{}", "y".repeat(500)));
    assert_eq!(model.filter.len(), 100);
}

#[test]
fn what_cannot_be_taken_back_is_done_after_a_question_only() {
    let mut model = live(controlled());
    press(&mut model, "2");
    model.on_look(isolates(vec![isolate(7, "main")]));
    assert_eq!(press(&mut model, "k"), Action::None);
    match &model.mode {
        Mode::Question { text, .. } => assert_eq!(text, "kill main (isolates/7)?"),
        mode => panic!("{mode:?}"),
    }
    // A slip is no answer, and no is one.
    assert_eq!(press(&mut model, "x2k"), Action::None);
    assert_eq!(press(&mut model, "n"), Action::None);
    assert_eq!(model.mode, Mode::Browse);
    assert_eq!(press(&mut model, "y"), Action::None);
    let order = |verb, id: &str| {
        Action::Carry(Order {
            verb,
            id: id.to_owned(),
        })
    };
    assert_eq!(press(&mut model, "ky"), order(Verb::Kill, "isolates/7"));
    assert_eq!(press(&mut model, "py"), order(Verb::Pause, "isolates/7"));
    assert_eq!(press(&mut model, "u"), order(Verb::Resume, "isolates/7"));
    let mut look = controlled();
    look.pools = Some(vec![pool(3, 4)]);
    press(&mut model, "3");
    model.on_look(look);
    assert_eq!(press(&mut model, "dy"), order(Verb::Drain, "pools/3"));
    assert_eq!(press(&mut model, "Ry"), order(Verb::Recycle, "pools/3"));
    let resize = |workers| order(Verb::Resize { workers }, "pools/3");
    assert_eq!(press(&mut model, "+y"), resize(5));
    assert_eq!(press(&mut model, "-y"), resize(3));
}

#[test]
fn the_question_names_what_it_would_act_on_even_if_the_rows_change() {
    let mut model = live(controlled());
    press(&mut model, "2");
    model.on_look(isolates(vec![isolate(7, "main")]));
    press(&mut model, "k");
    model.on_look(isolates(vec![isolate(8, "other")]));
    match press(&mut model, "y") {
        Action::Carry(order) => assert_eq!(order.id, "isolates/7"),
        action => panic!("{action:?}"),
    }
}

#[test]
fn orders_without_a_subject_or_the_right_say_why() {
    let mut model = live(controlled());
    let mut notice = |keys: &str| {
        press(&mut model, keys);
        model.notice.clone().unwrap_or_default()
    };
    assert!(notice("2k").contains("select an isolate"));
    assert!(notice("3d").contains("select a pool"));
    assert!(notice("7\n").contains("no details"));
    assert!(notice("3s").contains("screen, 2"));
    let mut look = controlled();
    look.pools = Some(vec![pool(1, 1)]);
    press(&mut model, "3");
    model.on_look(look);
    press(&mut model, "-");
    assert_eq!(
        model.notice.as_deref(),
        Some("a pool keeps at least one worker")
    );
    press(&mut model, "k");
    assert!(model.notice.clone().unwrap().contains("select an isolate"));
    // Without control.
    model.on_look(Look::default());
    press(&mut model, "d");
    assert!(
        model
            .notice
            .clone()
            .unwrap()
            .contains("start the program with control")
    );
    assert_eq!(model.mode, Mode::Browse);
    model.on_lost("it has gone");
    press(&mut model, "d");
    assert_eq!(model.notice.as_deref(), Some("the connection has ended"));
}

#[test]
fn details_are_asked_for_and_those_of_another_are_not_taken() {
    let mut model = live(controlled());
    press(&mut model, "2");
    model.on_look(isolates(vec![isolate(7, "main"), isolate(8, "other")]));
    assert_eq!(press(&mut model, "\n"), Action::Refresh);
    let subject = Subject::Isolate("isolates/7".to_owned());
    assert_eq!(model.wanted().opened, Some(subject));
    let detail = |number| Look {
        isolate: Some(IsolateDetail {
            isolate: isolate(number, "x"),
            ..IsolateDetail::default()
        }),
        ..controlled()
    };
    model.on_look(detail(8));
    assert_eq!(model.opened.as_ref().unwrap().isolate, None);
    model.on_look(detail(7));
    assert!(model.opened.as_ref().unwrap().isolate.is_some());
    let gone = Look {
        is_gone: true,
        ..controlled()
    };
    model.on_look(gone);
    // What was known of it stays.
    let opened = model.opened.clone().unwrap();
    assert!(opened.is_gone && opened.isolate.is_some());
    press(&mut model, "\u{1b}");
    assert_eq!(model.opened, None);
}

#[test]
fn waits_and_events_lead_to_their_isolates() {
    let mut model = live(events(1..=3));
    press(&mut model, "7");
    assert_eq!(press(&mut model, "\n"), Action::Refresh);
    let subject = Subject::Isolate("isolates/3".to_owned());
    assert_eq!(model.wanted().opened, Some(subject));
    press(&mut model, "5");
    let mut look = controlled();
    let mut wait = Wait::default();
    wait.waiter.id = "isolates/4".to_owned();
    look.waits = Some(Waits {
        waits: vec![wait],
        ..Waits::default()
    });
    model.on_look(look);
    press(&mut model, "\n");
    let subject = Subject::Isolate("isolates/4".to_owned());
    assert_eq!(model.wanted().opened, Some(subject));
}

#[test]
fn the_log_follows_its_end_until_the_cursor_leaves_it() {
    let mut model = live(events(1..=3));
    press(&mut model, "7");
    assert_eq!(selected(&model), "3");
    model.on_look(events(3..=5));
    assert_eq!(model.log.len(), 5);
    assert_eq!(selected(&model), "5");
    press(&mut model, "↑");
    model.on_look(events(6..=9));
    assert_eq!(selected(&model), "4");
    press(&mut model, "$");
    model.on_look(events(10..=10));
    assert_eq!(selected(&model), "10");
    assert_eq!(model.wanted().since, 10);
}

#[test]
fn samples_and_events_are_bounded() {
    let mut model = live(at(1));
    for at_ms in 2..2_000 {
        model.on_look(at(at_ms));
        // An answer twice is one sample.
        model.on_look(at(at_ms));
    }
    assert_eq!(model.samples.len(), MAX_SAMPLES);
    assert_eq!(model.samples.back().unwrap().at_ms, 1_999);
    for thousand in 0..10 {
        model.on_look(events(thousand * 1_000 + 1..=thousand * 1_000 + 1_000));
    }
    assert_eq!(model.log.len(), MAX_LOG);
    assert_eq!(model.log.back().unwrap().number, 10_000);
}

#[test]
fn a_frozen_screen_is_asked_for_nothing_but_what_the_user_chooses() {
    let mut model = live(controlled());
    assert_eq!(press(&mut model, " "), Action::None);
    assert!(model.is_frozen);
    assert_eq!(press(&mut model, "3"), Action::Refresh);
    assert_eq!(press(&mut model, " "), Action::Refresh);
    assert!(!model.is_frozen);
}

#[test]
fn a_lost_connection_keeps_the_screen_and_ends_the_question() {
    let mut model = live(controlled());
    press(&mut model, "2");
    model.on_look(isolates(vec![isolate(7, "main")]));
    press(&mut model, "k");
    model.on_lost("the connection has ended");
    assert_eq!(press(&mut model, "y"), Action::None);
    assert!(!model.is_live());
    assert_eq!(selected(&model), "isolates/7");
    assert_eq!(press(&mut model, "q"), Action::Quit);
}

fn record() -> (Model, Vec<Look>) {
    let looks: Vec<_> = (1..=3)
        .map(|number| {
            let mut look = events(number..=number);
            look.vm.now.at_ms = number * 1_000;
            look.isolates = Some(Isolates {
                isolates: vec![isolate(number, "main")],
                ..Isolates::default()
            });
            look.pools = Some(vec![pool(1, number)]);
            look.pool_details = Some(vec![PoolDetail {
                pool: pool(1, number),
                ..PoolDetail::default()
            }]);
            look
        })
        .collect();
    let mut model = Model::new(Source::Record {
        at: 0,
        looks: looks.len(),
        is_playing: false,
    });
    model.show(&looks, 0);
    (model, looks)
}

#[test]
fn a_record_is_stepped_through_in_both_directions() {
    let (mut model, looks) = record();
    for (keys, place) in [("→", 1), ("→", 2), ("→", 2), ("←", 1), ("←", 0), ("←", 0)] {
        let action = press(&mut model, keys);
        assert_eq!(action, Action::Show(place));
        model.show(&looks, place);
        // No sample and no event of the future.
        assert_eq!(model.samples.len(), place + 1);
        assert_eq!(model.log.len(), place + 1);
    }
}

#[test]
fn a_record_plays_to_its_end_and_then_from_its_start() {
    let (mut model, looks) = record();
    assert_eq!(model.on_tick(), Action::None);
    press(&mut model, " ");
    for place in [1, 2] {
        assert_eq!(model.on_tick(), Action::Show(place));
        model.show(&looks, place);
    }
    assert_eq!(model.on_tick(), Action::None);
    assert_eq!(press(&mut model, " "), Action::Show(0));
    model.show(&looks, 0);
    assert_eq!(model.on_tick(), Action::Show(1));
    press(&mut model, "←");
    assert_eq!(model.on_tick(), Action::None);
}

#[test]
fn a_record_has_the_details_of_pools_and_takes_no_orders() {
    let (mut model, looks) = record();
    press(&mut model, "3");
    assert_eq!(press(&mut model, "\n"), Action::Show(0));
    model.show(&looks, 0);
    let opened = model.opened.clone().unwrap();
    assert_eq!(opened.pool.unwrap().pool.workers, 1);
    press(&mut model, "d");
    assert!(model.notice.clone().unwrap().contains("only be looked at"));
    press(&mut model, "2\n");
    model.show(&looks, 0);
    let opened = model.opened.clone().unwrap();
    assert_eq!(opened.isolate.unwrap().isolate.id, "isolates/1");
    // It is not there in the next look.
    model.show(&looks, 1);
    assert!(model.opened.clone().unwrap().is_gone);
    model.show(&looks, 99);
}

#[test]
fn no_keys_in_any_order_are_a_panic() {
    let keys: Vec<char> = "1234567\t\n\u{1b}\u{8}↓↑→←$^ ?/srkpudR+-yn<>gGhx€"
        .chars()
        .collect();
    let mut state = 88_172_645_463_325_252_u64;
    for source in [
        Source::Live,
        Source::Record {
            at: 0,
            looks: 3,
            is_playing: true,
        },
    ] {
        let looks = record().1;
        let mut model = Model::new(source);
        for step in 0..5_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let key = keys[(state % keys.len() as u64) as usize];
            if let Action::Show(at) = press(&mut model, &key.to_string()) {
                model.show(&looks, at);
            }
            match step % 50 {
                10 => model.on_look(isolates(vec![isolate(state % 5, "a")])),
                20 => model.on_look(looks[(state % 3) as usize].clone()),
                30 => model.on_page((state % 40) as usize),
                40 => model.on_scroll((state % 7) as usize),
                _ => {}
            }
        }
    }
}
