//! The stage of a case, seen from several processes.
//!
//! It is in the process of the case. A worker has a copy in which only the gates are kept up to date; what
//! its handlers note and count goes to the case, and the handler goes on once it is there.
//!
//! # Over the socket
//! A connection begins with the number of the stage. One of a handler then has, again and again, the length
//! of a note, the note, and a byte back; a note of one byte below 32 is a count. One that listens gets the
//! numbers of the gates as they open. Every number has eight bytes.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::{Arc, LazyLock, Weak};
use std::thread;

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicU64, Ordering};

use crate::local;

/// The variable that has the address of a stage.
pub(crate) const STAGE: &str = "CONFORMANCE_STAGE";

const MADE: &str = "\u{1}";
const ASKED: &str = "\u{2}";

/// The mark of a connection that listens, in the number of its stage.
const LISTENS: u64 = 1 << 63;

/// Shared by a case and the handlers of all its services. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Stage(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    number: u64,
    local: local::Stage,
    /// The connection to the process of the case, in a worker.
    remote: Option<Mutex<UnixStream>>,
    gates: Mutex<Gates>,
}

/// The open gates, and who listens to them.
#[derive(Debug, Default)]
struct Gates {
    open: Vec<u64>,
    listeners: Vec<UnixStream>,
}

/// The stages of this process.
static STAGES: Mutex<BTreeMap<u64, Weak<Shared>>> = Mutex::new(BTreeMap::new());

/// The name of the socket on which workers find the stages. It is in no directory.
static SOCKET: LazyLock<String> = LazyLock::new(|| {
    let name = format!("insula-conformance-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            // A worker that ends in the middle ends its connection.
            thread::spawn(move || serve(stream));
        }
    });
    name
});

impl Default for Stage {
    /// A new stage, or in a worker the one of its case.
    fn default() -> Self {
        match std::env::var(STAGE) {
            Ok(address) => Self::connect(&address).unwrap(),
            Err(_) => Self::create(),
        }
    }
}

impl Stage {
    fn create() -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let stage = Self::new(NUMBERS.fetch_add(1, Ordering::Relaxed), None);
        STAGES
            .lock()
            .insert(stage.0.number, Arc::downgrade(&stage.0));
        stage
    }

    fn new(number: u64, remote: Option<UnixStream>) -> Self {
        Self(Arc::new(Shared {
            number,
            local: local::Stage::default(),
            remote: remote.map(Mutex::new),
            gates: Mutex::default(),
        }))
    }

    /// Where workers find it.
    pub(crate) fn address(&self) -> String {
        format!("{} {}", *SOCKET, self.0.number)
    }

    fn connect(address: &str) -> io::Result<Self> {
        let (name, number) = address.split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        let address = SocketAddr::from_abstract_name(name)?;
        let open = |first: u64| {
            let mut stream = UnixStream::connect_addr(&address)?;
            stream.write_all(&first.to_le_bytes())?;
            io::Result::Ok(stream)
        };
        let stage = Self::new(number, Some(open(number)?));
        let (mut gates, local) = (open(number | LISTENS)?, stage.0.local.clone());
        thread::spawn(move || {
            while let Ok(gate) = number_from(&mut gates) {
                local.open(gate);
            }
        });
        Ok(stage)
    }

    /// Opens a gate for good.
    pub(crate) fn open(&self, gate: u64) {
        let mut gates = self.0.gates.lock();
        gates.open.push(gate);
        // One whose worker has ended is of no use any more.
        gates
            .listeners
            .retain_mut(|it| it.write_all(&gate.to_le_bytes()).is_ok());
        drop(gates);
        self.0.local.open(gate);
    }

    /// Waits until a gate is open.
    pub(crate) async fn opened(&self, gate: u64) {
        self.0.local.opened(gate).await;
    }

    pub(crate) fn note(&self, line: impl Into<String>) {
        let line = line.into();
        match &self.0.remote {
            // The case may have gone, and with it whoever could read this.
            Some(remote) => drop(tell(&mut remote.lock(), &line)),
            None => self.0.local.note(line),
        }
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.0.local.notes()
    }

    pub(crate) fn has_noted(&self, line: &str) -> bool {
        self.0.local.has_noted(line)
    }

    /// Waits until a note was taken.
    pub(crate) async fn noted(&self, line: &str) {
        self.0.local.noted(line).await;
    }

    pub(crate) async fn noted_times(&self, line: &str, times: usize) {
        self.0.local.noted_times(line, times).await;
    }

    /// A writer makes an item.
    pub(crate) fn make(&self) {
        match &self.0.remote {
            Some(_) => self.note(MADE),
            None => self.0.local.make(),
        }
    }

    /// A reader is about to ask for an item.
    pub(crate) fn ask(&self) {
        match &self.0.remote {
            Some(_) => self.note(ASKED),
            None => self.0.local.ask(),
        }
    }

    pub(crate) async fn made_times(&self, times: u64) {
        self.0.local.made_times(times).await;
    }

    /// The most items that were ever made and not asked for.
    pub(crate) fn lead(&self) -> u64 {
        self.0.local.lead()
    }
}

/// Sends a note, and waits until it was taken.
fn tell(stream: &mut UnixStream, note: &str) -> io::Result<()> {
    let mut message = (note.len() as u64).to_le_bytes().to_vec();
    message.extend_from_slice(note.as_bytes());
    stream.write_all(&message)?;
    stream.read_exact(&mut [0])
}

/// Serves a connection until its end.
fn serve(mut stream: UnixStream) -> io::Result<()> {
    let first = number_from(&mut stream)?;
    let stage = STAGES.lock().get(&(first & !LISTENS)).cloned();
    let Some(stage) = stage.and_then(|it| it.upgrade()).map(Stage) else {
        return Ok(());
    };
    if first & LISTENS != 0 {
        let mut gates = stage.0.gates.lock();
        for gate in &gates.open {
            stream.write_all(&gate.to_le_bytes())?;
        }
        gates.listeners.push(stream);
        return Ok(());
    }
    // The case may end before its workers.
    let stage = Arc::downgrade(&stage.0);
    loop {
        let mut note = vec![0; number_from(&mut stream)? as usize];
        stream.read_exact(&mut note)?;
        if let Some(stage) = stage.upgrade().map(Stage) {
            match String::from_utf8(note).unwrap().as_str() {
                MADE => stage.make(),
                ASKED => stage.ask(),
                note => stage.note(note),
            }
        }
        stream.write_all(&[0])?;
    }
}

fn number_from(stream: &mut UnixStream) -> io::Result<u64> {
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
