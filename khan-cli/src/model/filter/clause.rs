//! Terms joined by "and", "or" and "not".

use std::fmt;

/// Terms in brackets. Made by [`Clause::all`], [`Clause::any`] and [`Clause::not`] it has one shape for one meaning: nothing
/// is nested in its own kind, and nothing stands alone in a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Clause<T> {
    /// One term.
    Term(T),
    /// Holds where the other does not.
    Not(Box<Self>),
    /// Holds where all of them do.
    All(Vec<Self>),
    /// Holds where one of them does.
    Any(Vec<Self>),
}

impl<T> Clause<T> {
    /// Holds where this does not.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "reads like its siblings")]
    pub fn not(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// All of `parts`.
    pub fn all(parts: Vec<Self>) -> Self {
        Self::join(parts, Self::All, |part| if let Self::All(parts) = part { Ok(parts) } else { Err(part) })
    }

    /// One of `parts`.
    pub fn any(parts: Vec<Self>) -> Self {
        Self::join(parts, Self::Any, |part| if let Self::Any(parts) = part { Ok(parts) } else { Err(part) })
    }

    fn join(parts: Vec<Self>, make: fn(Vec<Self>) -> Self, open: fn(Self) -> Result<Vec<Self>, Self>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match open(part) {
                Ok(parts) => flat.extend(parts),
                Err(part) => flat.push(part),
            }
        }
        if flat.len() == 1 { flat.swap_remove(0) } else { make(flat) }
    }

    /// Whether it holds, given what holds for each term.
    pub fn holds(&self, test: &impl Fn(&T) -> bool) -> bool {
        match self {
            Self::Term(term) => test(term),
            Self::Not(inner) => !inner.holds(test),
            Self::All(parts) => parts.iter().all(|part| part.holds(test)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(test)),
        }
    }

    /// The same over other terms.
    pub fn map<'a, U>(&'a self, change: &mut impl FnMut(&'a T) -> U) -> Clause<U> {
        match self {
            Self::Term(term) => Clause::Term(change(term)),
            Self::Not(inner) => Clause::Not(Box::new(inner.map(change))),
            Self::All(parts) => Clause::All(parts.iter().map(|part| part.map(change)).collect()),
            Self::Any(parts) => Clause::Any(parts.iter().map(|part| part.map(change)).collect()),
        }
    }

    /// The same over other terms, unless one of them has no other.
    pub fn try_map<U, E>(self, change: &mut impl FnMut(T) -> Result<U, E>) -> Result<Clause<U>, E> {
        Ok(match self {
            Self::Term(term) => Clause::Term(change(term)?),
            Self::Not(inner) => Clause::Not(Box::new(inner.try_map(change)?)),
            Self::All(parts) => {
                Clause::All(parts.into_iter().map(|part| part.try_map(change)).collect::<Result<_, _>>()?)
            }
            Self::Any(parts) => {
                Clause::Any(parts.into_iter().map(|part| part.try_map(change)).collect::<Result<_, _>>()?)
            }
        })
    }

    /// Every term, in order, and whether it is wanted: not turned round by a "not" above it.
    pub fn terms(&self) -> impl Iterator<Item = (&T, bool)> {
        let mut open = vec![(self, true)];
        std::iter::from_fn(move || {
            loop {
                let (clause, wanted) = open.pop()?;
                match clause {
                    Self::Term(term) => return Some((term, wanted)),
                    Self::Not(inner) => open.push((inner, !wanted)),
                    Self::All(parts) | Self::Any(parts) => open.extend(parts.iter().rev().map(|part| (part, wanted))),
                }
            }
        })
    }

    /// One of two or more, which needs brackets where it is joined by "and".
    pub(super) const fn is_choice(&self) -> bool {
        matches!(self, Self::Any(_))
    }
}

impl<T: fmt::Display> fmt::Display for Clause<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Term(term) => write!(f, "{term}"),
            Self::Not(inner) if matches!(**inner, Self::Term(_)) => write!(f, "-{inner}"),
            Self::Not(inner) => write!(f, "-({inner})"),
            Self::All(parts) => joined(f, parts, " ", Self::is_choice),
            // "And" binds closer, so that nothing in here needs brackets.
            Self::Any(parts) => joined(f, parts, " or ", |_| false),
        }
    }
}

fn joined<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    parts: &[Clause<T>],
    between: &str,
    brackets: impl Fn(&Clause<T>) -> bool,
) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        f.write_str(if at == 0 { "" } else { between })?;
        if brackets(part) { write!(f, "({part})")? } else { write!(f, "{part}")? }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(name: char) -> Clause<char> {
        Clause::Term(name)
    }

    #[test]
    fn brackets_stand_only_where_they_mean_something() {
        let or = Clause::any(vec![term('a'), Clause::all(vec![term('b'), term('c').not()])]);
        assert_eq!(or.to_string(), "a or b -c");
        assert_eq!(Clause::all(vec![or.clone(), term('d')]).to_string(), "(a or b -c) d");
        assert_eq!(or.clone().not().to_string(), "-(a or b -c)");
        assert_eq!(or.clone().not().not(), or);
        assert_eq!(Clause::any(vec![or, term('e')]).to_string(), "a or b -c or e");
        assert_eq!(Clause::all(vec![Clause::any(vec![term('a')])]), term('a'));
    }

    #[test]
    fn terms_know_whether_they_are_wanted() {
        let clause = Clause::all(vec![term('a'), Clause::any(vec![term('b').not(), term('c')]).not()]);
        let terms: Vec<_> = clause.terms().map(|(name, wanted)| (*name, wanted)).collect();
        assert_eq!(terms, [('a', true), ('b', true), ('c', false)]);
        assert!(clause.holds(&|name| *name != 'c'));
        assert!(!clause.holds(&|_| true));
    }
}
