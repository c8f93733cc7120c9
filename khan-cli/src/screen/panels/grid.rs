//! Columns of a table into the cells that there are.

/// How a column's texts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A column that could be shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Col<C> {
    /// What it shows.
    pub(super) id: C,
    /// Cells; 0 for a column of names, which share what the others leave.
    pub(super) width: u16,
    /// It goes when the columns of names would have fewer cells than this each; 0 for one that stays.
    pub(super) needs: u16,
    /// Of those that may go, the highest goes first.
    pub(super) rank: u8,
    /// How its texts stand.
    pub(super) align: Align,
}

/// A column that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot<C> {
    pub(super) id: C,
    /// First cell.
    pub(super) x: u16,
    pub(super) width: u16,
    pub(super) align: Align,
}

/// One cell lies between two columns.
const GAP: u16 = 1;

/// Chooses columns and places them side by side after the first `lead` of `total` cells.
pub(super) fn solve<C: Copy>(columns: &[Col<C>], total: u16, lead: u16) -> Vec<Slot<C>> {
    let mut columns = columns.to_vec();
    loop {
        let share = share(&columns, total, lead);
        let leaving = (0..columns.len()).filter(|i| columns[*i].needs > 0).max_by_key(|i| columns[*i].rank);
        match leaving {
            Some(i) if share < columns[i].needs => columns.remove(i),
            _ => break,
        };
    }
    let names = u16::try_from(columns.iter().filter(|column| column.width == 0).count()).unwrap_or(u16::MAX);
    let mut spare = total.saturating_sub(lead).saturating_sub(fixed(&columns));
    let mut left = names;
    let mut x = lead;
    let place = |column: &Col<C>| {
        let width = if column.width == 0 {
            let part = spare.div_ceil(left.max(1));
            (spare, left) = (spare - part, left.saturating_sub(1));
            part
        } else {
            column.width
        };
        let slot = Slot { id: column.id, x, width, align: column.align };
        x = x.saturating_add(width).saturating_add(GAP);
        slot
    };
    columns.iter().map(place).collect()
}

/// Cells of all but the columns of names, gaps included.
fn fixed<C>(columns: &[Col<C>]) -> u16 {
    let gaps = u16::try_from(columns.len().saturating_sub(1)).unwrap_or(u16::MAX).saturating_mul(GAP);
    columns.iter().fold(gaps, |sum, column| sum.saturating_add(column.width))
}

/// Cells for each column of names; without any, whether the rest fits.
fn share<C>(columns: &[Col<C>], total: u16, lead: u16) -> u16 {
    let names = u16::try_from(columns.iter().filter(|column| column.width == 0).count()).unwrap_or(u16::MAX);
    let needed = fixed(columns).saturating_add(lead);
    match total.checked_sub(needed) {
        None => 0,
        Some(spare) => spare.checked_div(names).unwrap_or(u16::MAX),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(id: char) -> Col<char> {
        Col { id, width: 0, needs: 0, rank: 0, align: Align::Left }
    }

    fn number(id: char, width: u16, needs: u16, rank: u8) -> Col<char> {
        Col { id, width, needs, rank, align: Align::Right }
    }

    #[test]
    fn columns_leave_in_their_order_and_names_share_the_rest() {
        let columns = [name('s'), name('d'), number('p', 5, 16, 1), number('c', 7, 0, 0), number('t', 15, 22, 2)];
        let shown = |total| solve(&columns, total, 2).iter().map(|slot| slot.id).collect::<String>();
        assert_eq!(shown(120), "sdpct");
        assert_eq!(shown(77), "sdpct");
        assert_eq!(shown(76), "sdpc");
        assert_eq!(shown(40), "sdc");
        let slots = solve(&columns, 60, 2);
        assert_eq!(
            slots.iter().map(|slot| (slot.x, slot.width)).collect::<Vec<_>>(),
            [(2, 22), (25, 21), (47, 5), (53, 7)]
        );
    }

    proptest! {
        #[test]
        fn columns_never_overlap(total in 0u16..300, lead in 0u16..4, widths in prop::collection::vec((0u16..20, 0u16..30), 0..9)) {
            let columns: Vec<_> = widths.iter().map(|(width, needs)| number('x', *width, *needs, 0)).collect();
            let slots = solve(&columns, total, lead);
            prop_assert!(slots.windows(2).all(|pair| pair[0].x + pair[0].width + GAP == pair[1].x));
        }
    }
}
