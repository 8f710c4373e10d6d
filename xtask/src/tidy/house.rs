//! `cargo xtask house`: how the code reads, in figures, beside three models of the field.
//!
//! The figures do not make prose good. They show where it drifts: comments that argue become few,
//! pronouns without a noun become many, and names pile up at the root of the façade.
//!
//! Tests, models, examples and the bench are left out, since they argue about other things.

#[cfg(test)]
mod tests;

use std::path::Path;

use super::Workspace;
use super::source::is_test;

/// The figures of one code base.
struct Figures {
    name: &'static str,
    /// Plain comments that are no proof of unsafe code, in % of the lines that are not blank.
    plain_comments: f64,
    /// Words such as "somebody" in 1,000 lines of comments.
    vague_words: f64,
    /// Summaries of documentation that begin with a question word, in %.
    questions: f64,
    forced_inlines: Option<usize>,
    /// Names that the root of the crate exports, its modules among them.
    names: Option<usize>,
}

/// Measured by hand on 2026-11-28, at the newest release of each on that day.
const MODELS: [Figures; 3] = [
    Figures {
        name: "async-executor",
        plain_comments: 2.9,
        vague_words: 0.0,
        questions: 0.0,
        forced_inlines: Some(0),
        names: Some(7),
    },
    Figures {
        name: "rayon-core",
        plain_comments: 5.5,
        vague_words: 0.5,
        questions: 0.9,
        forced_inlines: Some(0),
        names: Some(27),
    },
    Figures {
        name: "mini-redis",
        plain_comments: 16.4,
        vague_words: 0.0,
        questions: 0.5,
        forced_inlines: None,
        names: None,
    },
];

/// Starts of words that name no one.
const VAGUE: [&str; 7] = [
    "somebody",
    "nobody",
    "anybody",
    "everybody",
    "whoever",
    "someone",
    "anyone",
];

const QUESTIONS: [&str; 4] = ["What ", "How ", "Who ", "Whether "];

/// Prints the table. Returns whether the code could be read.
pub(crate) fn print(root: &Path) -> bool {
    let workspace = match Workspace::load(root) {
        Ok(workspace) => workspace,
        Err(why) => {
            println!("the workspace cannot be read: {why}");
            return false;
        }
    };
    let ours = Figures::of(&workspace);
    let all: Vec<_> = std::iter::once(&ours).chain(&MODELS).collect();
    row("", all.iter().map(|it| it.name.to_owned()));
    row(
        "plain comments, SAFETY aside, % of lines",
        all.iter().map(|it| format!("{:.1}", it.plain_comments)),
    );
    row(
        "vague words per 1,000 comment lines",
        all.iter().map(|it| format!("{:.1}", it.vague_words)),
    );
    row(
        "summaries that begin with What, How, Who, Whether, %",
        all.iter().map(|it| format!("{:.1}", it.questions)),
    );
    row(
        "inline(always)",
        all.iter().map(|it| count(it.forced_inlines)),
    );
    row(
        "names at the root of the crate",
        all.iter().map(|it| count(it.names)),
    );
    true
}

fn row(title: &str, cells: impl Iterator<Item = String>) {
    let cells: Vec<_> = cells.map(|cell| format!("{cell:>15}")).collect();
    println!("{title:<54}{}", cells.join(""));
}

fn count(number: Option<usize>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

impl Figures {
    fn of(workspace: &Workspace) -> Self {
        let mut lines = Lines::default();
        let sources = workspace
            .sources
            .iter()
            .filter(|source| !is_test(&source.path) && !source.path.starts_with("bench/"));
        sources.for_each(|source| lines.read(&source.content));
        let facade = workspace
            .sources
            .iter()
            .find(|source| source.path == "crates/insula/src/lib.rs");
        Self {
            name: "Insula",
            plain_comments: share(lines.plain, lines.all, 100.0),
            vague_words: share(lines.vague, lines.comments, 1000.0),
            questions: share(lines.questions, lines.summaries, 100.0),
            forced_inlines: Some(lines.forced_inlines),
            names: facade.map(|facade| exported(&facade.content)),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of lines are far below 2^52"
)]
fn share(part: usize, whole: usize, of: f64) -> f64 {
    part as f64 / whole.max(1) as f64 * of
}

#[derive(Default)]
struct Lines {
    /// Those that are not blank.
    all: usize,
    comments: usize,
    plain: usize,
    vague: usize,
    summaries: usize,
    questions: usize,
    forced_inlines: usize,
}

impl Lines {
    fn read(&mut self, content: &str) {
        let mut is_proof = false;
        let mut is_doc = false;
        for line in content.lines().map(str::trim) {
            if line.is_empty() {
                is_doc = false;
                continue;
            }
            self.all += 1;
            // Only at the start of a line, so that this file does not count itself.
            self.forced_inlines += usize::from(line.starts_with("#[inline(always)]"));
            let doc = ["///", "//!"].iter().find_map(|it| line.strip_prefix(it));
            let comment = doc.or_else(|| line.strip_prefix("//"));
            if let Some(comment) = comment {
                self.comments += 1;
                let words = comment.split(|letter: char| !letter.is_alphabetic());
                let vague = words.filter(|word| VAGUE.contains(&word.to_lowercase().as_str()));
                self.vague += vague.count();
            }
            match (doc, comment) {
                (Some(doc), _) => {
                    if !is_doc {
                        self.summaries += 1;
                        let asks = QUESTIONS.iter().any(|it| doc.trim().starts_with(it));
                        self.questions += usize::from(asks);
                    }
                }
                (None, Some(plain)) => {
                    is_proof |= plain.trim_start().starts_with("SAFETY");
                    self.plain += usize::from(!is_proof);
                }
                (None, None) => {}
            }
            is_doc = doc.is_some();
            // A proof has as many lines as its comment.
            is_proof &= comment.is_some();
        }
    }
}

/// Returns the number of names that the file of a crate's root exports, without hidden ones. A
/// module is one name, with or without a body.
fn exported(content: &str) -> usize {
    let mut names = 0;
    let mut is_hidden = false;
    let mut rest = content;
    // What a module exports is indented, so only lines of the root begin with `pub`.
    while let Some((line, after)) = rest.split_once('\n') {
        let mut count = usize::from(line.starts_with("pub mod "));
        rest = if line.starts_with("pub use ") {
            // A `use` may have several lines.
            let end = rest.find(';').map_or(rest.len(), |end| end + 1);
            let (statement, after) = rest.split_at(end);
            let list = statement.split_once('{').map_or("one", |(_, list)| list);
            let list = list.trim_end_matches(['}', ';']).split(',');
            count = list.filter(|name| !name.trim().is_empty()).count();
            after.trim_start_matches('\n')
        } else {
            after
        };
        if !is_hidden {
            names += count;
        }
        is_hidden = line.contains("doc(hidden)");
    }
    names
}
