//! Many connections that each wait for their bytes to come back.
//!
//! The clients are a separate process, the same for every server: one thread over `mio`, with one
//! message of 64 bytes in transit per connection. So the server has its own limit of descriptors,
//! and its CPU time is its own.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::case::Sample;
use crate::measure::process_cpu;

/// Bytes of a message.
const MESSAGE: usize = 64;

/// The descriptors that a process needs besides those of its connections.
const OTHERS: u64 = 500;

/// A server that returns what it receives.
pub(crate) trait Server: Copy + 'static {
    /// Listens at a free port of this machine while `drive` runs.
    fn serve<R>(self, drive: impl FnOnce(SocketAddr) -> R) -> R;
}

/// Returns how many connections this process may have: raises its limit of descriptors if that is
/// needed and possible.
pub(crate) fn connections(wanted: u64) -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let needed = wanted + OTHERS;
    let most = limit.maximum.unwrap_or(u64::MAX);
    let now = limit.current.unwrap_or(u64::MAX);
    if now >= needed {
        return wanted;
    }
    let raised = Rlimit {
        current: Some(needed.min(most)),
        maximum: limit.maximum,
    };
    let granted = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => needed.min(most),
        Err(_) => now,
    };
    granted.saturating_sub(OTHERS)
}

/// Returns the thousands of messages there and back per second, and the server's CPU time for each
/// in microseconds.
pub(crate) fn round_trips<S: Server>(server: S, connections: u64, rounds: u64) -> Sample {
    server.serve(|address| {
        let mut clients = Command::new(env::current_exe().expect("this program"))
            .arg("--echo-clients")
            .arg(format!("{address},{connections},{rounds}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the clients start");
        let mut output = BufReader::new(clients.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("the clients are ready");
        assert_eq!(line.trim(), "connected");
        // Only now: to accept the connections costs the server time as well.
        let before = process_cpu();
        let mut input = clients.stdin.take().expect("it is piped");
        input.write_all(b"go\n").expect("the clients listen");
        line.clear();
        output.read_line(&mut line).expect("the clients are done");
        let cpu = process_cpu() - before;
        assert!(clients.wait().expect("the clients end").success());
        let seconds: f64 = line.trim().parse().expect("the clients print seconds");
        let messages = (connections * rounds) as f64;
        Sample::from([messages / seconds / 1e3, cpu.as_secs_f64() * 1e6 / messages])
    })
}

/// Runs the clients' process. `what` is address, connections, rounds.
///
/// # Errors
/// If a connection fails, or returns other bytes.
pub(crate) fn clients(what: &str) -> io::Result<()> {
    let wrong = || io::Error::other("address, connections, rounds");
    let mut parts = what.split(',');
    let mut next = || parts.next().ok_or_else(wrong);
    let address: SocketAddr = next()?.parse().map_err(io::Error::other)?;
    let count: u64 = next()?.parse().map_err(io::Error::other)?;
    let rounds: u64 = next()?.parse().map_err(io::Error::other)?;
    if connections(count) < count {
        return Err(io::Error::other("too few descriptors"));
    }
    let mut clients = Clients::connect(address, count, rounds)?;
    writeln!(io::stdout(), "connected")?;
    io::stdin().read_line(&mut String::new())?;
    let elapsed = clients.run()?;
    writeln!(io::stdout(), "{}", elapsed.as_secs_f64())
}

struct Clients {
    poll: Poll,
    all: Vec<Client>,
}

struct Client {
    stream: TcpStream,
    left: u64,
    /// The bytes of the current message that are back.
    back: usize,
}

impl Clients {
    fn connect(address: SocketAddr, count: u64, rounds: u64) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut all = Vec::new();
        for index in 0..count as usize {
            // Blocking, so that the server's backlog does not overflow.
            let stream = std::net::TcpStream::connect(address)?;
            stream.set_nonblocking(true)?;
            // Otherwise the kernel may hold a small message back until the one before is
            // acknowledged.
            stream.set_nodelay(true)?;
            let mut stream = TcpStream::from_std(stream);
            let registry = poll.registry();
            registry.register(&mut stream, Token(index), Interest::READABLE)?;
            all.push(Client {
                stream,
                left: rounds,
                back: 0,
            });
        }
        Ok(Self { poll, all })
    }

    fn run(&mut self) -> io::Result<Duration> {
        let mut events = Events::with_capacity(1024);
        let mut active = self.all.len();
        let start = Instant::now();
        for client in &mut self.all {
            client.send()?;
        }
        while active != 0 {
            self.poll.poll(&mut events, None)?;
            for event in &events {
                active -= usize::from(self.all[event.token().0].receive()?);
            }
        }
        Ok(start.elapsed())
    }
}

impl Client {
    fn send(&mut self) -> io::Result<()> {
        // 64 bytes with nothing before them always find room.
        self.stream.write_all(&[self.left as u8; MESSAGE])
    }

    /// Returns whether that was the last message.
    fn receive(&mut self) -> io::Result<bool> {
        let mut buffer = [0; MESSAGE];
        // Until nothing is left: what stays unread is not reported again, since `mio` reports
        // changes only.
        loop {
            let count = match self.stream.read(&mut buffer[self.back..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            let expected = self.left as u8;
            if buffer[self.back..self.back + count] != [expected; MESSAGE][..count] {
                return Err(io::Error::other("other bytes came back"));
            }
            self.back += count;
            if self.back < MESSAGE {
                continue;
            }
            self.back = 0;
            self.left -= 1;
            if self.left == 0 {
                return Ok(true);
            }
            self.send()?;
        }
    }
}
