//! The names of subjects.
//!
//! | subject | who publishes | who subscribes |
//! |---|---|---|
//! | `insula.1.open.CONTRACT.VERSION.SCHEMA` | a worker that wants a link | nodes with a free worker, as a queue group |
//! | `insula.1.here.CONTRACT.VERSION.SCHEMA` | a worker that got no answer | all nodes that serve exactly this, as a queue group |
//! | `insula.1.here.CONTRACT` | the same | all nodes that serve the contract in any version |
//! | `insula.1.here.CONTRACT.nodes` | who wants to know the nodes | all nodes that serve the contract, each for itself |
//! | `insula.1.job.NAME.CONTRACT.VERSION.SCHEMA` | who gives a job | a stream of the server |
//! | `insula.1.dead.NAME.CONTRACT.VERSION.SCHEMA` | a worker that gives a job up | another one |
//! | `insula.1.link.USER.ID` | the other end of a link | one end of a link: its inbox |

use insula_rpc::wire::Hello;

/// The queue group of nodes.
pub(crate) const GROUP: &str = "insula";

/// The most bytes of a subject that comes from elsewhere.
const MOST: usize = 256;

/// The names of subjects under a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subjects {
    prefix: String,
    user: String,
}

impl Subjects {
    pub(crate) fn new() -> Self {
        Self {
            prefix: "insula".to_owned(),
            user: "any".to_owned(),
        }
    }

    pub(crate) fn set_prefix(&mut self, prefix: &str) {
        prefix.clone_into(&mut self.prefix);
    }

    pub(crate) fn set_user(&mut self, user: &str) {
        user.clone_into(&mut self.user);
    }

    /// Returns what is wrong with the names that were set.
    pub(crate) fn problem(&self) -> Option<String> {
        let tokens = self.prefix.split('.');
        let is_fine = tokens.clone().all(is_token) && self.prefix.len() <= MOST / 4;
        if !is_fine {
            return Some(format!(
                "the prefix {:?} is no part of a subject",
                self.prefix
            ));
        }
        let is_fine = is_token(&self.user) && self.user.len() <= MOST / 4;
        (!is_fine).then(|| format!("the inbox {:?} is no part of a subject", self.user))
    }

    /// The beginning of all subjects.
    pub(crate) fn root(&self) -> String {
        self.of("", "").trim_end_matches('.').to_owned()
    }

    pub(crate) fn open(&self, hello: &Hello) -> String {
        self.of("open", &exactly(hello))
    }

    pub(crate) fn here_exactly(&self, hello: &Hello) -> String {
        self.of("here", &exactly(hello))
    }

    pub(crate) fn here(&self, hello: &Hello) -> String {
        self.of("here", &token_of(&hello.contract))
    }

    /// Where all nodes are asked that serve a contract.
    pub(crate) fn nodes(&self, contract: &str) -> String {
        self.of("here", &format!("{}.nodes", token_of(contract)))
    }

    /// The beginning of the inboxes of this side.
    pub(crate) fn inboxes(&self) -> String {
        self.of("link", &self.user)
    }

    /// Returns whether messages may be sent to a subject that the other side has named: only to an
    /// inbox of a link, so that nobody can have this side write to the subjects of other programs.
    pub(crate) fn is_inbox(&self, subject: &str) -> bool {
        let inboxes = self.of("link", "");
        let rest = subject.strip_prefix(&inboxes);
        subject.len() <= MOST && rest.is_some_and(|it| it.split('.').all(is_token))
    }

    /// Returns what is wrong with the name of jobs.
    pub(crate) fn problem_of(&self, jobs: &str) -> Option<String> {
        let is_fine = is_token(jobs) && jobs.len() <= MOST / 4;
        let problem = || format!("the name of jobs {jobs:?} is no part of a subject");
        self.problem().or_else(|| (!is_fine).then(problem))
    }

    /// The name of a stream.
    pub(crate) fn stream(&self, what: &str, jobs: &str) -> String {
        format!("{}-{what}-{jobs}", self.prefix.replace('.', "-"))
    }

    /// The name of the consumer of a contract's jobs.
    pub(crate) fn consumer(hello: &Hello) -> String {
        exactly(hello).replace('.', "-")
    }

    pub(crate) fn of_job(&self, what: &str, jobs: &str, hello: &Hello) -> String {
        self.of(what, &format!("{jobs}.{}", exactly(hello)))
    }

    /// The jobs of all contracts.
    pub(crate) fn all_of(&self, what: &str, jobs: &str) -> String {
        self.of(what, &format!("{jobs}.>"))
    }

    fn of(&self, what: &str, rest: &str) -> String {
        let version = crate::message::VERSION;
        format!("{}.{version}.{what}.{rest}", self.prefix)
    }
}

fn exactly(hello: &Hello) -> String {
    let contract = token_of(&hello.contract);
    format!("{contract}.{}.{:016x}", hello.version, hello.schema)
}

fn is_token(text: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty() && text.bytes().all(is_fine)
}

/// A name as one token of a subject: other bytes than letters, digits, `-` and `_` as `%` and two
/// digits.
pub(crate) fn token_of(name: &str) -> String {
    let mut token = String::new();
    for byte in name.bytes() {
        match byte {
            b'-' | b'_' => token.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => token.push(byte.into()),
            _ => token.push_str(&format!("%{byte:02X}")),
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(contract: &str) -> Hello {
        Hello {
            protocol: 1,
            contract: contract.to_owned(),
            version: 3,
            schema: 0xab,
            most: 1,
        }
    }

    #[test]
    fn any_contract_has_subjects_of_its_own() {
        let subjects = Subjects::new();
        let open = |name| subjects.open(&hello(name));
        assert_eq!(open("Sums"), "insula.1.open.Sums.3.00000000000000ab");
        assert_eq!(
            open("Sums of > *.1"),
            "insula.1.open.Sums%20of%20%3E%20%2A%2E1.3.00000000000000ab"
        );
        assert_ne!(open("a.b"), open("a b"));
        assert_eq!(
            subjects.here_exactly(&hello("é")),
            "insula.1.here.%C3%A9.3.00000000000000ab"
        );
        assert_eq!(subjects.here(&hello("Sums")), "insula.1.here.Sums");
    }

    #[test]
    fn jobs_have_subjects_and_streams_of_their_own() {
        let mut subjects = Subjects::new();
        subjects.set_prefix("team.insula");
        let hello = hello("Mail");
        let job = subjects.of_job("job", "mail", &hello);
        assert_eq!(job, "team.insula.1.job.mail.Mail.3.00000000000000ab");
        assert!(job.starts_with(subjects.all_of("job", "mail").trim_end_matches('>')));
        assert_eq!(subjects.stream("jobs", "mail"), "team-insula-jobs-mail");
        assert_eq!(Subjects::consumer(&hello), "Mail-3-00000000000000ab");
        assert!(!subjects.is_inbox(&job));
        assert_eq!(subjects.problem_of("mail"), None);
        for name in ["", "a.b", "a b", "*", ">"] {
            assert!(subjects.problem_of(name).is_some(), "{name}");
        }
    }

    #[test]
    fn only_inboxes_are_written_to() {
        let subjects = Subjects::new();
        assert!(subjects.is_inbox("insula.1.link.any.abc"));
        assert!(subjects.is_inbox("insula.1.link.alice.7.abc"));
        for other in [
            "",
            "orders",
            "insula.1.link",
            "insula.1.link.",
            "insula.1.link.any.*",
            "insula.1.link.>",
            "insula.1.link..a",
            "insula.1.link.a b",
            "insula.1.open.Sums.1.00",
            "xinsula.1.link.any.abc",
            "insula.1.link.any.\r\nPUB x",
        ] {
            assert!(!subjects.is_inbox(other), "{other}");
        }
        assert!(!subjects.is_inbox(&format!("insula.1.link.{}", "a".repeat(1_000))));
    }

    #[test]
    fn names_that_are_no_subjects_are_refused() {
        let with = |prefix: &str, user: &str| {
            let mut subjects = Subjects::new();
            subjects.set_prefix(prefix);
            subjects.set_user(user);
            subjects.problem()
        };
        assert_eq!(with("insula", "any"), None);
        assert_eq!(with("team.insula", "node-1"), None);
        for (prefix, user) in [
            ("", "a"),
            ("a.", "a"),
            ("a", ""),
            ("a", "b.c"),
            ("*", "a"),
            ("a", ">"),
        ] {
            assert!(with(prefix, user).is_some(), "{prefix} {user}");
        }
    }
}
