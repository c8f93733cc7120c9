//! What the loop does outside of the state.

use std::time::Instant;

use super::export::export;
use super::{Ending, Error, Turn};
use crate::config::views;
use crate::screen::msg::{Effect, Exit, Msg, NotWritten};
use crate::screen::panels;
use crate::screen::saved::Saved;
use crate::screen::terminal::{self, clipboard, signals::Signal};
use crate::screen::update::update;

impl Turn {
    /// Does what a signal asks for. Says how the screen ends, if it does.
    pub(super) async fn signalled(&mut self, signal: Signal) -> Result<Option<Ending>, Error> {
        match signal {
            Signal::Interrupt => Ok(Some(Ending::Interrupted)),
            Signal::Terminate => Ok(Some(Ending::Terminated)),
            Signal::HangUp => Ok(Some(Ending::HungUp)),
            Signal::Stop => {
                self.suspend().await?;
                Ok(None)
            }
            Signal::Continue => {
                self.screen.reenter()?;
                self.update(Msg::Lost);
                Ok(None)
            }
        }
    }

    /// Gives the terminal back, stops, and takes it again when somebody says so.
    async fn suspend(&mut self) -> Result<(), Error> {
        terminal::restore(&[]);
        self.signals.stop().await;
        self.screen.reenter()?;
        self.update(Msg::Lost);
        Ok(())
    }

    /// Takes a message and does what follows from it. Says how the screen ends, if it does.
    pub(super) async fn react(&mut self, msg: Msg) -> Result<Option<Ending>, Error> {
        for effect in update(&mut self.app, msg, Instant::now()) {
            match effect {
                Effect::Quit(Exit::Quit) => return Ok(Some(Ending::Quit)),
                Effect::Quit(Exit::Interrupt) => return Ok(Some(Ending::Interrupted)),
                Effect::Quit(Exit::Reconnect(context)) => return Ok(Some(Ending::Reconnect(context))),
                Effect::Quit(Exit::Keep) => {
                    let app = &self.app;
                    let lines = self.screen.lines(|frame| panels::draw(app, frame))?;
                    terminal::restore(&lines);
                    return Ok(Some(Ending::Quit));
                }
                Effect::Suspend => self.suspend().await?,
                Effect::Repaint => self.screen.repaint()?,
                Effect::Mouse(on) => self.screen.set_mouse(on)?,
                Effect::Copy(text) => {
                    self.screen.write(&clipboard::request(&text))?;
                    clipboard::feed(text);
                }
                Effect::Write { name, overwrite, text } => self.write(name, overwrite, text),
                Effect::Save(name, entries) => self.save(name, entries),
                Effect::Refresh => self.feed.handle.refresh(),
                Effect::Interval(interval) => self.feed.handle.set_interval(interval),
                Effect::Past(window) => self.feed.handle.past(window),
                Effect::Cancel => self.cancel(),
                Effect::Sample(number, request) => {
                    self.cancel();
                    let (handle, answers) = (self.feed.handle.clone(), self.answers.clone());
                    self.question = Some(tokio::spawn(async move {
                        let answer = handle.sample(request).await;
                        let _ = answers.send(Msg::Sample(number, answer.map_err(|error| error.to_string()))).await;
                    }));
                }
            }
        }
        Ok(None)
    }

    fn cancel(&mut self) {
        if let Some(question) = self.question.take() {
            question.abort();
        }
    }

    fn save(&self, name: String, entries: Vec<(String, String)>) {
        let Some(path) = self.app.settings.config().map(ToOwned::to_owned) else { return };
        let Ok(saved) = Saved::read(&name, &entries) else { return };
        let answers = self.answers.clone();
        tokio::spawn(async move {
            let file = path.clone();
            let written = tokio::task::spawn_blocking(move || views::save(&file, &name, &entries)).await;
            let written = match written {
                Ok(written) => written.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let _ = answers.send(Msg::Saved(Box::new(saved), written.map(|()| path))).await;
        });
    }

    fn write(&self, name: String, overwrite: bool, text: String) {
        let (answers, directory) = (self.answers.clone(), self.app.settings.directory().to_owned());
        tokio::spawn(async move {
            let called = name.clone();
            let written = tokio::task::spawn_blocking(move || export(&directory, &called, overwrite, &text)).await;
            let written = written.unwrap_or_else(|error| Err(NotWritten::Failed(error.to_string())));
            let _ = answers.send(Msg::Written(name, written)).await;
        });
    }
}
