//! An isolate that opens ports and does not close them.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use insula::port::Listener;
use insula::{Isolate, ReceivePort, ReplyTo, SendPort, block_on, spawn_local};

use super::End;

// ANCHOR: problem
/// What a guest asks for at the door: a port for what it says.
type Guest = ReplyTo<SendPort<String>>;

fn room(door: ReceivePort<Guest>) -> Listener<Guest> {
    door.set_name("door");
    door.listen(|guest| {
        let words = ReceivePort::new();
        guest.send(words.send_port());
        words.listen(hear);
    })
}

fn hear(words: String) {
    assert!(!words.is_empty(), "a guest says something");
}

/// A guest enters, says something and leaves.
async fn visit(door: &SendPort<Guest>) -> Result<(), Box<dyn Error>> {
    let room = door.ask(|guest| guest).await?;
    room.send("good morning".to_owned())?;
    Ok(())
}
// ANCHOR_END: problem

fn repaired_room(door: ReceivePort<Guest>) -> Listener<Guest> {
    door.set_name("door");
    // ANCHOR: repair
    door.listen(|guest| {
        let mut words = ReceivePort::new();
        guest.send(words.send_port());
        spawn_local(async move {
            // Ends when the guest has dropped its sender. The drop of `words` closes the port.
            while let Some(said) = words.recv().await {
                hear(said);
            }
        });
    })
    // ANCHOR_END: repair
}

/// Guests until the first look, which are more than the ports that any isolate needs.
const GUESTS: usize = 1_500;

/// Opens the room. More guests come, one each millisecond.
pub(super) fn start(is_repaired: bool) -> Result<End, Box<dyn Error>> {
    let builder = Isolate::builder().name("room");
    let (room, door) = match is_repaired {
        false => builder.spawn_pair(room),
        true => builder.spawn_pair(repaired_room),
    };
    for _ in 0..GUESTS {
        block_on(visit(&door))?;
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let is_closed = is_over.clone();
    let guests = thread::spawn(move || {
        while !is_closed.load(Ordering::Relaxed) && block_on(visit(&door)).is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
    });
    Ok(Box::new(move || {
        is_over.store(true, Ordering::Relaxed);
        room.kill();
        // A panic of the guests has been printed.
        let _ = guests.join();
    }))
}
