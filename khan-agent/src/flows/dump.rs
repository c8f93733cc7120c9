//! One dump: in, a [`Reader`]; out, every entry once to a [`Sink`], or an error and nothing.
//!
//! An attempt that was spoiled is begun again, a bounded number of times, after the sink has forgotten what it got.

use super::NodeTables;
use super::reader::{AttemptError, DumpError, Dumped, Reader, Sink, Spoiled, Stats};

/// Maximum number of attempts.
const ATTEMPTS: u32 = 5;

/// Why attempts were begun again, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retries {
    /// [`Spoiled::Overflow`]
    pub overflow: u64,
    /// [`Spoiled::Interrupted`]
    pub interrupted: u64,
    /// [`Spoiled::Inconsistent`]
    pub inconsistent: u64,
    /// [`Spoiled::Truncated`]
    pub truncated: u64,
    /// [`Spoiled::Resized`]
    pub resized: u64,
    /// [`Spoiled::Zones`]
    pub zones: u64,
}

impl Retries {
    /// Each cause by the value of the label `cause`.
    pub(crate) const fn by_cause(&self) -> [(&'static str, u64); 6] {
        [
            ("overflow", self.overflow),
            ("interrupted", self.interrupted),
            ("inconsistent", self.inconsistent),
            ("truncated", self.truncated),
            ("resized", self.resized),
            ("zones", self.zones),
        ]
    }

    fn count(&mut self, why: Spoiled) {
        let counter = match why {
            Spoiled::Overflow => &mut self.overflow,
            Spoiled::Interrupted => &mut self.interrupted,
            Spoiled::Inconsistent => &mut self.inconsistent,
            Spoiled::Truncated => &mut self.truncated,
            Spoiled::Resized => &mut self.resized,
            Spoiled::Zones => &mut self.zones,
        };
        *counter += 1;
    }
}

/// Dumps this node's tables again and again through one reader.
#[derive(Debug, Default)]
pub struct Dump<R = NodeTables> {
    reader: R,
    retries: Retries,
}

impl<R: Reader> Dump<R> {
    /// Through this reader.
    pub fn new(reader: R) -> Self {
        Self { reader, retries: Retries::default() }
    }

    /// Attempts begun again since the start, by cause.
    pub const fn retries(&self) -> &Retries {
        &self.retries
    }

    /// The tables' statistics now.
    pub fn stats(&mut self) -> Result<Stats, DumpError> {
        self.reader.stats()
    }

    /// Dumps the tables into `sink`, which after an error has been told to forget what it got.
    pub fn run(&mut self, sink: &mut impl Sink) -> Result<Dumped, DumpError> {
        let mut attempts = 1;
        loop {
            sink.begin();
            let error = match self.reader.read(sink) {
                Ok(dumped) => return Ok(dumped),
                Err(AttemptError::Final(error)) => error,
                Err(AttemptError::Spoiled(last)) => {
                    self.retries.count(last);
                    if attempts < ATTEMPTS {
                        attempts += 1;
                        continue;
                    }
                    DumpError::Spoiled { attempts, last }
                }
            };
            sink.begin();
            return Err(error);
        }
    }
}
