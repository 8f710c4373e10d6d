//! The risk: bytes in the clear, a stranger that is trusted, an end that is no end.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::Arc;

use insula_core::spawn_local;
use insula_io::{TcpListener, TcpStream, TlsStream};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::isolated;

/// Returns the configurations of a server with a certificate, and of a client that trusts it.
fn configurations() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let near = TcpStream::connect(listener.local_address().unwrap());
    let near = near.await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

#[test]
fn bytes_go_there_and_back_and_end() {
    isolated(async |_| {
        let (server, client) = configurations();
        let (near, far) = pair().await;
        spawn_local(async move {
            let stream = TlsStream::accept(far, server).await.unwrap();
            let mut buffer = vec![0; 4096];
            while let count @ 1.. = stream.read(&mut buffer).await.unwrap() {
                stream.write_all(&buffer[..count]).await.unwrap();
            }
            stream.finish().await.unwrap();
        });
        let stream = TlsStream::connect(near, client, "localhost").await.unwrap();
        let sent: Vec<u8> = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
        let mut back = Vec::new();
        for part in sent.chunks(30_000) {
            stream.write_all(part).await.unwrap();
            let mut buffer = vec![0; 50_000];
            let until = back.len() + part.len();
            while back.len() < until {
                let count = stream.read(&mut buffer).await.unwrap();
                back.extend_from_slice(&buffer[..count]);
            }
        }
        assert!(back == sent);
        stream.finish().await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn a_stranger_is_refused() {
    isolated(async |_| {
        let (server, _) = configurations();
        let (_, client) = configurations();
        let (near, far) = pair().await;
        spawn_local(async move {
            assert!(TlsStream::accept(far, server).await.is_err());
        });
        let error = TlsStream::connect(near, client, "localhost")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    });
}

#[test]
fn a_connection_that_is_cut_off_is_no_end() {
    isolated(async |_| {
        let (server, client) = configurations();
        let (near, far) = pair().await;
        spawn_local(async move {
            let stream = TlsStream::accept(far, server).await.unwrap();
            stream.write_all(b"half").await.unwrap();
        });
        let stream = TlsStream::connect(near, client, "localhost").await.unwrap();
        let mut buffer = [0; 100];
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 4);
        let error = stream.read(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    });
}
