//! The event loop: the only place that knows the terminal, the clock, the signals and the feed.
//!
//! One turn waits for something to happen, takes everything else that is ready too, and draws once if the screen must
//! change. Two draws are at least 33 ms apart; nothing is drawn while nothing happens, except that ages tick.

mod export;
mod effects;

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::StreamExt;
use khan_api::Timestamp;
use ratatui::crossterm::event::{Event, EventStream, MouseButton, MouseEventKind};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::feed::{Feed, News};
use crate::model::View;
use crate::model::label_selection::LabelSelection;

use super::keys::Key;
use super::msg::Msg;
use super::panels;
use super::state::App;
use super::tab::Tab;
use super::terminal::background::{self, Latecomer};
use super::terminal::signals::{Signal, Signals};
use super::terminal::{self, Screen};
use super::update::update;

/// The least time between two draws.
const FRAME: Duration = Duration::from_millis(33);

/// Why the screen cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The terminal refused to be used.
    #[error("cannot use the terminal: {0}")]
    Terminal(#[from] io::Error),
    /// A panic on another thread gave the terminal back.
    #[error("stopped after an internal error; the message above says where")]
    Panicked,
}

/// How the screen ended; as an exit code: 0, 130 for Ctrl-c, 128 plus the number of a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As the user wished.
    Quit,
    /// Ctrl-c or SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// SIGHUP, or the terminal is gone.
    HungUp,
    /// The program goes on: the source is to be opened again, in another context if one is named, and then the screen.
    Reconnect(Option<String>),
}

impl Ending {
    /// The process's exit code, where it ends.
    pub const fn code(&self) -> Option<u8> {
        match self {
            Self::Quit => Some(0),
            Self::Interrupted => Some(130),
            Self::Terminated => Some(143),
            Self::HungUp => Some(129),
            Self::Reconnect(_) => None,
        }
    }
}

/// A source, connected.
#[derive(Debug)]
pub struct Source {
    /// What it yields.
    pub feed: Feed,
    /// Contexts that `:ctx` offers instead of its own.
    pub contexts: Vec<String>,
    /// The pods selected there.
    pub labels: Option<LabelSelection>,
}

/// Shows what a source yields until the user, a signal or the terminal ends it. The state is handed back for another source.
pub async fn run(app: App, source: Source) -> Result<(Ending, App), Error> {
    terminal::install_panic_hook();
    let signals = Signals::listen()?;
    let screen = Screen::enter(app.settings.mouse())?;
    let (answers, answered) = mpsc::channel(16);
    let mut turn = Turn {
        app,
        feed: source.feed,
        screen,
        signals,
        answers,
        answered,
        question: None,
        next_draw: Instant::now(),
        asked: HashSet::new(),
        latecomer: None,
    };
    let (width, height) = ratatui::crossterm::terminal::size()?;
    turn.update(Msg::Connected(source.contexts, source.labels));
    turn.update(Msg::Tick(Timestamp::now()));
    turn.update(Msg::Resize(width, height));
    if turn.app.settings.follows_background()
        && let Some(ending) = turn.choose_theme().await?
    {
        return Ok((ending, turn.app));
    }
    let ending = turn.go().await;
    let Turn { screen, question, app, .. } = turn;
    if let Some(question) = question {
        question.abort();
    }
    drop(screen);
    Ok((ending?, app))
}

/// What the loop holds.
struct Turn {
    app: App,
    feed: Feed,
    screen: Screen,
    signals: Signals,
    answers: mpsc::Sender<Msg>,
    answered: mpsc::Receiver<Msg>,
    /// The question for single connections that is on its way.
    question: Option<JoinHandle<()>>,
    /// The next draw is not before this. A moment that stays until it is over: one that moved with the clock would never
    /// come while a source has always something new.
    next_draw: Instant,
    /// Shapes of the queries that the source knows about.
    asked: HashSet<u128>,
    /// Watches for an answer about the terminal's background, while one may still come.
    latecomer: Option<Latecomer>,
}

/// What woke the loop.
enum Wake {
    Event(Option<io::Result<Event>>),
    View(Option<Arc<View>>),
    News(Option<News>),
    Answer(Msg),
    Signal(Signal),
    Clock,
    Due,
    Draw,
    Panic,
}

/// What the source tells next, views or news by chance.
async fn told(feed: &mut Feed, views_open: bool, news_open: bool) -> Wake {
    tokio::select! {
        changed = feed.views.changed(), if views_open => {
            Wake::View(changed.ok().map(|()| Arc::clone(&feed.views.borrow_and_update())))
        }
        news = feed.news.recv(), if news_open => Wake::News(news),
        else => std::future::pending().await,
    }
}

impl Turn {
    async fn go(&mut self) -> Result<Ending, Error> {
        // Created only now: it reads whatever the terminal sends, answers to queries included.
        let mut events = EventStream::new();
        let mut clock = interval(Duration::from_secs(1));
        clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut views_open, mut news_open) = (true, true);
        self.feed.views.mark_changed();
        loop {
            let due = self.due();
            // The user comes first: a busy machine may need seconds to take in the view of a large cluster, and the next one may
            // be there by then. What comes before the source is over soon, so the source gets its turn.
            let wake = tokio::select! {
                biased;
                () = terminal::panicked() => Wake::Panic,
                signal = self.signals.next() => Wake::Signal(signal),
                event = events.next() => Wake::Event(event),
                Some(answer) = self.answered.recv() => Wake::Answer(answer),
                () = sleep_until(self.next_draw.into()), if self.app.is_dirty() => Wake::Draw,
                _ = clock.tick() => Wake::Clock,
                () = sleep_until(due.unwrap_or(self.next_draw).into()), if due.is_some() => Wake::Due,
                wake = told(&mut self.feed, views_open, news_open) => wake,
            };
            let ended = match wake {
                Wake::Panic => return Err(Error::Panicked),
                Wake::Signal(signal) => self.signalled(signal).await?,
                Wake::Event(event) => {
                    let mut ended = self.event(event).await?;
                    // A storm of resizes, or a pasted text typed by hand, costs one draw.
                    while let (None, Poll::Ready(event)) = (&ended, futures::poll!(events.next())) {
                        ended = self.event(event).await?;
                    }
                    ended
                }
                Wake::Answer(msg) => self.react(msg).await?,
                Wake::View(Some(view)) => self.react(Msg::View(view)).await?,
                Wake::View(None) => {
                    views_open = false;
                    self.react(Msg::SourceGone).await?
                }
                Wake::News(Some(news)) => self.react(Msg::News(news)).await?,
                Wake::News(None) => {
                    news_open = false;
                    None
                }
                Wake::Clock if !terminal::alive() => Some(Ending::HungUp),
                Wake::Clock => self.react(Msg::Tick(Timestamp::now())).await?,
                Wake::Due => self.react(Msg::Due).await?,
                Wake::Draw => {
                    self.draw()?;
                    None
                }
            };
            if let Some(ending) = ended {
                return Ok(ending);
            }
        }
    }

    /// When the next round of what is played is to be shown: not before the one before it was drawn.
    fn due(&self) -> Option<Instant> {
        self.app.data.player().due().map(|due| due.max(self.next_draw))
    }

    /// Asks the terminal for its background before anybody else reads what it sends.
    async fn choose_theme(&mut self) -> Result<Option<Ending>, Error> {
        let answer = background::ask()?;
        self.update(Msg::Background(answer.theme));
        if !answer.complete {
            self.latecomer = Some(Latecomer::expect(Instant::now()));
        }
        for key in answer.typed {
            if let Some(ending) = self.react(Msg::Key(key)).await? {
                return Ok(Some(ending));
            }
        }
        Ok(None)
    }

    /// A message that has no effect outside of the state.
    fn update(&mut self, msg: Msg) {
        update(&mut self.app, msg, Instant::now());
    }

    fn draw(&mut self) -> Result<(), Error> {
        let (width, height) = ratatui::crossterm::terminal::size()?;
        self.update(Msg::Resize(width, height));
        self.update(Msg::Drawn);
        self.next_draw = Instant::now() + FRAME;
        self.ask();
        let app = &self.app;
        match self.screen.draw(|frame| panels::draw(app, frame)) {
            Ok(()) => Ok(()),
            // The clock notices within a second whether it is gone.
            Err(_) if !terminal::alive() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets the source know what is asked of its views now, so that one that sums on a server sums finely enough.
    fn ask(&mut self) {
        let problems = (self.app.lists.tab().numbered() == Tab::Problems).then(|| self.app.question.evidence_query());
        for query in self.app.data.history().tracked().chain(problems.as_ref()) {
            if self.asked.insert(query.shape()) {
                self.feed.handle.ask(query);
            }
        }
    }

    async fn event(&mut self, event: Option<io::Result<Event>>) -> Result<Option<Ending>, Error> {
        let msg = match event {
            None => return Ok(Some(Ending::HungUp)),
            Some(Err(_)) if !terminal::alive() => return Ok(Some(Ending::HungUp)),
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(event)) => match event {
                Event::Key(key) => Key::from_event(key).filter(|key| !self.is_late(*key)).map(Msg::Key),
                Event::Paste(text) => Some(Msg::Paste(text)),
                Event::Resize(width, height) => Some(Msg::Resize(width, height)),
                Event::Mouse(mouse) => match mouse.kind {
                    MouseEventKind::ScrollDown => Some(Msg::Wheel(1)),
                    MouseEventKind::ScrollUp => Some(Msg::Wheel(-1)),
                    MouseEventKind::Down(MouseButton::Left) => Some(Msg::Click(mouse.column, mouse.row)),
                    _ => None,
                },
                Event::FocusGained | Event::FocusLost => None,
            },
        };
        match msg {
            Some(msg) => self.react(msg).await,
            None => Ok(None),
        }
    }

    fn is_late(&mut self, key: Key) -> bool {
        self.latecomer.as_mut().is_some_and(|latecomer| latecomer.takes(key, Instant::now()))
    }
}
