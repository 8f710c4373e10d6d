//! Host names, addresses and network interfaces.

use std::net::IpAddr;

use crate::request::{SocketListInterfaces, SocketLookup, SocketReverseLookup};
use crate::{IoError, IoService};

/// A family of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[non_exhaustive]
pub enum Family {
    /// IPv4 and IPv6.
    #[default]
    Any,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    fn contains(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }

    pub(crate) fn hints(self) -> dns_lookup::AddrInfoHints {
        let address = match self {
            // `AF_UNSPEC`, which is 0 on all systems and no variant of `AddrFamily`.
            Self::Any => 0,
            Self::V4 => dns_lookup::AddrFamily::Inet.into(),
            Self::V6 => dns_lookup::AddrFamily::Inet6.into(),
        };
        dns_lookup::AddrInfoHints {
            address,
            // One type, since the resolver may list an address once per type of socket.
            socktype: dns_lookup::SockType::Stream.into(),
            ..dns_lookup::AddrInfoHints::default()
        }
    }
}

/// A network interface of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct NetworkInterface {
    /// The operating system's number for the interface, if it has one.
    pub index: Option<u32>,
    /// The interface's name.
    pub name: String,
    /// The interface's addresses, at least one.
    pub addresses: Vec<IpAddr>,
}

impl NetworkInterface {
    /// Groups addresses by interface: the operating system lists each address by itself.
    pub(crate) fn gather(
        found: Vec<if_addrs::Interface>,
        loopback: bool,
        family: Family,
    ) -> Vec<Self> {
        let mut interfaces: Vec<Self> = Vec::new();
        for one in found {
            let address = one.ip();
            if !family.contains(address) || one.is_loopback() && !loopback {
                continue;
            }
            // By name, since not every interface has an index.
            match interfaces.iter_mut().find(|it| it.name == one.name) {
                Some(interface) => interface.addresses.push(address),
                None => interfaces.push(Self {
                    index: one.index,
                    name: one.name,
                    addresses: vec![address],
                }),
            }
        }
        // A stable sort: interfaces without an index come first, in the order of the system.
        interfaces.sort_by_key(|interface| interface.index);
        interfaces
    }
}

/// Returns the addresses of a host, at least one, each once, in the order of the resolver.
///
/// # Errors
/// Returns the resolver's error, with its number.
pub async fn lookup(host: impl Into<String>, family: Family) -> Result<Vec<IpAddr>, IoError> {
    let host = host.into();
    let request = SocketLookup { host, family };
    IoService::global().request(request).await
}

/// Returns the name of the host that has `address`.
///
/// # Errors
/// Returns the resolver's error, with its number, also if the address has no name.
pub async fn reverse_lookup(address: IpAddr) -> Result<String, IoError> {
    let request = SocketReverseLookup { address };
    IoService::global().request(request).await
}

/// The network interfaces that a listing includes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Loopback {
    /// Loopback interfaces, and all others.
    Include,
    /// All but loopback interfaces.
    Exclude,
}

/// Returns the network interfaces of this machine that have addresses of `family`.
///
/// # Errors
/// Returns the operating system's error.
pub async fn interfaces(
    loopback: Loopback,
    family: Family,
) -> Result<Vec<NetworkInterface>, IoError> {
    let request = SocketListInterfaces {
        loopback: loopback == Loopback::Include,
        family,
    };
    IoService::global().request(request).await
}
