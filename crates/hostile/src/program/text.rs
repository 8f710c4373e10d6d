//! Programs as text: `Name(part, part)`, scripts in brackets. Printed programs can be read again.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{
    Chore, Count, Flag, Future, Kind, Load, Ms, Nasty, Part, Patience, Program, Script, Slot, Wakes,
};

/// The longest script that is printed on one line, in characters.
const LINE: usize = 70;

/// Prints parts.
#[derive(Default)]
pub(crate) struct Writer {
    text: String,
    /// `true` once a part of this operation was printed.
    follows: bool,
}

impl Writer {
    /// Begins an operation.
    pub(crate) fn open(&mut self, name: &str) {
        self.text.push_str(name);
        self.text.push('(');
        self.follows = false;
    }

    /// Prints a part of the operation.
    pub(crate) fn part(&mut self, part: &impl Part) {
        if self.follows {
            self.text.push_str(", ");
        }
        part.write(self);
        self.follows = true;
    }

    /// Ends the operation.
    pub(crate) fn close(&mut self) {
        self.text.push(')');
        self.follows = true;
    }

    /// Prints a word or a number.
    pub(crate) fn word(&mut self, word: impl std::fmt::Display) {
        // Writing to a string does not fail.
        let _ = write!(self.text, "{word}");
    }

    pub(super) fn program(&mut self, program: &Program) {
        let Program {
            seed,
            kind,
            threads,
            clears_first,
            linger,
            ..
        } = program;
        self.word(format_args!(
            "{kind} seed={seed} threads={threads} clears_first={clears_first} linger={}\n",
            linger.0
        ));
        self.named("prelude", &program.prelude);
        if !program.rounds.is_empty() {
            self.text.push_str("rounds [");
            for chore in &program.rounds {
                self.text.push(' ');
                chore.write(self);
            }
            self.text.push_str(" ]\n");
        }
        self.named("local_init", &program.local_init);
        self.named("local_drop", &program.local_drop);
        self.named("main", &program.main);
    }

    fn named(&mut self, name: &str, script: &Script) {
        if !script.is_empty() {
            self.text.push_str(name);
            self.text.push(' ');
            script.write(self);
            self.text.push('\n');
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// Reads parts.
pub(crate) struct Reader<'a> {
    all: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(all: &'a str) -> Self {
        Self { all, rest: all }
    }

    pub(super) fn locate(&self, why: &str) -> String {
        let read = &self.all[..self.all.len() - self.rest.len()];
        let line = 1 + read.matches('\n').count();
        format!("line {line}: {why}")
    }

    fn skip(&mut self) {
        let blank = |c: char| c.is_whitespace() || c == ',';
        self.rest = self.rest.trim_start_matches(blank);
    }

    fn try_sign(&mut self, sign: char) -> bool {
        self.skip();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn sign(&mut self, sign: char) -> Result<(), String> {
        if self.try_sign(sign) {
            return Ok(());
        }
        let found: String = self.rest.chars().take(12).collect();
        Err(format!("'{sign}' is missing before '{found}'"))
    }

    fn word(&mut self) -> Result<&'a str, String> {
        self.skip();
        // With `=`, so that a setting and its value are one word.
        let is_in = |c: char| c.is_alphanumeric() || c == '_' || c == '=';
        let end = self.rest.find(|c| !is_in(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.is_empty() {
            return Err("a word or a number is missing".to_owned());
        }
        self.rest = rest;
        Ok(word)
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T, String> {
        let word = self.word()?;
        word.parse()
            .map_err(|_| format!("'{word}' is not a number that fits here"))
    }

    fn setting<T: std::str::FromStr>(&mut self, name: &str) -> Result<T, String> {
        let word = self.word()?;
        word.strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('='))
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| format!("'{name}=' is missing, there is '{word}'"))
    }

    /// Begins an operation, and returns its name.
    ///
    /// # Errors
    /// Fails if the text continues differently.
    pub(crate) fn open(&mut self) -> Result<String, String> {
        let name = self.word()?.to_owned();
        self.sign('(')?;
        Ok(name)
    }

    /// Reads a part of the operation.
    ///
    /// # Errors
    /// Fails if the text continues differently.
    pub(crate) fn part<P: Part>(&mut self) -> Result<P, String> {
        P::read(self)
    }

    /// Ends the operation.
    ///
    /// # Errors
    /// Fails if the text continues differently.
    pub(crate) fn close(&mut self) -> Result<(), String> {
        self.sign(')')
    }

    fn list<P: Part>(&mut self) -> Result<Vec<P>, String> {
        self.sign('[')?;
        let mut list = Vec::new();
        while !self.try_sign(']') {
            list.push(P::read(self)?);
        }
        Ok(list)
    }

    pub(super) fn program(&mut self) -> Result<Program, String> {
        let kind = match self.word()? {
            "seeded" => Kind::Seeded,
            "threads" => Kind::Threads,
            word => return Err(format!("a program is 'seeded' or 'threads', not '{word}'")),
        };
        let mut program = Program {
            seed: self.setting("seed")?,
            kind,
            threads: self.setting("threads")?,
            clears_first: self.setting("clears_first")?,
            linger: Ms(self.setting("linger")?),
            prelude: Script::default(),
            rounds: Vec::new(),
            local_init: Script::default(),
            local_drop: Script::default(),
            main: Script::default(),
        };
        loop {
            self.skip();
            if self.rest.is_empty() {
                return Ok(program);
            }
            match self.word()? {
                "prelude" => program.prelude = self.part()?,
                "rounds" => program.rounds = self.list::<Chore>()?,
                "local_init" => program.local_init = self.part()?,
                "local_drop" => program.local_drop = self.part()?,
                "main" => program.main = self.part()?,
                word => return Err(format!("a program has no part '{word}'")),
            }
        }
    }
}

impl Part for Script {
    fn generate(source: &mut super::Gen) -> Self {
        source.script()
    }

    fn write(&self, to: &mut Writer) {
        let texts: Vec<String> = self.0.iter().map(text_of).collect();
        let one_line = texts.join(" ");
        if one_line.len() <= LINE && !one_line.contains('\n') {
            to.word(format_args!("[{one_line}]"));
            return;
        }
        to.word("[\n");
        for text in texts {
            for line in text.lines() {
                to.word(format_args!("    {line}\n"));
            }
        }
        to.word("]");
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, String> {
        Ok(Self(Arc::new(from.list()?)))
    }

    fn each_script(&mut self, visit: &mut dyn FnMut(&mut Script)) {
        visit(self);
    }
}

fn text_of(part: &impl Part) -> String {
    let mut writer = Writer::default();
    part.write(&mut writer);
    writer.finish()
}

macro_rules! numbers {
    ($($type:ident: |$source:ident| $generate:expr;)*) => {$(
        impl Part for $type {
            fn generate($source: &mut super::Gen) -> Self {
                Self($generate)
            }

            fn write(&self, to: &mut Writer) {
                to.word(self.0);
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, String> {
                from.number().map(Self)
            }
        }
    )*};
}

numbers! {
    // Few places, and the first one most often, so that operations meet at the same handles.
    Slot: |source| [0, 0, 0, 1, 1, 2][source.below(6) as usize];
    // Zero too: a time that has passed at once is a case of its own.
    Ms: |source| source.below(3) as u8;
    Count: |source| 1 + source.below(3) as u8;
    Flag: |source| source.below(2) == 0;
}

impl Part for Patience {
    fn generate(source: &mut super::Gen) -> Self {
        Self((source.below(2) == 0).then(|| Ms::generate(source)))
    }

    fn write(&self, to: &mut Writer) {
        match self.0 {
            Some(ms) => to.word(ms.0),
            None => to.word("forever"),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, String> {
        let before = from.rest;
        if from.word()? == "forever" {
            return Ok(Self(None));
        }
        from.rest = before;
        Ok(Self(Some(Ms::read(from)?)))
    }
}

macro_rules! scripts {
    ($($type:ident: |$source:ident| $generate:expr;)*) => {$(
        impl Part for $type {
            fn generate($source: &mut super::Gen) -> Self {
                Self($generate)
            }

            fn write(&self, to: &mut Writer) {
                self.0.write(to);
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, String> {
                Script::read(from).map(Self)
            }

            fn each_script(&mut self, visit: &mut dyn FnMut(&mut Script)) {
                visit(&mut self.0);
            }
        }
    )*};
}

scripts! {
    Load: |source| source.rarely_nasty(4);
    Nasty: |source| source.nasty();
}

impl Part for Wakes {
    fn generate(source: &mut super::Gen) -> Self {
        Self {
            wake: source.rarely_nasty(2),
            clone: source.rarely_nasty(6),
            last: source.rarely_nasty(5),
        }
    }

    fn write(&self, to: &mut Writer) {
        to.open("Wakes");
        to.part(&self.wake);
        to.part(&self.clone);
        to.part(&self.last);
        to.close();
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, String> {
        from.open()?;
        let wakes = Self {
            wake: from.part()?,
            clone: from.part()?,
            last: from.part()?,
        };
        from.close()?;
        Ok(wakes)
    }

    fn each_script(&mut self, visit: &mut dyn FnMut(&mut Script)) {
        visit(&mut self.wake);
        visit(&mut self.clone);
        visit(&mut self.last);
    }
}

impl Part for Box<Future> {
    fn generate(source: &mut super::Gen) -> Self {
        // Some futures have futures inside, which would otherwise have no end.
        Self::new(source.inner(Future::generate, Future::Yield))
    }

    fn write(&self, to: &mut Writer) {
        (**self).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, String> {
        Future::read(from).map(Self::new)
    }

    fn each_script(&mut self, visit: &mut dyn FnMut(&mut Script)) {
        (**self).each_script(visit);
    }
}
