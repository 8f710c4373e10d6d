//! Risk: `accept` still pauses when the lack is over, or does not pause when one begins.

use super::*;

fn acceptor() -> io::Result<Acceptor> {
    let socket = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    Acceptor::new(socket)
}

fn pause(acceptor: &Acceptor) -> Duration {
    acceptor.state.lock().pause
}

#[test]
fn each_pause_is_twice_as_long_until_the_lack_is_over() -> io::Result<()> {
    let acceptor = acceptor()?;
    for _ in 0..2 {
        let mut longest = FIRST_PAUSE;
        for _ in 0..4 {
            acceptor.make_do();
            assert_eq!(pause(&acceptor), longest);
            longest = (longest * 2).min(LONGEST_PAUSE);
        }
        acceptor.recover();
        assert_eq!(pause(&acceptor), Duration::ZERO);
    }
    Ok(())
}
