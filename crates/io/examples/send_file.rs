//! Sends a file to a client over TCP. Reads of the file run on a thread of the I/O service; the
//! socket needs no thread.
//!
//! `cargo run -p insula-io --example send_file`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;
use std::net::{Ipv4Addr, Shutdown};
use std::path::PathBuf;

use insula_core::{Isolate, block_on};
use insula_io::{Directory, File, IoError, OpenMode, TcpListener, TcpStream};

/// The bytes that are in memory at a time, however long the file is.
const CHUNK: usize = 4096;

/// Sends the file to the next client.
async fn serve(listener: TcpListener, path: PathBuf) -> Result<(), IoError> {
    let (client, _) = listener.accept().await?;
    let file = File::open(path, OpenMode::Read).await?;
    let mut buffer = vec![0; CHUNK];
    loop {
        // The buffer moves to the thread that reads, and comes back also with an error.
        let (count, back) = file.read(buffer).await;
        buffer = back;
        match count? {
            0 => break,
            // Waits until the socket has room, so a slow client slows the reading down.
            count => client.write_all(&buffer[..count]).await?,
        }
    }
    // The drop would close the file too, but on this thread, which closing may block.
    file.close().await?;
    client.shut_down(Shutdown::Write)
}

/// Returns the number of bytes that a server sends before it ends the connection.
async fn count(client: &TcpStream) -> Result<usize, IoError> {
    let mut buffer = vec![0; CHUNK];
    let mut sum = 0;
    loop {
        match client.read(&mut buffer).await? {
            0 => return Ok(sum),
            count => sum += count,
        }
    }
}

async fn send_file() -> Result<(), Box<dyn Error>> {
    let folder = Directory::create_temp("insula-example-").await?;
    let path = folder.join("island");
    let text = "Land with water on all sides.\n".repeat(1000);
    File::write_whole(&path, text.clone().into_bytes()).await?;

    // Port 0 selects a free one.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_address()?;
    let server = Isolate::run_async(async move || serve(listener, path).await);
    let received = count(&TcpStream::connect(address).await?).await?;
    println!("{received} bytes have arrived");
    assert_eq!(received, text.len());

    // Two results: that of the isolate, which could have panicked, and that of `serve`.
    server.await??;
    Directory::delete_recursive(folder).await?;
    Ok(())
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // Outside of isolates; the server is one. The futures of this crate may be awaited in both.
    block_on(send_file())
}
