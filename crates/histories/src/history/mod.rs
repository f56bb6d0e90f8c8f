//! The record of a run: one JSON object a line, the first about the run, each other an event.

mod event;
mod op;
mod operation;
mod recorder;
mod show;
mod value;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use event::{Event, Seen, What};
pub(crate) use op::appended;
pub use op::{Answer, Compare, Op, Step, StepAnswer};
pub use operation::{Ending, Operation};
pub use recorder::Recorder;
pub(crate) use show::Shown;
pub use value::Value;

/// Name of the format, in the first line.
const FORMAT: &str = "elasticore-history";
/// Version of the format.
const VERSION: u32 = 1;

/// What clients did and were told, in the order in which it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// About the run.
    pub about: About,
    /// What happened. Times ([`Event::at`]) grow strictly.
    pub events: Vec<Event>,
}

/// The first line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Always `elasticore-history`.
    pub format: String,
    /// Version of the format.
    pub version: u32,
    /// Seed of the clients' choices.
    pub seed: u64,
    /// What was run, for people.
    pub title: String,
}

/// A file or record that is no history.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// It cannot be read or written.
    #[error("the file cannot be read or written")]
    Io(#[from] std::io::Error),
    /// A line is not what it should be.
    #[error("line {line} is not valid")]
    Line {
        /// Which one, from 1.
        line: usize,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// Another format or version.
    #[error("the format is {found}; this program reads {FORMAT} {VERSION}")]
    Format {
        /// What the first line says.
        found: String,
    },
    /// The events make no sense together.
    #[error("event at {at}: {problem}")]
    Event {
        /// Its time.
        at: u64,
        /// What is wrong.
        problem: String,
    },
}

impl History {
    /// An empty one.
    #[must_use]
    pub fn new(seed: u64, title: &str) -> Self {
        let about = About {
            format: FORMAT.to_owned(),
            version: VERSION,
            seed,
            title: title.to_owned(),
        };
        Self {
            about,
            events: Vec::new(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no history.
    pub fn load(path: &Path) -> Result<Self, Malformed> {
        Self::read(BufReader::new(File::open(path)?))
    }

    /// Reads what [`Self::write`] wrote.
    ///
    /// # Errors
    /// When it cannot be read, or is no history.
    pub fn read(from: impl BufRead) -> Result<Self, Malformed> {
        let mut lines = from.lines().enumerate().map(|(index, text)| (index + 1, text));
        let first = lines.next().map_or_else(|| Ok(String::new()), |(_, text)| text)?;
        let about: About = parse(1, &first)?;
        if about.format != FORMAT || about.version != VERSION {
            let found = format!("{} {}", about.format, about.version);
            return Err(Malformed::Format { found });
        }
        let mut events: Vec<Event> = Vec::new();
        for (line, text) in lines {
            let event: Event = parse(line, &text?)?;
            if events.last().is_some_and(|last| last.at >= event.at) {
                let problem = "its time is not after the one before".to_owned();
                return Err(Malformed::Event { at: event.at, problem });
            }
            events.push(event);
        }
        Ok(Self { about, events })
    }

    /// Writes a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Malformed> {
        let mut file = BufWriter::new(File::create(path)?);
        self.write(&mut file)?;
        Ok(file.flush()?)
    }

    /// Writes it as lines of JSON.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, to: &mut impl Write) -> Result<(), Malformed> {
        line(to, &self.about)?;
        self.events.iter().try_for_each(|event| line(to, event))
    }

    /// The operations of all processes, in the order in which they began.
    ///
    /// # Errors
    /// When a process began a second operation before the first one ended, or ended one that it had not begun.
    pub fn operations(&self) -> Result<Vec<Operation>, Malformed> {
        operation::pair(&self.events)
    }
}

fn parse<'a, T: Deserialize<'a>>(line: usize, text: &'a str) -> Result<T, Malformed> {
    serde_json::from_str(text).map_err(|source| Malformed::Line { line, source })
}

fn line(to: &mut impl Write, item: &impl Serialize) -> Result<(), Malformed> {
    serde_json::to_writer(&mut *to, item).map_err(std::io::Error::from)?;
    Ok(to.write_all(b"\n")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let mut history = History::new(7, "a test");
        let recorder = Recorder::default();
        let one = recorder.process();
        let read = Op::read("k");
        recorder.invoke(one, &read, "master-1");
        recorder.note("kill master-1");
        recorder.ok(
            one,
            Answer::Read {
                value: Some(Value::List(vec![1, 2])),
                revision: 9,
            },
        );
        let txn = Op::Txn {
            compare: vec![Compare {
                key: "a".to_owned(),
                expected: None,
                revision: 0,
            }],
            then: vec![Step::Put {
                key: "a".to_owned(),
                value: Value::Int(1),
            }],
            otherwise: vec![Step::Get { key: "a".to_owned() }],
        };
        recorder.invoke(one, &txn, "master-2");
        recorder.info(one, "504");
        let watcher = recorder.process();
        recorder.seen(
            watcher,
            Seen::Opened {
                prefix: "a".to_owned(),
                from: 3,
            },
        );
        recorder.seen(
            watcher,
            Seen::Change {
                key: "a".to_owned(),
                value: None,
                revision: 4,
            },
        );
        history.events = recorder.events();
        let mut file = Vec::new();
        history.write(&mut file).unwrap();
        assert_eq!(History::read(file.as_slice()).unwrap(), history);
        assert_eq!(String::from_utf8(file).unwrap().lines().count(), 8);
    }

    #[test]
    fn other_files_are_refused() {
        let refused = |text: &str| History::read(text.as_bytes()).unwrap_err().to_string();
        assert!(refused("").contains("line 1"));
        let first = r#"{"format":"elasticore-history","version":1,"seed":1,"title":""}"#;
        assert!(refused(&format!("{first}\n{{}}")).contains("line 2"));
        assert!(refused(&first.replace(":1,\"s", ":2,\"s")).contains("elasticore-history 2"));
    }
}
