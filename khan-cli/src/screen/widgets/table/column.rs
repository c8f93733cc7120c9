//! The columns of a table, and the cells that each of them gets.

use std::borrow::Cow;

use ratatui::layout::Alignment;
use ratatui::style::Style;

/// Which way the values of a sorted column run down the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Ascending,
    Descending,
}

/// A column that could be shown.
#[derive(Clone, Debug)]
pub(crate) struct Column<C> {
    /// What it shows.
    pub(super) id: C,
    /// Its head.
    pub(super) head: Cow<'static, str>,
    /// Its head where it has fewer cells than the usual one takes.
    pub(super) short: Option<&'static str>,
    /// How its head looks, where not as heads do.
    pub(super) head_style: Option<Style>,
    /// Set when the rows are sorted by it.
    pub(super) order: Option<Order>,
    /// Cells; 0 for a column of names, which share what the others leave.
    pub(super) width: u16,
    /// It leaves when the columns of names would have fewer cells than this each; 0 for one that stays.
    pub(super) needs: u16,
    /// Of the columns that may leave, the one with the highest rank leaves first.
    pub(super) rank: u8,
    /// On which side its texts stand.
    pub(super) align: Alignment,
}

impl<C> Column<C> {
    /// A column of names.
    pub(crate) fn names(id: C, head: impl Into<Cow<'static, str>>) -> Self {
        Self::left(id, head, 0)
    }

    /// A column of words.
    pub(crate) fn left(id: C, head: impl Into<Cow<'static, str>>, width: u16) -> Self {
        let align = Alignment::Left;
        Self { id, head: head.into(), short: None, head_style: None, order: None, width, needs: 0, rank: 0, align }
    }

    /// A column of numbers.
    pub(crate) fn right(id: C, head: impl Into<Cow<'static, str>>, width: u16) -> Self {
        Self { align: Alignment::Right, ..Self::left(id, head, width) }
    }

    /// Lets it leave: see [`Column::needs`] and [`Column::rank`].
    pub(crate) fn leaves(self, needs: u16, rank: u8) -> Self {
        Self { needs, rank, ..self }
    }

    /// Gives it a head for few cells.
    pub(crate) fn or_short(self, short: &'static str) -> Self {
        Self { short: Some(short), ..self }
    }

    /// Gives its head another look.
    pub(crate) fn head_style(self, style: Style) -> Self {
        Self { head_style: Some(style), ..self }
    }

    /// Marks it as the one that the rows are sorted by.
    pub(crate) fn sorted(self, order: Option<Order>) -> Self {
        Self { order, ..self }
    }
}

/// A column that is shown, with its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot<'a, C> {
    pub(super) column: &'a Column<C>,
    /// First cell.
    pub(super) x: u16,
    /// Cells.
    pub(crate) width: u16,
}

impl<C> Slot<'_, C> {
    /// What it shows.
    pub(crate) fn id(&self) -> C
    where
        C: Copy,
    {
        self.column.id
    }

    /// Whether its texts stand at the left, as names and words do.
    pub(crate) fn is_left(&self) -> bool {
        self.column.align == Alignment::Left
    }
}

/// Cells between two columns.
const GAP: u16 = 1;

/// Chooses columns and places them side by side after the first `lead` of `total` cells.
///
/// Not ratatui's `Layout`: its constraints shrink columns that do not fit, and ours leave one by one.
pub(super) fn place<C>(columns: &[Column<C>], total: u16, lead: u16) -> Vec<Slot<'_, C>> {
    let mut columns: Vec<_> = columns.iter().collect();
    loop {
        let share = share(&columns, total, lead);
        let leaving = (0..columns.len()).filter(|i| columns[*i].needs > 0).max_by_key(|i| columns[*i].rank);
        match leaving {
            Some(i) if share < columns[i].needs => columns.remove(i),
            _ => break,
        };
    }
    let mut left = names(&columns);
    let mut spare = total.saturating_sub(lead).saturating_sub(fixed(&columns));
    let mut x = lead;
    let mut slots = Vec::with_capacity(columns.len());
    for column in columns {
        let mut width = column.width;
        if width == 0 {
            width = spare.div_ceil(left.max(1));
            (spare, left) = (spare - width, left.saturating_sub(1));
        }
        slots.push(Slot { column, x, width });
        x = x.saturating_add(width).saturating_add(GAP);
    }
    slots
}

fn names<C>(columns: &[&Column<C>]) -> u16 {
    u16::try_from(columns.iter().filter(|column| column.width == 0).count()).unwrap_or(u16::MAX)
}

/// Cells of all but the columns of names, gaps included.
fn fixed<C>(columns: &[&Column<C>]) -> u16 {
    let gaps = u16::try_from(columns.len().saturating_sub(1)).unwrap_or(u16::MAX).saturating_mul(GAP);
    columns.iter().fold(gaps, |sum, column| sum.saturating_add(column.width))
}

/// Cells for each column of names; without any, whether the rest fits.
fn share<C>(columns: &[&Column<C>], total: u16, lead: u16) -> u16 {
    match total.checked_sub(fixed(columns).saturating_add(lead)) {
        None => 0,
        Some(spare) => spare.checked_div(names(columns)).unwrap_or(u16::MAX),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_leave_in_their_order_and_names_share_the_rest() {
        let columns = [
            Column::names('s', "SOURCE"),
            Column::names('d', "DESTINATION"),
            Column::right('p', "PORT", 5).leaves(16, 1),
            Column::right('c', "CONNS", 7),
            Column::right('t', "TREND", 15).leaves(22, 2),
        ];
        let shown = |total| place(&columns, total, 2).iter().map(Slot::id).collect::<String>();
        assert_eq!(shown(120), "sdpct");
        assert_eq!(shown(77), "sdpct");
        assert_eq!(shown(76), "sdpc");
        assert_eq!(shown(40), "sdc");
        let places: Vec<_> = place(&columns, 60, 2).iter().map(|slot| (slot.x, slot.width)).collect();
        assert_eq!(places, [(2, 22), (25, 21), (47, 5), (53, 7)]);
    }

    proptest! {
        #[test]
        fn columns_never_overlap(total in 0u16..300, lead in 0u16..4, widths in prop::collection::vec((0u16..20, 0u16..30), 0..9)) {
            let columns: Vec<_> = widths.iter().map(|(width, needs)| Column::right((), "", *width).leaves(*needs, 0)).collect();
            let slots = place(&columns, total, lead);
            prop_assert!(slots.windows(2).all(|pair| pair[0].x + pair[0].width + GAP == pair[1].x));
        }
    }
}
