//! Settled views in, lines of a file out: one file for the whole run, however often its source is opened again.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use khan_api::Timestamp;

use super::format::{RecordingError, TableLine, VERSION, frame};
use crate::duration;
use crate::feed::{Feed, News, channel};
use crate::model::View;
use crate::model::services::Services;
use crate::model::table::frame::TableFrame;
use crate::size;

/// How much a recording may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// From its first view on; without end where there is none.
    pub span: Option<Duration>,
    /// Size of the file, in bytes.
    pub bytes: u64,
}

/// The recording of a run; shared by all who write to it and by the code that decides the exit code.
#[derive(Clone, Debug, Default)]
pub struct Recording(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    tape: Option<Tape>,
    end: Option<End>,
}

/// How a recording ended before its program.
#[derive(Clone, Debug)]
enum End {
    /// It holds all that it may.
    Full(String),
    /// It could not be written.
    Failed(String),
}

/// What of one source the file holds already.
#[derive(Debug, Default)]
struct Written {
    /// Nodes and ids of their tables.
    tables: HashSet<(String, String)>,
    /// Those of the latest view.
    services: Option<Arc<Services>>,
}

/// The file.
#[derive(Debug)]
struct Tape {
    path: PathBuf,
    file: BufWriter<Counted>,
    bounds: Bounds,
    views: u64,
    first: Option<Timestamp>,
    last: Timestamp,
}

/// A file, and how many bytes were written to it.
#[derive(Debug)]
struct Counted {
    file: File,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Recording {
    /// Why it is not whole, one sentence: writing failed.
    pub fn failure(&self) -> Option<String> {
        match self.state().end.as_ref()? {
            End::Failed(reason) => Some(reason.clone()),
            End::Full(_) => None,
        }
    }

    /// What it holds, one sentence; `None` where nothing was recorded.
    pub fn summary(&self) -> Option<String> {
        let state = self.state();
        let tape = state.tape.as_ref()?;
        let full = match &state.end {
            Some(End::Full(reason)) => format!(", complete: {reason}"),
            _ => String::new(),
        };
        Some(format!("recorded {}{full}", tape.contents()))
    }

    /// Fails where the file holds something that is not of this run. To be asked before its source is.
    pub fn check(&self, path: &Path) -> Result<(), RecordingError> {
        let holds = path.metadata().is_ok_and(|file| file.is_file() && file.len() > 0);
        if holds && self.state().tape.is_none() {
            Err(RecordingError::Exists(path.display().to_string()))
        } else {
            Ok(())
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a view, unless the recording has ended. The sentence to tell when it ends with this one.
    fn take(&self, view: &View, written: &mut Written) -> Option<End> {
        let mut state = self.state();
        if state.end.is_some() {
            return None;
        }
        let tape = state.tape.as_mut()?;
        let end = match tape.take(view, written) {
            Ok(None) => return None,
            Ok(Some(full)) => End::Full(full),
            Err(error) => End::Failed(format!("--record {}: the recording stopped: {error}", tape.path.display())),
        };
        state.end = Some(end.clone());
        Some(end)
    }
}

impl Tape {
    fn create(path: &Path, bounds: Bounds) -> io::Result<Self> {
        let file = BufWriter::new(Counted { file: create(path)?, bytes: 0 });
        Ok(Self { path: path.to_owned(), file, bounds, views: 0, first: None, last: Timestamp::default() })
    }

    fn contents(&self) -> String {
        let span = self.first.map_or(Duration::ZERO, |first| self.last.since(first));
        let (rounds, bytes) = (self.views, self.file.get_ref().bytes);
        let plural = if rounds == 1 { "round" } else { "rounds" };
        format!("{rounds} {plural}, {}, {} to {}", duration::text(span), size::text(bytes), self.path.display())
    }

    /// Writes a view. Says why the recording is complete, where this view does not fit any more.
    fn take(&mut self, view: &View, written: &mut Written) -> io::Result<Option<String>> {
        let first = *self.first.get_or_insert(view.assembled);
        if let Some(span) = self.bounds.span.filter(|span| view.assembled.since(first) > *span) {
            return Ok(Some(format!("{} (--record-for)", duration::text(span))));
        }
        let start = self.file.get_ref().bytes;
        write(&mut self.file, view, written)?;
        if self.file.get_ref().bytes > self.bounds.bytes {
            self.cut(start)?;
            return Ok(Some(format!("{} (--record-size)", size::text(self.bounds.bytes))));
        }
        (self.views, self.last) = (self.views + 1, view.assembled);
        Ok(None)
    }

    /// Takes back what was written behind `end`; a pipe keeps it.
    fn cut(&mut self, end: u64) -> io::Result<()> {
        let counted = self.file.get_mut();
        if counted.file.metadata()?.is_file() {
            counted.file.set_len(end)?;
            counted.file.seek(io::SeekFrom::Start(end))?;
            counted.bytes = end;
        }
        Ok(())
    }
}

/// Writes every settled view of `feed` before anybody else sees it: to `path`, or behind what this run has written there. The
/// first failure to write ends it, because what would be written behind half a line could not be read.
pub fn record(feed: Feed, path: &Path, recording: Recording, bounds: Bounds) -> Result<Feed, RecordingError> {
    {
        let mut state = recording.state();
        if state.tape.is_none() {
            let name = || path.display().to_string();
            let wrong = |error: io::Error| match error.kind() {
                io::ErrorKind::AlreadyExists => RecordingError::Exists(name()),
                _ => RecordingError::File(name(), error),
            };
            state.tape = Some(Tape::create(path, bounds).map_err(wrong)?);
        }
    }
    let Feed { mut views, news, handle, past } = feed;
    let source = views.borrow().source.clone();
    let (feeder, Feed { views: shown, .. }) = channel(View::empty(source));
    let teller = handle.clone();
    tokio::spawn(async move {
        // Tables of another source may have the same names.
        let (mut written, mut last) = (Written::default(), None);
        loop {
            let view = Arc::clone(&views.borrow_and_update());
            if view.settled && last != Some(view.id) {
                last = Some(view.id);
                match recording.take(&view, &mut written) {
                    None => {}
                    Some(End::Full(reason)) => {
                        tracing::info!(reason, "The recording is complete");
                        teller.tell(News::Note(format!("the recording is complete: {reason}")));
                    }
                    Some(End::Failed(reason)) => {
                        tracing::error!(reason, "The recording stopped");
                        teller.tell(News::Error { at: Timestamp::now(), node: String::new(), message: reason });
                    }
                }
            }
            feeder.show(view);
            tokio::select! {
                changed = views.changed() => if changed.is_err() { return },
                () = feeder.views.closed() => return,
            }
        }
    });
    Ok(Feed { views: shown, news, handle, past })
}

/// A file that only its owner can read: it shows who talks to whom. It may have been there before, empty; a device or a pipe
/// keeps its mode.
fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        if metadata.len() > 0 {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

fn write(file: &mut impl Write, view: &View, written: &mut Written) -> io::Result<()> {
    for (index, table) in view.tables() {
        let node = &view.nodes[index as usize].node;
        if written.tables.insert((node.clone(), table.snapshot.clone())) {
            let table = (node.as_str().into(), TableFrame::from(&**table));
            serde_json::to_writer(&mut *file, &TableLine { khan: VERSION, table })?;
            file.write_all(b"\n")?;
        }
    }
    let mut frame = frame(view);
    if written.services.as_ref() != Some(&view.services) {
        frame.services = Some((&*view.services).into());
        written.services = Some(Arc::clone(&view.services));
    }
    serde_json::to_writer(&mut *file, &frame)?;
    file.write_all(b"\n")?;
    file.flush()
}
