//! What a recording holds, without reading a row of it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::time::Duration;

use khan_api::{Label, Name, Sentence, Timestamp};
use serde::Deserialize;

use super::format::{Lines, MARK, OLDER, RecordingError, TABLE, VERSION};

/// What is in a recording.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Size of the file.
    pub bytes: u64,
    /// When its first view was put together.
    pub first: Timestamp,
    /// When its last view was put together.
    pub last: Timestamp,
    /// Number of views.
    pub rounds: u64,
    /// Where its views come from: `agents`, `prometheus`, `local`.
    pub sources: BTreeSet<Label>,
    /// Contexts of a kubeconfig that led there.
    pub contexts: BTreeSet<Sentence>,
    /// Every node that any view knows.
    pub nodes: BTreeSet<Name>,
    /// What of the file cannot be read, one sentence.
    pub lost: Option<String>,
}

impl Contents {
    fn take(&mut self, frame: Frame) {
        if self.rounds == 0 {
            self.first = frame.at;
        }
        (self.last, self.rounds) = (frame.at, self.rounds + 1);
        self.sources.insert(frame.source);
        self.contexts.extend(Some(frame.context).filter(|context| !context.is_empty()));
        self.nodes.extend(frame.nodes.into_iter().map(|node| node.node));
    }

    /// The time from its first view to its last.
    pub fn span(&self) -> Duration {
        self.last.since(self.first)
    }
}

/// Of a view's line, what is told here.
#[derive(Deserialize)]
struct Frame {
    khan: u32,
    at: Timestamp,
    source: Label,
    context: Sentence,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    node: Name,
}

/// Whether the file begins as recordings do.
pub fn is_recording(path: &Path) -> bool {
    let mut begin = [0; MARK.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut begin)).is_ok() && begin == MARK
}

/// Looks through a recording. One that breaks off is told as far as it is whole; one without a whole view is an error.
pub fn survey(path: &Path) -> Result<Contents, RecordingError> {
    let name = path.display().to_string();
    let failed = |error| RecordingError::File(name.clone(), error);
    let file = File::open(path).map_err(failed)?;
    let mut contents = Contents { bytes: file.metadata().map_err(failed)?.len(), ..Contents::default() };
    for (number, line) in Lines::of(BufReader::new(file)).enumerate() {
        let line = line.map_err(failed)?;
        if line.starts_with(TABLE) || line.trim_ascii().is_empty() {
            continue;
        }
        let wrong = |reason: String| RecordingError::Line { file: name.clone(), line: number + 1, reason };
        match serde_json::from_slice::<Frame>(&line) {
            Ok(frame) if [OLDER, VERSION].contains(&frame.khan) => contents.take(frame),
            Ok(frame) => {
                return Err(wrong(format!("it has version {} of the format, this khan reads {VERSION}", frame.khan)));
            }
            Err(error) if error.is_data() || contents.rounds == 0 => return Err(wrong(Sentence::of(error).into())),
            Err(error) => {
                contents.lost = Some(Sentence::of(format_args!("breaks off at line {}: {error}", number + 1)).into());
                break;
            }
        }
    }
    if contents.rounds == 0 { Err(RecordingError::Empty(name)) } else { Ok(contents) }
}
