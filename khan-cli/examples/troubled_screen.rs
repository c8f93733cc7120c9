//! A screen in the trouble that its argument names, for `tests/pty.rs`, which looks at what becomes of the terminal.

use std::sync::Arc;

use khan_cli::feed::{self, Feeder};
use khan_cli::model::{SourceInfo, View};
use khan_cli::screen::{self, Source, terminal};
use tokio::signal::unix::{SignalKind, signal};

const WHY: &str = "on purpose";

fn main() -> Result<(), String> {
    match std::env::args().nth(1).as_deref() {
        Some("errs") => errs(),
        Some("panics") => panics(),
        Some("task-panics") => task_panics(),
        Some("flooded") => flooded(),
        _ => Err("usage: troubled_screen errs|panics|task-panics|flooded".into()),
    }
}

fn errs() -> Result<(), String> {
    let _screen = terminal::Screen::enter(true).map_err(|error| error.to_string())?;
    Err(WHY.into())
}

fn panics() -> ! {
    terminal::install_panic_hook();
    let _screen = terminal::Screen::enter(true).expect("a terminal");
    panic!("{WHY}");
}

/// Shows an empty screen until the first SIGUSR1, which makes a task panic.
fn task_panics() -> ! {
    let ended = shown(async |_feeder| {
        let mut asked = signal(SignalKind::user_defined1()).expect("signals");
        asked.recv().await;
        panic!("{WHY}");
    });
    panic!("{ended:?}");
}

/// Shows a source that has something new faster than anybody can take it in, until the user quits.
fn flooded() -> Result<(), String> {
    shown(async |feeder| {
        let flood = move || {
            while feeder.views.send(Arc::new(View::empty(SourceInfo::default()))).is_ok() {}
        };
        drop(tokio::task::spawn_blocking(flood));
    })
}

/// Shows what `source` does with its end, until the user quits.
fn shown<F: Future<Output = ()> + Send + 'static>(source: impl FnOnce(Feeder) -> F) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let (feeder, feed) = feed::channel(View::default());
        tokio::spawn(source(feeder));
        let app = screen::Options::default().app().map_err(|error| error.to_string())?;
        let ended = screen::run(app, Source { feed, contexts: Vec::new(), labels: None }).await;
        ended.map(drop).map_err(|error| error.to_string())
    })
}
