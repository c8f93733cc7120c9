//! Candidates for a command: its name, then its value.

use super::values::{listed, named, words};
use super::{Around, Candidate, Candidates, Names, filter, orders};
use crate::model::filter::Subject;
use crate::model::{GroupBy, Sort};
use crate::screen::columns::Column;
use crate::screen::commands::{COMMANDS, Values, command};
use crate::screen::keys::BINDINGS;
use crate::screen::styles::Theme;
use crate::screen::tab::Tab;

/// What may take the place of the last word of a command.
pub(super) fn candidates(head: &str, around: &Around<'_>, names: &mut Names) -> Candidates {
    let Some((name, value)) = head.split_once(' ') else {
        return Candidates::fitting(0, head, commands(around));
    };
    let Some(command) = command(name) else { return Candidates::default() };
    let start = head.len() - value.trim_start().len();
    let value = value.trim_start();
    let found = match command.values {
        Values::Filter => filter::candidates(value, around, names),
        Values::Namespaces => named(value, Subject::Namespace, around, names),
        Values::Contexts => Candidates::fitting(0, value, words(around.contexts.iter().map(String::as_str))),
        Values::Groups => listed(value, GroupBy::WORDS.iter().map(|(word, meaning)| Candidate::new(*word, *meaning))),
        Values::Columns => {
            let columns = Column::all().filter(|column| column.applies(&around.group_by));
            listed(value, columns.map(|column| Candidate::new(column.name(), column.entry().meaning)))
        }
        Values::Orders => {
            let minus = usize::from(value.starts_with('-'));
            let orders = orders(around.tab, around.group_by);
            let names = orders.map(|by| Candidate::new(Sort { by, reverse: false }.to_string(), ""));
            Candidates::fitting(minus, &value[minus..], names)
        }
        Values::Themes => Candidates::fitting(0, value, words(Theme::ALL.map(Theme::as_str))),
        Values::Views => {
            let saved = around.views.iter().map(|saved| Candidate::new(&*saved.name, &*saved.summary));
            let own = Tab::ALL.map(|tab| Candidate::new(tab.title().to_lowercase(), ""));
            Candidates::fitting(0, value, saved.chain(own))
        }
        Values::Saved => {
            let saved = around.views.iter().map(|saved| Candidate::new(&*saved.name, &*saved.summary));
            Candidates::fitting(0, value, saved)
        }
        Values::Examples(examples) => Candidates::fitting(0, value, words(examples.iter().copied())),
    };
    found.shifted(start)
}

/// Commands with values, then what keys do here.
fn commands<'a>(around: &Around<'a>) -> impl Iterator<Item = Candidate> + use<'a> {
    let here = around.context;
    let valued = COMMANDS.iter().map(|command| Candidate::new(format!("{} ", command.name), command.help));
    let actions = BINDINGS.iter().filter(move |binding| binding.contexts.contains(&here));
    let actions = actions.filter(|binding| !COMMANDS.iter().any(|command| command.name == binding.name));
    valued.chain(actions.map(|binding| Candidate::new(binding.name, binding.help)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::View;
    use crate::screen::saved::Saved;

    fn texts(head: &str) -> (usize, Vec<String>) {
        let contexts = ["prod".to_owned(), "staging".to_owned()];
        let (view, views) = (View::default(), [Saved::read("exits", &[]).unwrap()]);
        let around = Around::edges(&view, &contexts, &views);
        let found = candidates(head, &around, &mut Names::default());
        (found.start, found.list.into_iter().map(|one| one.text).collect())
    }

    #[test]
    fn names_and_values_are_offered() {
        assert_eq!(texts("interv").1, ["interval "]);
        assert_eq!(texts("thresh").1, [""; 0], "what does nothing here");
        assert_eq!(texts("context pr"), (8, vec!["prod".into()]));
        assert_eq!(texts("ctx  st"), (5, vec!["staging".into()]));
        assert_eq!(texts("sort-by -de"), (9, vec!["destination".into(), "delta".into()]));
        assert_eq!(texts("theme cv").1, ["cvd"]);
        assert_eq!(texts("group-by src,dst-i"), (13, vec!["dst-ip".into()]));
        assert_eq!(texts("columns source,tren"), (15, vec!["trend".into()]));
        assert_eq!(texts("filter is:sta"), (10, vec!["stale".into()]));
        assert_eq!(texts("view ex"), (5, vec!["exits".into(), "external".into()]));
        assert_eq!(texts("save ex").1, ["exits"]);
        assert_eq!(texts("pause x").1, [""; 0]);
    }
}
