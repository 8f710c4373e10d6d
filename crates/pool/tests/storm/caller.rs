//! The clients of a storm: the calls that they make, and what they do with them.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all, poll_immediate};
use insula_core::{sleep, yield_now};
use insula_rpc::{
    Call, CallError, Method, Priority, ReplyStream, Sender, Share, StreamingCall, TrySendError,
    WorkType,
};

use crate::dice::Dice;
use crate::ledger::Ledger;
use crate::run::Kind;
use crate::service::{
    Ask, Deed, Id, Oops, StormAbsorbMethod, StormExchangeMethod, StormProduceMethod,
    StormRunMethod, Thing,
};

/// A client, which makes all its calls.
pub(crate) async fn client(ledger: Ledger, number: u64, mut dice: Dice) {
    let mut pins = [0; 3];
    for _ in 0..ledger.weather().rounds {
        let burst = 1 + dice.below(ledger.weather().burst);
        let calls: Vec<_> = (0..burst)
            .map(|_| one(&ledger, number, &mut pins, &mut dice))
            .collect();
        join_all(calls).await;
        if dice.percent(20) {
            sleep(Duration::from_micros(dice.below(2_000))).await;
        }
    }
}

/// The options of a call.
struct Options {
    id: Id,
    deadline: Option<Duration>,
    no_wait: bool,
    key: Option<u64>,
    priority: Priority,
    work: WorkType,
    name: Option<u64>,
    share: Option<Share>,
}

macro_rules! with {
    ($options:expr, $call:expr) => {{
        let (options, mut call) = (&$options, $call);
        if let Some(deadline) = options.deadline {
            call = call.deadline(deadline);
        }
        if options.no_wait {
            call = call.no_wait();
        }
        if let Some(key) = options.key {
            call = call.key(key);
        }
        if let Some(name) = options.name {
            call = call.idempotency_key(name.to_string());
        }
        if let Some(share) = options.share {
            call = call.share(share);
        }
        call.priority(options.priority).work(options.work)
    }};
}

/// Makes a call, as the dice say. A call that is pinned is started at once, so that the order of
/// the calls is that of their numbers.
fn one(
    ledger: &Ledger,
    client: u64,
    pins: &mut [u64; 3],
    dice: &mut Dice,
) -> BoxFuture<'static, ()> {
    let deadline = dice.percent(35).then(|| {
        let micros = dice.pick(&[0, 20, 300, 1_000, 5_000, 10_000_000]);
        Duration::from_micros(micros)
    });
    let key = dice.percent(25).then(|| dice.below(3));
    let pin = key.map(|key| {
        let number = &mut pins[key as usize];
        *number += 1;
        (client, key, *number)
    });
    let options = Options {
        id: ledger.enter(deadline.is_some()),
        deadline,
        no_wait: dice.percent(15),
        key,
        name: dice.percent(20).then(|| dice.below(3)),
        share: (dice.percent(50)).then(|| Share::of(client).weighted(1 + dice.below(3) as u32)),
        work: dice.pick(&WorkType::ALL),
        priority: dice.pick(&[Priority::Normal, Priority::High, Priority::Low]),
    };
    let ask = Ask {
        id: options.id,
        deeds: deeds(ledger, dice, 3),
        pin,
        thing: ledger.thing(0, weight(dice)),
    };
    let (ledger, id) = (ledger.clone(), options.id);
    let mut dice = dice.split();
    let caller = ledger.caller().clone();
    match dice.below(10) {
        0..=4 => {
            let call = with!(options, caller.run(ask));
            let call = begin(&ledger, call, pin.is_some(), &mut dice);
            run(ledger, id, call, dice).boxed()
        }
        5 | 6 => {
            let items = stream_deeds(&ledger, &mut dice);
            let call = with!(options, caller.produce(ask, items));
            let call = begin(&ledger, call, pin.is_some(), &mut dice);
            produce(ledger, id, call, dice).boxed()
        }
        7 | 8 => {
            let (read, after) = (dice.below(60), deeds(&ledger, &mut dice, 2));
            let call = with!(options, caller.absorb(ask, read, after));
            ledger.send();
            let (sender, call) = StreamingCall::<StormAbsorbMethod>::open(call);
            absorb(ledger, id, sender, call, dice).boxed()
        }
        _ => {
            let items = stream_deeds(&ledger, &mut dice);
            let call = with!(options, caller.exchange(ask, items));
            ledger.send();
            let (sender, call) = StreamingCall::<StormExchangeMethod>::open(call);
            exchange(ledger, id, sender, call, dice).boxed()
        }
    }
}

/// A call that was begun in one of several ways.
enum Begun<M: Method> {
    Call(Call<M>),
    /// No caller waits for it.
    Detached,
    Refused(CallError<M::Error, M::Request>),
    /// It is not made at all.
    Unmade,
}

fn begin<M: Method>(ledger: &Ledger, call: Call<M>, at_once: bool, dice: &mut Dice) -> Begun<M> {
    match dice.below(20) {
        0 if !at_once => Begun::Unmade,
        1 => {
            ledger.send();
            call.try_start().map_or_else(Begun::Refused, Begun::Call)
        }
        2 => {
            ledger.send();
            match call.detach() {
                Ok(()) => Begun::Detached,
                Err(refused) => Begun::Refused(refused),
            }
        }
        // The rest is started at once too: its first poll follows.
        _ => {
            ledger.send();
            Begun::Call(call.start())
        }
    }
}

async fn run(ledger: Ledger, id: Id, begun: Begun<StormRunMethod>, mut dice: Dice) {
    let Some(call) = taken(&ledger, id, begun) else {
        return;
    };
    if let Some(answer) = attend(&ledger, id, call, true, &mut dice).await {
        ledger.judge(id, &answer);
        if answer.is_ok_and(|thing| thing.number != id as u64) {
            ledger.wrong(format!("call {id} has the answer of another"));
        }
    }
}

/// The call, if there is one to wait for.
fn taken<M>(ledger: &Ledger, id: Id, begun: Begun<M>) -> Option<Call<M>>
where
    M: Method<Error = Oops>,
    M::Request: std::fmt::Debug,
    M::Response: std::fmt::Debug,
{
    match begun {
        Begun::Call(call) => return Some(call),
        Begun::Detached => ledger.gone(),
        Begun::Refused(error) => ledger.judge::<(), _>(id, &Err(error)),
        Begun::Unmade => {}
    }
    None
}

/// Waits for a call, or does something else with it. `None` if there is nothing more to be told.
///
/// With `may_ask` it may ask for a receipt, which is not for an answer that is a stream.
async fn attend<M>(
    ledger: &Ledger,
    id: Id,
    mut call: Call<M>,
    may_ask: bool,
    dice: &mut Dice,
) -> Option<Result<M::Response, CallError<Oops, M::Request>>>
where
    M: Method<Error = Oops>,
    M::Request: std::fmt::Debug,
{
    let answer = match dice.below(12) {
        // Dropped without a look, or after some.
        0 => None,
        1 | 2 => {
            for _ in 0..dice.below(6) {
                if let Some(answer) = poll_immediate(&mut call).await {
                    return Some(answer);
                }
                yield_now().await;
            }
            None
        }
        3 => {
            let time = Duration::from_micros(dice.below(3_000));
            let waited = futures_util::future::select(&mut call, Box::pin(sleep(time))).await;
            match waited {
                futures_util::future::Either::Left((answer, _)) => Some(answer),
                futures_util::future::Either::Right(_) => None,
            }
        }
        4 if may_ask => {
            if dice.percent(50) {
                sleep(Duration::from_micros(dice.below(3_000))).await;
            }
            ledger.judge_receipt(id, call.cancel_and_wait().await);
            return None;
        }
        // Not looked at for a while.
        5 => {
            sleep(Duration::from_micros(dice.below(10_000))).await;
            Some(call.await)
        }
        6 => {
            let detailed = call.detailed().await;
            return Some(detailed.map(|detailed| detailed.value));
        }
        _ => Some(call.await),
    };
    if answer.is_none() {
        ledger.gone();
    }
    answer
}

async fn produce(ledger: Ledger, id: Id, begun: Begun<StormProduceMethod>, mut dice: Dice) {
    let Some(call) = taken(&ledger, id, begun) else {
        return;
    };
    if let Some(answer) = attend(&ledger, id, call, false, &mut dice).await {
        ledger.judge_open(id, &answer);
        if let Ok(items) = answer {
            read(&ledger, id, items, &mut dice).await;
        }
    }
}

/// Reads a stream, to its end or not.
async fn read(ledger: &Ledger, id: Id, mut items: ReplyStream<Thing, Oops>, dice: &mut Dice) {
    let most = match dice.below(4) {
        0 => dice.below(50),
        _ => u64::MAX,
    };
    let is_slow = dice.percent(20);
    for expected in 0..most {
        match items.next().await {
            Some(Ok(thing)) if thing.number == expected => {}
            Some(Ok(thing)) => {
                ledger.wrong(format!(
                    "call {id}: item {} in place of {expected}",
                    thing.number
                ));
            }
            end => {
                let error = end.and_then(Result::err);
                ledger.judge_end(id, error);
                if items.next().await.is_some() {
                    ledger.wrong(format!("call {id}: something after the end"));
                }
                return;
            }
        }
        if is_slow {
            sleep(Duration::from_micros(dice.below(300))).await;
        }
    }
    if dice.percent(20) {
        sleep(Duration::from_micros(dice.below(5_000))).await;
    }
    // It may have ended by itself.
    ledger.gone();
}

async fn absorb(
    ledger: Ledger,
    id: Id,
    sender: Sender<Thing>,
    call: Call<StormAbsorbMethod>,
    mut dice: Dice,
) {
    let sending = send(ledger.clone(), sender, dice.split());
    let waiting = async {
        if let Some(answer) = attend(&ledger, id, call, true, &mut dice).await {
            ledger.judge(id, &answer);
        }
    };
    futures_util::future::join(sending, waiting).await;
}

async fn exchange(
    ledger: Ledger,
    id: Id,
    sender: Sender<Thing>,
    call: Call<StormExchangeMethod>,
    mut dice: Dice,
) {
    let sending = send(ledger.clone(), sender, dice.split());
    let waiting = async {
        if let Some(answer) = attend(&ledger, id, call, false, &mut dice).await {
            ledger.judge_open(id, &answer);
            if let Ok(items) = answer {
                read(&ledger, id, items, &mut dice).await;
            }
        }
    };
    futures_util::future::join(sending, waiting).await;
}

/// Sends items until they or their reader end. What is sent can wait for a handler that never
/// reads, so the sender gives up at last.
async fn send(ledger: Ledger, mut sender: Sender<Thing>, mut dice: Dice) {
    for number in 0..dice.below(80) {
        let thing = ledger.thing(number, weight(&mut dice));
        let sent = match dice.below(6) {
            0 => match sender.try_send(thing) {
                Err(TrySendError::Full(thing)) => sender.send(thing).await.is_ok(),
                other => other.is_ok(),
            },
            1 => match sender.reserve().await {
                Ok(permit) => permit.send(thing).is_ok(),
                Err(_) => false,
            },
            _ => sender.send(thing).await.is_ok(),
        };
        if !sent {
            return;
        }
        if dice.percent(5) {
            yield_now().await;
        }
    }
    match dice.below(4) {
        0 => drop(sender),
        1 => sender.abort("enough"),
        _ => sender.finish(),
    }
}

fn weight(dice: &mut Dice) -> u64 {
    dice.pick(&[0, 8, 8, 8, 1_000, 1 << 20, 3 << 20, 5 << 20])
}

/// Up to so many deeds, most of them harmless.
fn deeds(ledger: &Ledger, dice: &mut Dice, most: u64) -> Vec<Deed> {
    (0..dice.below(most + 1))
        .map(|_| deed(ledger, dice))
        .collect()
}

fn stream_deeds(ledger: &Ledger, dice: &mut Dice) -> Vec<Deed> {
    let items = dice.pick(&[0, 1, 5, 20, 40, 120]);
    let wild = 1 + items / 3;
    (0..items)
        .map(|_| match dice.below(wild) {
            0 => deed(ledger, dice),
            _ => Deed::Nothing,
        })
        .collect()
}

fn deed(ledger: &Ledger, dice: &mut Dice) -> Deed {
    let weather = ledger.weather();
    let short = Duration::from_micros(dice.below(1_500));
    match dice.below(80) {
        0..=9 => Deed::Yield(dice.below(4)),
        10..=19 => Deed::Sleep(short),
        20 if !weather.is_calm => Deed::UntilCancelled,
        21 if !weather.is_calm => Deed::Hang,
        22..=24 => Deed::Checkpoint,
        25..=27 => Deed::Spawn(short),
        28..=31 => {
            let deed = dice.pick(&[Deed::Nothing, Deed::Yield(2), Deed::Hang, Deed::Fail]);
            Deed::Nested(Box::new(deed), short)
        }
        32 | 33 if weather.kind == Kind::Threads => Deed::Blocking(short),
        34..=36 if weather.kind == Kind::Threads => Deed::Compute(short),
        37 if weather.kind == Kind::Threads && dice.percent(3) => {
            // Longer than a shutdown waits.
            Deed::Compute(Duration::from_millis(250))
        }
        38 | 39 => Deed::Trail,
        40 | 41 => Deed::Progress,
        42..=44 => Deed::Fail,
        45..=47 if weather.has_panics => Deed::Panic,
        48 if weather.is_deadly => Deed::Exit,
        49 if weather.is_deadly => Deed::Kill,
        _ => Deed::Nothing,
    }
}
