//! The columns of a table, and the cells that each of them gets. The table draws by it, clicks find heads by it.

use std::borrow::Cow;

use ratatui::layout::Alignment;
use ratatui::style::Style;

use crate::screen::text::cells;

/// Cells before the first column, for the sign of a row.
pub(crate) const LEAD: u16 = 2;

/// Cells between two columns.
const GAP: u16 = 1;

/// Cells at the right end for the mark that says that more columns are there.
const MARK: u16 = 2;

/// Which way the values of a sorted column run down the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// A column that could be shown.
#[derive(Clone, Debug)]
pub(crate) struct Column<C> {
    /// What it shows.
    pub(crate) id: C,
    /// Its head.
    pub(crate) head: Cow<'static, str>,
    /// Its head where it has fewer cells than the usual one takes.
    pub(crate) short: Option<&'static str>,
    /// How its head looks, where not as heads do.
    pub(crate) head_style: Option<Style>,
    /// Set when the rows are sorted by it.
    pub(crate) order: Option<Order>,
    /// On which side its texts stand.
    pub(crate) align: Alignment,
    /// Cells; 0 for a column of names.
    width: u16,
    /// Cells that a column of names could use. Where there are fewer, all are cut to the same width.
    wants: u16,
    /// It leaves when the columns of names would have fewer cells than this each; 0 for one that stays.
    needs: u16,
    /// Of the columns that may leave, the one with the highest rank leaves first.
    rank: u8,
    /// Says which row it is, so it does not scroll away.
    key: bool,
    /// Takes the cells that nothing else needs.
    grows: bool,
}

impl<C> Column<C> {
    /// A column of names.
    pub(crate) fn names(id: C, head: impl Into<Cow<'static, str>>) -> Self {
        Self { wants: u16::MAX, ..Self::left(id, head, 0) }
    }

    /// A column of words.
    pub(crate) fn left(id: C, head: impl Into<Cow<'static, str>>, width: u16) -> Self {
        Self {
            id,
            head: head.into(),
            short: None,
            head_style: None,
            order: None,
            align: Alignment::Left,
            width,
            wants: 0,
            needs: 0,
            rank: 0,
            key: false,
            grows: false,
        }
    }

    /// A column of numbers.
    pub(crate) fn right(id: C, head: impl Into<Cow<'static, str>>, width: u16) -> Self {
        Self { align: Alignment::Right, ..Self::left(id, head, width) }
    }

    /// Lets it leave: see [`Column::needs`] and [`Column::rank`].
    pub(crate) fn leaves(self, needs: u16, rank: u8) -> Self {
        Self { needs, rank, ..self }
    }

    /// Its longest name takes this many cells.
    pub(crate) fn wants(self, wants: u16) -> Self {
        Self { wants, ..self }
    }

    /// Keeps it in sight when the others scroll.
    pub(crate) fn key(self) -> Self {
        Self { key: true, ..self }
    }

    /// Gives it the cells that nothing else needs, unless a column before it takes them.
    pub(crate) fn grows(self) -> Self {
        Self { grows: true, ..self }
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

    /// Cells that it takes, the gap before it included, unless it is a column of names.
    pub(crate) fn taken(&self) -> u16 {
        if self.width == 0 { 0 } else { self.width + GAP }
    }

    /// Cells that a column of names could use, its head with the sign of the order included.
    fn wanted(&self) -> u16 {
        let sign = if self.order.is_some() { 2 } else { 0 };
        self.wants.max(cells(&self.head).saturating_add(sign))
    }
}

/// A column that is shown, with its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot<'a, C> {
    pub(crate) column: &'a Column<C>,
    /// First cell.
    pub(crate) x: u16,
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

/// The columns that are shown, from left to right.
#[derive(Clone, Debug)]
pub(crate) struct Placed<'a, C> {
    /// Each with its place.
    pub(crate) slots: Vec<Slot<'a, C>>,
    /// Columns that have scrolled away at the left.
    pub(crate) shift: usize,
    /// Whether there are columns without room.
    pub(crate) more: bool,
}

impl<C> Placed<'_, C> {
    /// The first cell of the first column that scrolls: the mark for those scrolled away is before it.
    pub(crate) fn seam(&self) -> Option<u16> {
        self.slots.iter().find(|slot| !slot.column.key).map(|slot| slot.x)
    }

    /// The column whose head is at a cell, the gap after it included.
    pub(crate) fn at(&self, x: u16) -> Option<&C> {
        self.slots.iter().find(|slot| (slot.x..=slot.x + slot.width).contains(&x)).map(|slot| &slot.column.id)
    }
}

/// Chooses columns and places them side by side after the first `lead` of `total` cells. Of the columns that are no keys,
/// the first `shift` have scrolled away, but never more than it takes to bring the others into sight.
///
/// Not ratatui's `Layout`: its constraints shrink columns that do not fit, and ours leave one by one.
pub(crate) fn place<C>(columns: &[Column<C>], total: u16, lead: u16, shift: usize) -> Placed<'_, C> {
    let scrolling = columns.iter().filter(|column| !column.key).count();
    let mut placed = scrolled(columns, total, lead, 0);
    while placed.more && placed.shift < shift && placed.shift + 1 < scrolling {
        placed = scrolled(columns, total, lead, placed.shift + 1);
    }
    placed
}

/// Places the columns that are left when `shift` have scrolled away.
fn scrolled<C>(columns: &[Column<C>], total: u16, lead: u16, shift: usize) -> Placed<'_, C> {
    let mut passed = 0;
    let mut left: Vec<_> = columns
        .iter()
        .filter(|column| {
            passed += usize::from(!column.key);
            column.key || passed > shift
        })
        .collect();
    let all = left.len();
    leave(&mut left, total, lead, shift > 0);
    let more = left.len() < all;
    let total = if more { total.saturating_sub(MARK) } else { total };
    leave(&mut left, total, lead, shift > 0);
    Placed { slots: side_by_side(left, total, lead), shift, more }
}

/// Lets columns leave until those that stay have room. The one that was `scrolled` to stays in any case.
fn leave<C>(columns: &mut Vec<&Column<C>>, total: u16, lead: u16, scrolled: bool) {
    loop {
        let first = columns.iter().position(|column| !column.key).filter(|_| scrolled);
        let may = |i: &usize| columns[*i].needs > 0 && first != Some(*i);
        let leaving = (0..columns.len()).filter(may).max_by_key(|i| columns[*i].rank);
        match leaving {
            Some(i) if !has_room(columns, columns[i].needs, total, lead) => drop(columns.remove(i)),
            _ => return,
        }
    }
}

/// Whether each column of names has what it wants, or at least `needs` cells.
fn has_room<C>(columns: &[&Column<C>], needs: u16, total: u16, lead: u16) -> bool {
    let names = columns.iter().filter(|column| column.width == 0);
    let least = names.fold(0_u16, |sum, column| sum.saturating_add(column.wanted().min(needs)));
    fixed(columns).saturating_add(lead).saturating_add(least) <= total
}

fn side_by_side<C>(columns: Vec<&Column<C>>, total: u16, lead: u16) -> Vec<Slot<'_, C>> {
    let spare = total.saturating_sub(lead).saturating_sub(fixed(&columns));
    let wants: Vec<_> = columns.iter().filter(|column| column.width == 0).map(|column| column.wanted()).collect();
    let names = share(&wants, spare);
    let mut slack = spare - names.iter().sum::<u16>();
    let mut names = names.into_iter();
    let mut x = lead;
    let mut slots = Vec::with_capacity(columns.len());
    for column in columns {
        let mut width = if column.width == 0 { names.next().unwrap_or(0) } else { column.width };
        if column.grows {
            width += std::mem::take(&mut slack);
        }
        slots.push(Slot { column, x, width });
        x = x.saturating_add(width).saturating_add(GAP);
    }
    slots
}

/// Divides cells among names: each has what it wants, or all that are cut are cut to the same width.
fn share(wants: &[u16], spare: u16) -> Vec<u16> {
    let mut order: Vec<_> = (0..wants.len()).collect();
    order.sort_by_key(|at| (wants[*at], std::cmp::Reverse(*at)));
    let mut widths = vec![0; wants.len()];
    let (mut spare, mut left) = (spare, u16::try_from(wants.len()).unwrap_or(u16::MAX));
    for at in order {
        widths[at] = wants[at].min(spare / left.max(1));
        (spare, left) = (spare - widths[at], left.saturating_sub(1));
    }
    widths
}

/// Cells of all but the columns of names, gaps included.
fn fixed<C>(columns: &[&Column<C>]) -> u16 {
    let gaps = u16::try_from(columns.len().saturating_sub(1)).unwrap_or(u16::MAX).saturating_mul(GAP);
    columns.iter().fold(gaps, |sum, column| sum.saturating_add(column.width))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn columns() -> [Column<char>; 6] {
        [
            Column::names('s', "SOURCE").wants(20).key(),
            Column::names('d', "DESTINATION").wants(30).key(),
            Column::right('p', "PORT", 5).leaves(16, 1).key(),
            Column::right('c', "CONNS", 7),
            Column::right('r', "/MIN", 7).leaves(18, 2),
            Column::left('t', "TREND", 15).leaves(22, 3).grows(),
        ]
    }

    fn shown(total: u16, shift: usize) -> (String, usize, bool) {
        let columns = columns();
        let placed = place(&columns, total, 2, shift);
        (placed.slots.iter().map(Slot::id).collect(), placed.shift, placed.more)
    }

    #[test]
    fn columns_leave_in_their_order() {
        let of = |total| shown(total, 0).0;
        assert_eq!([120, 85, 75, 57, 40].map(of), ["sdpcrt", "sdpcrt", "sdpcr", "sdpc", "sdc"]);
    }

    #[test]
    fn names_get_what_they_want_and_the_trend_has_the_rest() {
        let columns = columns();
        let widths = |total| -> Vec<u16> { place(&columns, total, 2, 0).slots.iter().map(|slot| slot.width).collect() };
        assert_eq!(widths(120), [20, 30, 5, 7, 7, 15 + 29]);
        assert_eq!(widths(57), [19, 19, 5, 7], "those that are cut are cut to the same width, the mark has two cells");
        assert_eq!(widths(40), [13, 14, 7]);
        let short = [Column::names('s', "").wants(9), Column::names('d', "").wants(50)];
        let placed = place(&short, 40, 2, 0);
        assert_eq!(placed.slots.iter().map(|slot| slot.width).collect::<Vec<_>>(), [9, 28]);
    }

    #[test]
    fn keys_stay_and_the_others_scroll_until_the_last_is_in_sight() {
        assert_eq!(shown(57, 0), ("sdpc".into(), 0, true));
        assert_eq!(shown(57, 1), ("sdpr".into(), 1, true));
        assert_eq!(shown(57, 2), ("sdpt".into(), 2, false), "what was scrolled to has the room");
        assert_eq!(shown(70, 9), ("sdpt".into(), 2, false));
        assert_eq!(shown(120, 9), ("sdpcrt".into(), 0, false), "a wide screen has all in sight");
    }

    #[test]
    fn a_head_is_found_where_it_is_drawn() {
        let columns = columns();
        let placed = place(&columns, 120, 2, 0);
        for slot in &placed.slots {
            assert_eq!((placed.at(slot.x), placed.at(slot.x + slot.width - 1)), (Some(&slot.id()), Some(&slot.id())));
        }
        assert_eq!((placed.at(0), placed.seam()), (None, Some(2 + 21 + 31 + 6)));
    }

    proptest! {
        #[test]
        fn columns_never_overlap(
            total in 0_u16..300,
            lead in 0_u16..4,
            shift in 0_usize..9,
            widths in prop::collection::vec((0_u16..20, 0_u16..60, 0_u16..30, any::<bool>(), any::<bool>()), 0..9),
        ) {
            let column = |(width, wants, needs, key, grows): &(u16, u16, u16, bool, bool)| {
                let column = Column::right((), "", *width).wants(*wants).leaves(*needs, 0);
                let column = if *key { column.key() } else { column };
                if *grows { column.grows() } else { column }
            };
            let columns: Vec<_> = widths.iter().map(column).collect();
            let slots = place(&columns, total, lead, shift).slots;
            prop_assert!(slots.windows(2).all(|pair| pair[0].x + pair[0].width + GAP == pair[1].x));
        }

        #[test]
        fn no_cell_is_shared_out_twice(wants in prop::collection::vec(0_u16..200, 0..6), spare in 0_u16..300) {
            let widths = share(&wants, spare);
            prop_assert!(widths.iter().sum::<u16>() <= spare);
            prop_assert!(widths.iter().zip(&wants).all(|(width, want)| width <= want));
            let cut = widths.iter().zip(&wants).filter(|(width, want)| width < want).map(|(width, _)| *width);
            let (least, most) = (cut.clone().min().unwrap_or(0), cut.max().unwrap_or(0));
            prop_assert!(most - least <= 1, "{widths:?} of {wants:?}");
        }
    }
}
