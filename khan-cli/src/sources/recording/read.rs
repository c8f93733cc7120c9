//! Lines of a file in, views out.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use khan_api::{Name, Sentence};

use super::format::{Frame, Line, Lines, OLDER, RecordingError, VERSION, status};
use super::services::{endpoints, not_held};
use crate::feed::{DetailError, Feed, News, Request, channel, next};
use crate::model::services::Services;
use crate::model::{NodeInput, NodeTable, Pool, SourceInfo, SourceKind, View, merge};
use crate::sources::nodes::NodeChoice;

/// Rows that are held at most, tables that views share counted once: a row takes about 80 bytes. Of a recording with more,
/// the latest views are read.
const MOST_ROWS: usize = 10_000_000;

/// The views of a recording.
#[derive(Debug, Default)]
pub struct Tape {
    /// Every whole view that is held, oldest first.
    pub views: Vec<Arc<View>>,
    /// What of the file they do not show, one sentence each: it breaks off, or it holds too much.
    pub lost: Vec<String>,
}

/// Shows the last view of a recording, with all before it as the past.
pub fn replay(path: &Path, nodes: &NodeChoice) -> Result<Feed, RecordingError> {
    let mut views = read(path, nodes)?;
    let last = views.pop().ok_or_else(|| RecordingError::Empty(path.display().to_string()))?;
    let (mut feeder, mut feed) = channel(View::empty(last.source.clone()));
    feed.past = true;
    feeder.tell(News::Past(views));
    feeder.show(last);
    feeder.tell(News::End);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = feeder.views.closed() => return,
                request = next(&mut feeder.requests) => if let Request::Sample(_, answer) = request {
                    drop(answer.send(Err(DetailError::CountsOnly("a recording"))));
                },
            }
        }
    });
    Ok(feed)
}

/// Every view of a recording, oldest first. One that breaks off, because its writer was killed or the disk was full, is read
/// as far as it is whole, and its last view says what is lost.
pub fn read(path: &Path, nodes: &NodeChoice) -> Result<Vec<Arc<View>>, RecordingError> {
    let Tape { mut views, lost } = load(path, nodes)?;
    if let (Some(last), false) = (views.last_mut(), lost.is_empty())
        && let Some(last) = Arc::get_mut(last)
    {
        last.missing.extend(lost);
    }
    Ok(views)
}

/// The same, and apart from the views what they do not show.
pub fn load(path: &Path, nodes: &NodeChoice) -> Result<Tape, RecordingError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| RecordingError::File(name.clone(), error))?;
    let mut reel = Reel::new();
    let mut lines = Lines::of(BufReader::new(file)).enumerate();
    let (mut lost, mut unseen) = (Vec::new(), false);
    while let Some((number, line)) = lines.next() {
        let line = line.map_err(|error| RecordingError::File(name.clone(), error))?;
        let wrong = |reason: String| RecordingError::Line { file: name.clone(), line: number + 1, reason };
        if line.trim_ascii().is_empty() {
            continue;
        }
        let line = match Line::parse(&line) {
            Ok(line) => line,
            // Valid JSON of another kind was written by somebody else.
            Err(error) if error.is_data() => return Err(wrong(Sentence::of(error).into())),
            Err(error) => {
                let Some(newest) = reel.views.last() else { return Err(wrong(Sentence::of(error).into())) };
                let lost_lines = match 1 + lines.count() {
                    1 => "its last line is".to_owned(),
                    many => format!("its last {many} lines are"),
                };
                let (whole, line) = (newest.assembled, number + 1);
                lost.push(format!(
                    "the recording {name} breaks off after {whole}: {lost_lines} lost (line {line}: {error})"
                ));
                break;
            }
        };
        unseen = reel.take(line, &name, nodes).map_err(wrong)?;
    }
    let Reel { mut views, forgotten, .. } = reel;
    if let Some(last) = views.last().filter(|_| unseen && lost.is_empty()) {
        let whole = last.assembled;
        lost.push(format!("the recording {name} breaks off after {whole}: the view of its last table is lost"));
    }
    if let (Some(first), true) = (views.first(), forgotten > 0) {
        let begin = first.assembled;
        lost.push(format!(
            "the recording {name} is too large to be held: its first {forgotten} rounds, before {begin}, are left out"
        ));
    }
    if let Some(last) = views.last_mut() {
        if last.nodes.is_empty() && !nodes.is_all() {
            return Err(RecordingError::NoNode(name, nodes.names().collect::<Vec<_>>().join(", ")));
        }
        let missing: Vec<_> = nodes.missing(&last.nodes, &format!("the recording {name} ends without")).collect();
        last.missing.extend(missing);
    }
    Ok(Tape { views: views.into_iter().map(Arc::new).collect(), lost })
}

/// A table of the file, and how many of its rows were refused.
type Restored = (Arc<NodeTable>, u64);

/// What is read so far.
struct Reel {
    tables: HashMap<(Name, Name), Restored>,
    /// Those of tables, and endpoints of services.
    rows: usize,
    /// Of the latest view.
    services: Arc<Services>,
    pool: Pool,
    views: Vec<View>,
    /// Views that were let go.
    forgotten: usize,
}

impl Reel {
    fn new() -> Self {
        Self {
            tables: HashMap::new(),
            rows: 0,
            services: Arc::new(not_held()),
            pool: Pool::default(),
            views: Vec::new(),
            forgotten: 0,
        }
    }

    /// Takes a line. Says whether it is a table, whose view is still to come.
    fn take(&mut self, line: Line, file: &str, nodes: &NodeChoice) -> Result<bool, String> {
        let (new, frame) = match line {
            Line::Table(line) => (vec![line.table], None),
            Line::View(mut frame) => (std::mem::take(&mut frame.tables), Some(frame)),
        };
        if let Some(frame) = frame.as_ref().filter(|frame| ![OLDER, VERSION].contains(&frame.khan)) {
            return Err(format!("it has version {} of the format, this khan reads {VERSION}", frame.khan));
        }
        for (node, table) in new {
            let (restored, refused) = table.restore(&mut self.pool);
            self.rows += restored.rows().len();
            self.tables.insert((node, table.id), (Arc::new(restored), refused));
        }
        let unseen = frame.is_none();
        if let Some(mut frame) = frame {
            if let Some(services) = frame.services.take() {
                self.services = Arc::new(services.into());
                self.rows += endpoints(&self.services);
            }
            let mut view = restore(*frame, &self.tables, file, nodes);
            view.services = Arc::clone(&self.services);
            self.views.push(view);
            if self.rows > MOST_ROWS {
                self.forget();
            }
        }
        Ok(unseen)
    }

    /// Lets the older half of the views go, with the tables that no other shows.
    fn forget(&mut self) {
        let half = self.views.len() / 2;
        self.views.drain(..half);
        self.forgotten += half;
        self.tables.retain(|_, (table, _)| Arc::strong_count(table) > 1);
        let rows = self.tables.values().map(|(table, _)| table.rows().len());
        let kept = self.views.chunk_by(|a, b| Arc::ptr_eq(&a.services, &b.services));
        self.rows = rows.chain(kept.map(|same| endpoints(&same[0].services))).sum();
        self.pool.prune();
    }
}

fn restore(
    frame: Frame,
    tables: &HashMap<(Name, Name), (Arc<NodeTable>, u64)>,
    file: &str,
    nodes: &NodeChoice,
) -> View {
    let inputs = frame.nodes.into_iter().filter(|node| nodes.contains(&node.node)).map(|node| {
        let table = node.table.as_ref().and_then(|id| tables.get(&(node.node.clone(), id.clone()))).cloned();
        let lost = table.as_ref().map_or(0, |(_, refused)| *refused);
        let mut status = status(node);
        status.refused += lost;
        NodeInput { status, table: table.map(|(table, _)| table) }
    });
    let detail = [file, &*frame.source, &*frame.context, &*frame.detail];
    let detail: Vec<_> = detail.into_iter().filter(|part| !part.is_empty()).collect();
    let source = SourceInfo {
        kind: SourceKind::Replay,
        context: (&frame.context).into(),
        detail: detail.join(", "),
        recorded: SourceKind::ALL.into_iter().find(|kind| kind.as_str() == &*frame.source),
    };
    let mut view = merge(source, inputs.collect(), frame.at);
    view.notes.extend(frame.notes.into_iter().map(Into::into));
    view.missing.extend(frame.missing.into_iter().map(Into::into));
    view
}
