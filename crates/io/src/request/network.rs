//! Requests for names and addresses.

use std::net::IpAddr;

use super::request;
use crate::network::{Family, NetworkInterface};
use crate::{IoError, IoOp};

request! {
    /// Returns the addresses of a host, each once, in the order of the resolver.
    SocketLookup {
        /// The name of the host, or an address as text.
        host: String,
        /// The family of addresses.
        family: Family,
    } -> Vec<IpAddr>;
    |it| {
        let found = dns_lookup::getaddrinfo(Some(&it.host), None, Some(it.family.hints()));
        let infos = found.map_err(|error| IoError::lookup(IoOp::SocketLookup, error))?;
        let mut addresses = Vec::new();
        for info in infos {
            let address = info.map_err(|error| IoError::of(IoOp::SocketLookup, error))?;
            let address = address.sockaddr.ip();
            // The resolver may list an address once per type of socket.
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }
}

request! {
    /// Returns the network interfaces of this machine, sorted by index.
    SocketListInterfaces {
        /// `true` if loopback interfaces are included.
        loopback: bool,
        /// The family of addresses. Interfaces without such an address are left out.
        family: Family,
    } -> Vec<NetworkInterface>;
    |it| {
        let found = if_addrs::get_if_addrs();
        let found = found.map_err(|error| IoError::of(IoOp::SocketListInterfaces, error))?;
        Ok(NetworkInterface::gather(found, it.loopback, it.family))
    }
}

request! {
    /// Returns the name of the host that has an address.
    SocketReverseLookup {
        /// The address.
        address: IpAddr,
    } -> String;
    |it| {
        let found = dns_lookup::lookup_addr(&it.address);
        found.map_err(|error| IoError::lookup(IoOp::SocketReverseLookup, error))
    }
}
