//! What is shown, as a view in the configuration file.

use crate::duration;
use crate::screen::columns::Choice;
use crate::screen::msg::Effect;
use crate::screen::saved::Saved;
use crate::screen::setting::Setting;
use crate::screen::state::App;
use crate::screen::tab::Tab;

/// Saves what is shown under a name; the error is one sentence.
pub(super) fn save(app: &App, name: &str) -> Result<Effect, String> {
    if app.settings.config().is_none() {
        return Err("there is no home directory for a configuration file: start with --config FILE".into());
    }
    if Tab::ALL.iter().any(|tab| tab.title().eq_ignore_ascii_case(name)) {
        return Err(format!("{name} is a view of the program: give another name"));
    }
    let mut entries = shown(app);
    let before = app.settings.views().iter().find(|saved| saved.name == name);
    entries.extend(before.and_then(|saved| saved.key).map(|key| ("key".to_owned(), key.to_string())));
    // What cannot be read back is not written.
    Saved::read(name, &entries).map_err(|error| error.to_string())?;
    Ok(Effect::Save(name.to_owned(), entries))
}

/// What the view on the screen sets, by the names of [`Setting`].
fn shown(app: &App) -> Vec<(String, String)> {
    let (tab, base, filter) = (app.lists.tab(), app.question.base(), app.question.filter_text());
    let namespaces = if base.namespaces.is_empty() { "*".to_owned() } else { base.namespaces.join(",") };
    let window = if tab == Tab::Leaks { app.question.rule().window } else { base.window };
    let mut entries = app.kept();
    let usual = *app.settings.columns() == Choice::default();
    entries.retain(|(name, _)| match *name {
        "view" => true,
        "columns" => !tab.is_fixed() && !usual,
        _ => !tab.is_fixed(),
    });
    entries.push(("namespace", namespaces));
    entries.push(("filter", if base.inverted { format!("not ({filter})") } else { filter.to_owned() }));
    entries.push(("window", duration::text(window)));
    entries.sort_by_key(|(name, _)| Setting::NAMES.iter().position(|known| known == name));
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
