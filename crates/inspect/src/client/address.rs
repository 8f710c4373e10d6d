//! Addresses of inspectors, as programs print them.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The longest token that is accepted; those of the server have 64 digits.
const MAX_TOKEN: usize = 256;

/// The address of an inspector, with the token that opens it.
///
/// Only addresses of this machine are accepted: an inspector listens on no other, and the token
/// must not cross a network. To reach one on another machine, forward its port, for example with
/// `ssh -L 40123:127.0.0.1:40123`.
///
/// # Examples
/// ```
/// use insula_inspect::client::Address;
///
/// let address = Address::parse("http://127.0.0.1:40123/#0123456789abcdef")?;
/// assert_eq!(address.to_string(), "http://127.0.0.1:40123/");
/// # Ok::<(), insula_inspect::client::AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    place: Place,
    token: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// `localhost` keeps its name, which the server has to be asked by.
    Local {
        port: u16,
    },
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// The reason why a text is no address of an inspector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AddressError {
    /// It begins neither with `http://` nor with `unix:`.
    Scheme,
    /// There is no `#` with a token behind it.
    NoToken,
    /// The token has characters that no token has, or too many.
    Token,
    /// There is no host with a port.
    Host,
    /// The host is not this machine.
    Remote,
    /// There is something between the port and the token.
    Path,
    /// There is no path of a socket, or it is not absolute.
    Socket,
}

impl Address {
    /// Reads an address such as `http://127.0.0.1:40123/#TOKEN` or `unix:/path/to.sock#TOKEN`.
    ///
    /// # Errors
    /// Returns the part of the text that makes no sense.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("unix:") {
            // A path may have a `#`, and a token has none.
            let (path, token) = rest.rsplit_once('#').ok_or(AddressError::NoToken)?;
            let token = read_token(token)?;
            let path = PathBuf::from(path);
            if !path.is_absolute() {
                return Err(AddressError::Socket);
            }
            let place = Place::Unix(path);
            return Ok(Self { place, token });
        }
        let rest = text.strip_prefix("http://").ok_or(AddressError::Scheme)?;
        let (rest, token) = rest.split_once('#').ok_or(AddressError::NoToken)?;
        let token = read_token(token)?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !path.is_empty() {
            return Err(AddressError::Path);
        }
        let place = read_host(host)?;
        Ok(Self { place, token })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Returns the value of `Host` that the server expects.
    pub(super) fn host(&self) -> String {
        match &self.place {
            Place::Local { port } => format!("localhost:{port}"),
            Place::Tcp(address) => address.to_string(),
            Place::Unix(_) => "localhost".to_owned(),
        }
    }

    /// Returns the path of the socket, if this is the address of one.
    pub fn socket(&self) -> Option<&Path> {
        match &self.place {
            Place::Unix(path) => Some(path),
            Place::Local { .. } | Place::Tcp(_) => None,
        }
    }
}

impl Place {
    /// Returns the addresses to try, in their order.
    pub(super) fn candidates(&self) -> Vec<SocketAddr> {
        match self {
            Self::Local { port } => vec![
                (Ipv4Addr::LOCALHOST, *port).into(),
                (Ipv6Addr::LOCALHOST, *port).into(),
            ],
            Self::Tcp(address) => vec![*address],
            Self::Unix(_) => Vec::new(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { port } => write!(f, "http://localhost:{port}/"),
            Self::Tcp(address) => write!(f, "http://{address}/"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// Writes the address without its token, so that it can go into logs and messages.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => {
                "the address begins neither with http:// nor with unix:; copy it as the program has \
                 printed it, such as http://127.0.0.1:40123/#TOKEN"
            }
            Self::NoToken => {
                "the address has no token; copy the whole address with # and what follows it, and \
                 put it in quotes"
            }
            Self::Token => {
                "the token behind # is not one of an inspector, which has 64 hexadecimal digits; \
                 copy the whole address again"
            }
            Self::Host => {
                "the address has no host with a port; write it as in http://127.0.0.1:40123/#TOKEN"
            }
            Self::Remote => {
                "the host is not this machine; forward its port, for example with \
                 ssh -L 40123:127.0.0.1:40123, and write 127.0.0.1"
            }
            Self::Path => {
                "the address has something between the port and #; write it as in \
                 http://127.0.0.1:40123/#TOKEN"
            }
            Self::Socket => {
                "the path of the socket is not absolute; write it as in unix:/path/to.sock#TOKEN"
            }
        })
    }
}

impl Error for AddressError {}

fn read_token(token: &str) -> Result<String, AddressError> {
    if token.is_empty() {
        return Err(AddressError::NoToken);
    }
    let is_plain = token.bytes().all(|byte| byte.is_ascii_alphanumeric());
    // It goes into a header, where other bytes could end the line.
    if !is_plain || token.len() > MAX_TOKEN {
        return Err(AddressError::Token);
    }
    Ok(token.to_owned())
}

fn read_host(host: &str) -> Result<Place, AddressError> {
    if let Ok(address) = host.parse::<SocketAddr>() {
        let is_local = match address.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_loopback(),
        };
        return match (is_local, address.port()) {
            (false, _) => Err(AddressError::Remote),
            (true, 0) => Err(AddressError::Host),
            (true, _) => Ok(Place::Tcp(address)),
        };
    }
    let (name, port) = host.rsplit_once(':').ok_or(AddressError::Host)?;
    let port: u16 = port.parse().map_err(|_| AddressError::Host)?;
    if name.is_empty() || port == 0 {
        return Err(AddressError::Host);
    }
    if name.eq_ignore_ascii_case("localhost") {
        Ok(Place::Local { port })
    } else {
        Err(AddressError::Remote)
    }
}
