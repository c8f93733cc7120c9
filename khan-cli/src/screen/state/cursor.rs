//! A cursor that belongs to a row, not to a place.

use crate::model::RowKey;

/// Position in a list. Without a cursor the list is in "top mode": rows come and go and the view stays at the top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The row, once the user has moved.
    pub key: Option<RowKey>,
    /// Where it was when it was last seen.
    pub at: usize,
    /// The first row on the screen.
    pub offset: usize,
}

impl Cursor {
    /// Follows the cursor's row through a changed list. A row that is gone hands over to the one in its place.
    pub fn settle(&mut self, keys: &[RowKey], height: usize) {
        if let Some(key) = self.key {
            if let Some(at) = keys.iter().position(|k| *k == key) {
                self.at = at;
            } else {
                self.at = self.at.min(keys.len().saturating_sub(1));
                self.key = keys.get(self.at).copied();
            }
        } else {
            self.at = 0;
        }
        self.scroll(keys.len(), height);
    }

    fn scroll(&mut self, len: usize, height: usize) {
        if self.key.is_some() {
            self.offset = self.offset.min(self.at).max((self.at + 1).saturating_sub(height.max(1)));
        }
        self.offset = self.offset.min(len.saturating_sub(height));
    }

    /// Moves by rows. The first move down from top mode takes the first row.
    pub fn step(&mut self, by: isize, keys: &[RowKey], height: usize) {
        let last = keys.len().saturating_sub(1);
        let at = match self.key {
            None if by > 0 => self.offset + usize::try_from(by - 1).unwrap_or(0),
            None => self.offset,
            Some(_) => self.at.saturating_add_signed(by),
        };
        self.put(at.min(last), keys, height);
    }

    /// Puts the cursor on a row.
    pub fn put(&mut self, at: usize, keys: &[RowKey], height: usize) {
        self.at = at;
        self.key = keys.get(at).copied();
        self.scroll(keys.len(), height);
    }

    /// Back to top mode.
    pub fn release(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(numbers: &[u128]) -> Vec<RowKey> {
        numbers.iter().copied().map(RowKey).collect()
    }

    #[test]
    fn the_cursor_follows_its_row_through_a_new_order() {
        let mut cursor = Cursor::default();
        let list = keys(&[1, 2, 3, 4]);
        cursor.step(1, &list, 2);
        cursor.step(1, &list, 2);
        assert_eq!(cursor.key, Some(RowKey(2)));
        cursor.settle(&keys(&[4, 3, 1, 2]), 2);
        assert_eq!((cursor.key, cursor.at, cursor.offset), (Some(RowKey(2)), 3, 2));
    }

    #[test]
    fn a_row_that_goes_hands_over_to_its_place() {
        let mut cursor = Cursor::default();
        cursor.put(1, &keys(&[1, 2, 3]), 5);
        cursor.settle(&keys(&[1, 3]), 5);
        assert_eq!(cursor.key, Some(RowKey(3)));
        cursor.settle(&keys(&[1]), 5);
        assert_eq!(cursor.key, Some(RowKey(1)));
        cursor.settle(&[], 5);
        assert_eq!(cursor.key, None);
    }

    #[test]
    fn top_mode_stays_at_the_top_until_the_user_moves() {
        let mut cursor = Cursor::default();
        cursor.settle(&keys(&[9, 8, 7]), 2);
        assert_eq!((cursor.key, cursor.offset), (None, 0));
        cursor.step(1, &keys(&[9, 8, 7]), 2);
        assert_eq!(cursor.key, Some(RowKey(9)));
        cursor.step(99, &keys(&[9, 8, 7]), 2);
        assert_eq!((cursor.at, cursor.offset), (2, 1));
        cursor.release();
        assert_eq!(cursor, Cursor::default());
    }

    #[test]
    fn an_empty_list_has_no_cursor() {
        let mut cursor = Cursor::default();
        for by in [1, -1, 50, -50] {
            cursor.step(by, &[], 0);
            assert_eq!(cursor.key, None);
        }
    }
}
