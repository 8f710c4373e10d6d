//! Risk: one who may not is let in, or one who may is told nothing.

use std::fs;
use std::time::{Duration, Instant};

use insula_nats::{Nats, NatsError};
use tempfile::TempDir;

use crate::server::Server;
use crate::service::{Act, LONG, Service, WorkCaller, WorkRequest, WorkResponder, node, pool, run};
use crate::{Test, jobs};

pub(crate) const ALL: &[Test] = &[
    (
        "wrong_credentials_are_denied_at_once_and_not_shown",
        wrong_credentials_are_denied_at_once_and_not_shown,
    ),
    (
        "the_permissions_of_the_docs_are_enough_and_others_are_named",
        the_permissions_of_the_docs_are_enough_and_others_are_named,
    ),
    (
        "the_permissions_of_the_docs_are_enough_for_jobs",
        the_permissions_of_the_docs_are_enough_for_jobs,
    ),
    ("a_connection_with_tls", a_connection_with_tls),
    ("another_machine_needs_tls", another_machine_needs_tls),
];

fn wrong_credentials_are_denied_at_once_and_not_shown() {
    let server = Server::with("authorization { user: ann, password: secret7 }");
    run(|| async {
        let begin = Instant::now();
        let with = |nats: Nats| async move {
            let error = pool(&nats, 1).build().await.unwrap_err();
            let text = format!("{error} {error:?} {nats:?}");
            assert!(
                text.contains("Denied") && text.contains("does not allow"),
                "{text}"
            );
            assert!(!text.contains("secret"), "{text}");
        };
        with(server.nats()).await;
        with(server.nats().user("ann", "secret8")).await;
        with(server.nats().token("secret9")).await;
        assert!(begin.elapsed() < Duration::from_secs(3));
        let nats = server.nats().user("ann", "secret7");
        let _node = node(&nats, 1).await;
        assert!(pool(&nats, 1).build().await.is_ok());
        // In a URL it would be shown.
        let url = server.url().replace("//", "//ann:secret7@");
        let error = pool(&Nats::connect(&url), 1).build().await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("Nats::user") && !text.contains("secret"),
            "{text}"
        );
    });
}

/// As the docs of the crate have them.
const PERMISSIONS: &str = r#"
authorization { users: [
    { user: caller, password: c, permissions: {
        publish: [SERVED, "insula.1.link.>"],
        subscribe: ["insula.1.link.caller.>"] } }
    { user: node, password: n, permissions: {
        publish: ["insula.1.link.>"],
        subscribe: [SERVED, "insula.1.link.node.>"] } }
] }
"#;

/// In the place of `SERVED`, for all contracts and for one.
const ALL_CONTRACTS: &str = r#""insula.1.open.>", "insula.1.here.>""#;
const ONE_CONTRACT: &str =
    r#""insula.1.open.Work.>", "insula.1.here.Work", "insula.1.here.Work.>""#;

fn the_permissions_of_the_docs_are_enough_and_others_are_named() {
    for served in [ALL_CONTRACTS, ONE_CONTRACT] {
        permissions_are_enough(&Server::with(&PERMISSIONS.replace("SERVED", served)));
    }
}

fn permissions_are_enough(server: &Server) {
    let server = &server;
    run(|| async {
        let nodes = server.nats().user("node", "n").inbox("node");
        let callers = server.nats().user("caller", "c").inbox("caller");
        let begin = Instant::now();
        let forbidden = server.nats().user("caller", "c").inbox("caller").node();
        let forbidden = forbidden.serve::<WorkResponder<_>>(|_cx| async { Ok(Service) });
        let error = forbidden.start().await.unwrap_err();
        assert!(matches!(error, NatsError::Denied { .. }), "{error:?}");
        let error = pool(&callers, 1).build().await.unwrap_err();
        assert!(error.to_string().contains("no node serves"), "{error}");
        let _node = node(&nodes, 1).await;
        // One that may not ask for links, and one with the inbox of another.
        for nats in [nodes.clone(), callers.clone().inbox("other")] {
            let error = pool(&nats, 1).build().await.unwrap_err();
            assert!(
                error.to_string().contains("Permissions Violation"),
                "{error}"
            );
        }
        assert!(
            begin.elapsed() < Duration::from_secs(3),
            "{:?}",
            begin.elapsed()
        );
        let time = Duration::from_millis(500);
        assert_eq!(callers.nodes::<WorkRequest>(time).await.unwrap().len(), 1);
        let error = nodes.nodes::<WorkRequest>(LONG).await.unwrap_err();
        assert!(matches!(error, NatsError::Denied { .. }), "{error:?}");
        let pool = pool(&callers, 1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        assert!(caller.process(Act::Nothing).await.is_ok());
    });
}

/// As the docs of `Jobs` have them, beside those of a caller.
const PERMISSIONS_OF_JOBS: &str = r#"
jetstream: { store_dir: "FOLDER/jobs" }
authorization { users: [
    { user: caller, password: c, permissions: {
        publish: ["insula.1.open.>", "insula.1.here.>", "insula.1.link.>"],
        subscribe: ["insula.1.link.caller.>"] } }
    { user: jobs, password: j, permissions: {
        publish: ["insula.1.open.>", "insula.1.here.>", "insula.1.link.>",
            "$JS.API.>", "$JS.ACK.>", "insula.1.job.>", "insula.1.dead.>"],
        subscribe: ["insula.1.link.jobs.>"] } }
] }
"#;

fn the_permissions_of_the_docs_are_enough_for_jobs() {
    let server = Server::with(PERMISSIONS_OF_JOBS);
    run(|| async {
        jobs::one_is_done_and_one_is_dead(&server.nats().user("jobs", "j").inbox("jobs")).await;
        let begin = Instant::now();
        let other = server.nats().user("caller", "c").inbox("caller");
        let error = other.jobs("chores").open().await.unwrap_err();
        assert!(error.to_string().contains("JetStream"), "{error}");
        assert!(begin.elapsed() < LONG, "{:?}", begin.elapsed());
    });
}

/// Writes a certificate of an authority, and one of a server or client that it has issued.
fn certificates(folder: &TempDir) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let leaf_key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let leaf = CertificateParams::new(names).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    let write = |name, text: String| fs::write(folder.path().join(name), text).unwrap();
    write("authority.pem", authority.pem());
    write("leaf.pem", leaf.pem());
    write("leaf.key", leaf_key.serialize_pem());
}

fn a_connection_with_tls() {
    let folder = TempDir::new().unwrap();
    certificates(&folder);
    let path = |name| folder.path().join(name);
    let server = Server::with(&format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}",
        path("leaf.pem"),
        path("leaf.key"),
        path("authority.pem")
    ));
    run(|| async {
        let url = server.url().replace("nats://", "tls://");
        let trusting = Nats::connect(&url).root_certificates(path("authority.pem"));
        let nats = trusting
            .clone()
            .client_certificate(path("leaf.pem"), path("leaf.key"));
        let _node = node(&nats, 1).await;
        let one = pool(&nats, 1).build().await.unwrap();
        let caller: WorkCaller = one.caller();
        assert!(caller.process(Act::Nothing).await.is_ok());
        // Neither without a certificate of its own, nor without trust in the server's.
        for nats in [trusting, Nats::connect(&url)] {
            let error = pool(&nats, 1).build().await.unwrap_err();
            assert!(error.to_string().contains("not connected"), "{error}");
        }
    });
}

fn another_machine_needs_tls() {
    // An address of this machine that is not known as one: the server has no TLS there.
    let server = Server::start();
    run(|| async {
        let url = server.url().replace("127.0.0.1", "localhost.localdomain");
        let nats = Nats::connect(&url);
        let error = pool(&nats, 1).build().await.unwrap_err();
        assert!(error.to_string().contains("not connected"), "{error}");
        let url = server.url().replace("127.0.0.1", "0.0.0.0");
        let error = pool(&Nats::connect(&url), 1).build().await.unwrap_err();
        assert!(error.to_string().contains("allow_plain"), "{error}");
        let nats = Nats::connect(&url).allow_plain();
        let _node = node(&nats, 1).await;
        assert!(pool(&nats, 1).build().await.is_ok());
    });
}
