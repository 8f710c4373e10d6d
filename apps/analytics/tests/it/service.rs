//! Risk: a report that depends on the number of workers, copies its table, or hides an error; a
//! stream that runs ahead of its reader.

use std::cell::Cell;
use std::sync::Arc;

use analytics::{
    Algorithm, AnalyticsCaller, AnalyticsError, DataPoint, LearnRequest, Part, Processing,
    RealtimeConfig, Report, Settings, Split, Table, analyze, calls, features, start_pool,
};
use futures_util::future::join;
use insula::rpc::TrySendError;
use insula::{CallError, block_on};

use crate::support::{sample, table};

fn settings(table: &Table, target: &str) -> Settings {
    Settings {
        target: table.column(target).unwrap(),
        trees: 25,
        ..Settings::default()
    }
}

fn report(table: &Arc<Table>, settings: &Settings, workers: usize) -> Report {
    block_on(async {
        let pool = start_pool(workers).await.unwrap();
        let answers = Cell::new(0);
        let answered = || answers.set(answers.get() + 1);
        let report = analyze(&pool, table, settings, &answered).await.unwrap();
        // Those that say why a part is not possible are answers too.
        if report.learning.get().is_some() {
            assert_eq!(answers.get(), calls(table, settings));
        }
        report
    })
}

#[test]
fn the_number_of_workers_changes_nothing_and_nothing_is_copied() {
    let table = Arc::new(table(&sample("weather/seattle.csv")));
    let settings = settings(&table, "temp_max");
    let [one, four] = [1, 4].map(|workers| {
        let mut report = report(&table, &settings, workers);
        let processing = std::mem::take(&mut report.processing);
        // Four columns twice, the correlations, the regression, 25 trees by ten, five clusterings.
        assert_eq!(processing.calls, 8 + 1 + 1 + 3 + 5);
        assert_eq!(calls(&table, &settings), processing.calls);
        assert_eq!(processing.calls_of_workers.len(), workers);
        assert_eq!(processing.bytes_copied, 0);
        report.generated_at.clear();
        report
    });
    assert_eq!(one.processing, Processing::default());
    assert!(one == four, "the reports differ");
    let learning = one.learning.get().unwrap();
    assert_eq!((learning.train_rows, learning.test_rows), (1_096, 365));
    let [linear, forest] = [
        learning.linear.get().unwrap().test.unwrap(),
        learning.forest.get().unwrap().test.unwrap(),
    ];
    let baseline = learning.baseline.unwrap();
    assert!(
        linear.r2 > 0.8 && forest.r2 > 0.85 && baseline.r2 < 0.01,
        "{linear:?} {forest:?}"
    );
    assert_eq!(learning.forest.get().unwrap().trees, 25);
    assert_eq!(
        one.times,
        Some(("2012-01-01".to_owned(), "2015-12-31".to_owned()))
    );
}

#[test]
fn what_is_not_possible_has_a_reason_and_the_rest_is_there() {
    let text = "a,b\n".to_owned() + &"1,\n2,\n3,5\n".repeat(3);
    let table = Arc::new(Table::read(text.as_bytes(), b',', None).unwrap());
    let found = report(&table, &settings(&table, "b"), 2);
    let reasons: Vec<_> = found
        .columns
        .iter()
        .map(|column| column.series.get().is_some())
        .collect();
    assert_eq!(reasons, [true, false]);
    assert!(found.columns[1].statistics.is_some());
    match found.learning {
        Part::Unknown { reason } => assert!(reason.contains("there are 3 and 1"), "{reason}"),
        Part::Known(learning) => panic!("{learning:?}"),
    }
}

#[test]
fn a_report_without_a_test_has_no_scores() {
    let table = Arc::new(table(&sample("weather/seattle.csv")));
    let settings = Settings {
        test_share: 0.0,
        trees: 1,
        clusters: 2,
        ..settings(&table, "wind")
    };
    let found = report(&table, &settings, 2);
    let learning = found.learning.get().unwrap();
    assert_eq!((learning.test_rows, learning.baseline), (0, None));
    assert!(learning.forest.get().unwrap().test.is_none());
    serde_json::to_string(&found).unwrap();
}

#[test]
fn an_error_of_a_worker_is_about_the_data() {
    let table = table(&sample("weather/seattle.csv"));
    let features = Arc::new(features(&table, 0).unwrap());
    block_on(async {
        let pool = start_pool(1).await.unwrap();
        let caller: AnalyticsCaller = pool.caller();
        let request = LearnRequest {
            split: Arc::new(Split::draw(features.rows(), 0.0, 0)),
            features,
            algorithm: Algorithm::Clustering {
                clusters: 1,
                seed: 0,
            },
        };
        let error = caller.learn(request).await.unwrap_err();
        assert!(
            matches!(error, CallError::App(AnalyticsError::Learn(_))),
            "{error}"
        );
    });
}

fn point(time: u32) -> DataPoint {
    DataPoint {
        time: time.into(),
        value: 1.0,
    }
}

#[test]
fn each_point_is_answered_in_its_order() {
    block_on(async {
        let pool = start_pool(1).await.unwrap();
        let caller: AnalyticsCaller = pool.caller();
        let (mut sender, call) = caller.realtime(RealtimeConfig::default()).open();
        let send = async {
            for time in 0..10_000 {
                sender.send(point(time)).await.unwrap();
            }
            sender.finish();
        };
        let read = async {
            let mut answers = call.await.unwrap();
            let mut times = Vec::new();
            while let Some(analysis) = answers.next().await {
                times.push(analysis.unwrap().time as u32);
            }
            times
        };
        let ((), times) = join(send, read).await;
        assert!(times.into_iter().eq(0..10_000));
    });
}

#[test]
fn a_source_waits_for_the_reader_of_the_answers() {
    block_on(async {
        let pool = start_pool(1).await.unwrap();
        let caller: AnalyticsCaller = pool.caller();
        let (mut sender, call) = caller.realtime(RealtimeConfig::default()).open();
        let mut answers = call.await.unwrap();
        // Until both streams are full: nothing reads the answers.
        let mut sent = 0;
        let mut refused = 0;
        while refused < 1_000 {
            match sender.try_send(point(sent)) {
                Ok(()) => (sent, refused) = (sent + 1, 0),
                Err(TrySendError::Full(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
            std::thread::yield_now();
        }
        assert!(
            (32..1_000).contains(&sent),
            "{sent} points are on their way"
        );
        // Each answer that is read makes room for a point.
        for _ in 0..sent {
            answers.next().await.unwrap().unwrap();
        }
        sender.send(point(sent)).await.unwrap();
        sender.finish();
        assert!(answers.next().await.unwrap().is_ok());
        assert!(answers.next().await.is_none());
    });
}

#[test]
fn points_that_stop_coming_are_no_end() {
    block_on(async {
        let pool = start_pool(1).await.unwrap();
        let caller: AnalyticsCaller = pool.caller();
        let (mut sender, call) = caller.realtime(RealtimeConfig::default()).open();
        let mut answers = call.await.unwrap();
        sender.send(point(0)).await.unwrap();
        assert!(answers.next().await.unwrap().is_ok());
        drop(sender);
        let error = answers.next().await.unwrap().unwrap_err();
        assert!(
            matches!(error, CallError::App(AnalyticsError::Incomplete(_))),
            "{error}"
        );
    });
}
