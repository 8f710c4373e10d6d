//! Requests about names and addresses.

use std::net::IpAddr;

use super::request;
use crate::network::{Family, NetworkInterface};
use crate::{IoError, IoOp};

request! {
    /// The addresses of a host, each once, in the order of the resolver.
    SocketLookup {
        /// Its name, or an address as text.
        host: String,
        /// Of which kind.
        family: Family,
    } -> Vec<IpAddr>;
    |it| {
        let found = dns_lookup::getaddrinfo(Some(&it.host), None, Some(it.family.hints()));
        let infos = found.map_err(|error| IoError::lookup(IoOp::SocketLookup, error))?;
        let mut addresses = Vec::new();
        for info in infos {
            let address = info.map_err(|error| IoError::of(IoOp::SocketLookup, error))?;
            let address = address.sockaddr.ip();
            // One per kind of socket otherwise.
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }
}

request! {
    /// The network interfaces of this machine, by index.
    SocketListInterfaces {
        /// Whether with those that lead back to this machine.
        loopback: bool,
        /// Addresses of which kind. Interfaces without any are left out.
        family: Family,
    } -> Vec<NetworkInterface>;
    |it| {
        let found = if_addrs::get_if_addrs();
        let found = found.map_err(|error| IoError::of(IoOp::SocketListInterfaces, error))?;
        Ok(NetworkInterface::gather(found, it.loopback, it.family))
    }
}

request! {
    /// The name of the host that has an address.
    SocketReverseLookup {
        /// Which.
        address: IpAddr,
    } -> String;
    |it| {
        let found = dns_lookup::lookup_addr(&it.address);
        found.map_err(|error| IoError::lookup(IoOp::SocketReverseLookup, error))
    }
}
