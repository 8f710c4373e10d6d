//! A contract whose values fail on their way where they are told to.

use std::fmt;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::stream;
use insula_core::{Isolate, SendPort};
use insula_rpc::{Context, Inbound, Respond, contract, serve, wire};
use insula_sync::Mutex;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// A value that is written and read, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trap {
    None,
    Write,
    PanicInWrite,
    Read,
    PanicInRead,
}

pub(crate) const TRAPS: [Trap; 4] = [
    Trap::Write,
    Trap::PanicInWrite,
    Trap::Read,
    Trap::PanicInRead,
];

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Serialize for Trap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Write => Err(ser::Error::custom("a trap")),
            Self::PanicInWrite => panic!("a trap"),
            other => serializer.serialize_u8(*other as u8),
        }
    }
}

impl<'de> Deserialize<'de> for Trap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let byte = u8::deserialize(deserializer)?;
        assert!(byte != Self::PanicInRead as u8, "a trap");
        if byte == Self::Read as u8 {
            return Err(de::Error::custom("a trap"));
        }
        Ok(Self::None)
    }
}

/// Which of the values of an answer is the trap. It is made by the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Set {
    pub(crate) number: u8,
}

impl Set {
    pub(crate) fn new(trap: Trap) -> Self {
        Self { number: trap as u8 }
    }

    fn trap(self) -> Trap {
        let all = [
            Trap::None,
            Trap::Write,
            Trap::PanicInWrite,
            Trap::Read,
            Trap::PanicInRead,
        ];
        all[usize::from(self.number)]
    }
}

#[contract(name = "hunt", version = 3, wire, crate = insula_rpc)]
pub(crate) trait Hunt {
    /// Takes a trap.
    async fn take(&self, cx: &Context, before: u8, trap: Trap) -> Result<u8, Trap>;
    /// Answers with a trap.
    async fn give(&self, cx: &Context, set: Set) -> Result<Trap, Trap>;
    /// Fails with a trap.
    async fn fail(&self, cx: &Context, set: Set) -> Result<Trap, Trap>;
    /// Gives an item, then a trap, and a second item.
    async fn stream(
        &self,
        cx: &Context,
        set: Set,
    ) -> Result<impl Stream<Item = Result<Trap, Trap>>, Trap>;
    /// Gives an item, and then fails with a trap.
    async fn break_off(
        &self,
        cx: &Context,
        set: Set,
    ) -> Result<impl Stream<Item = Result<u8, Trap>>, Trap>;
    /// Reads items to their end, and waits to be cancelled if they are aborted.
    async fn absorb(&self, cx: &Context, items: Inbound<Trap>) -> Result<u64, Trap>;
    /// Gives the items back.
    async fn exchange(
        &self,
        cx: &Context,
        items: Inbound<Trap>,
    ) -> Result<impl Stream<Item = Result<Trap, Trap>>, Trap>;
    /// Gives bytes back.
    #[idempotent]
    async fn mirror(&self, cx: &Context, bytes: Vec<u8>) -> Result<Vec<u8>, Trap>;
    /// Ends when it is cancelled.
    async fn wait(&self, cx: &Context) -> Result<(), Trap>;
    /// Panics.
    async fn panic(&self, cx: &Context, text: String) -> Result<(), Trap>;
}

/// Notes what its handlers do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hunter(Arc<Mutex<Vec<String>>>);

impl Hunter {
    fn note(&self, line: impl Into<String>) {
        self.0.lock().push(line.into());
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    /// Serves in an isolate.
    pub(crate) fn port(&self) -> SendPort<HuntRequest> {
        let service = self.clone();
        Isolate::spawn_with_port(|port| serve(port, HuntResponder::new(service)))
    }

    /// Serves behind a wire of messages of at most so many bytes.
    pub(crate) fn serve(&self, most: usize) -> HuntCaller {
        HuntCaller::over(wire::loopback(self.port()).most_bytes(most))
    }

    /// Waits until a line was noted.
    pub(crate) fn noted(&self, line: &str) {
        let start = std::time::Instant::now();
        while !self.notes().iter().any(|note| note == line) {
            assert!(start.elapsed().as_secs() < 20, "{line}: {:?}", self.notes());
            std::thread::yield_now();
        }
    }
}

impl Hunt for Hunter {
    async fn take(&self, _cx: &Context, before: u8, _trap: Trap) -> Result<u8, Trap> {
        self.note("take");
        Ok(before)
    }

    async fn give(&self, _cx: &Context, set: Set) -> Result<Trap, Trap> {
        Ok(set.trap())
    }

    async fn fail(&self, _cx: &Context, set: Set) -> Result<Trap, Trap> {
        Err(set.trap())
    }

    async fn stream(
        &self,
        _cx: &Context,
        set: Set,
    ) -> Result<impl Stream<Item = Result<Trap, Trap>>, Trap> {
        Ok(stream::iter([
            Ok(Trap::None),
            Ok(set.trap()),
            Ok(Trap::None),
        ]))
    }

    async fn break_off(
        &self,
        _cx: &Context,
        set: Set,
    ) -> Result<impl Stream<Item = Result<u8, Trap>>, Trap> {
        Ok(stream::iter([Ok(1), Err(set.trap())]))
    }

    async fn absorb(&self, cx: &Context, mut items: Inbound<Trap>) -> Result<u64, Trap> {
        self.note("absorb");
        let mut count = 0;
        while let Some(item) = items.next().await {
            match item {
                Ok(_) => count += 1,
                Err(aborted) => {
                    self.note(aborted.reason());
                    let cancelled = cx.cancelled().await;
                    self.note(format!("absorb: {cancelled}"));
                }
            }
        }
        Ok(count)
    }

    async fn exchange(
        &self,
        _cx: &Context,
        items: Inbound<Trap>,
    ) -> Result<impl Stream<Item = Result<Trap, Trap>>, Trap> {
        Ok(futures_util::StreamExt::map(items, |item| {
            item.map_err(|_aborted| Trap::None)
        }))
    }

    async fn mirror(&self, _cx: &Context, bytes: Vec<u8>) -> Result<Vec<u8>, Trap> {
        Ok(bytes)
    }

    async fn wait(&self, cx: &Context) -> Result<(), Trap> {
        self.note("waiting");
        let cancelled = cx.cancelled().await;
        self.note(cancelled.to_string());
        Ok(())
    }

    async fn panic(&self, _cx: &Context, text: String) -> Result<(), Trap> {
        panic!("{text}");
    }
}
