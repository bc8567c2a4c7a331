//! A map for a few dozen entries: a sorted vector. Much less code than a hash table, and as fast at that size.

use alloc::vec::Vec;

/// Entries in the order of their keys.
#[derive(Debug)]
pub(super) struct SortedMap<K, V> {
    entries: Vec<(K, V)>,
}

impl<K: Ord + Copy, V> SortedMap<K, V> {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, key: K) -> Option<&V> {
        let place = self.find(key).ok()?;
        self.entries.get(place).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let place = self.find(key).ok()?;
        self.entries.get_mut(place).map(|(_, value)| value)
    }

    /// The entry of `key`, which `make` makes if there is none.
    pub(super) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let place = self.find(key).unwrap_or_else(|place| {
            self.entries.insert(place, (key, make()));
            place
        });
        &mut self.entries[place].1
    }

    /// Adds an entry. Whatever was there under that key goes.
    pub(super) fn insert(&mut self, key: K, value: V) {
        match self.find(key) {
            Ok(place) => self.entries[place].1 = value,
            Err(place) => self.entries.insert(place, (key, value)),
        }
    }

    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        let place = self.find(key).ok()?;
        Some(self.entries.remove(place).1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.entries.iter().map(|(key, value)| (*key, value))
    }

    /// Keeps what `keep` says.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(K, &mut V) -> bool) {
        self.entries.retain_mut(|(key, value)| keep(*key, value));
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    fn find(&self, key: K) -> Result<usize, usize> {
        self.entries.binary_search_by(|(other, _)| other.cmp(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_one_entry() {
        let mut map = SortedMap::new();
        for key in [5, 1, 3, 5] {
            map.insert(key, key * 10);
        }
        map.insert(3, 31);
        assert_eq!(
            map.iter().map(|(key, value)| (key, *value)).collect::<Vec<_>>(),
            [(1, 10), (3, 31), (5, 50)]
        );
        assert_eq!((map.remove(1), map.remove(1), map.get(5), map.get(2)), (Some(10), None, Some(&50), None));
        map.retain(|key, _| key == 5);
        assert_eq!(map.len(), 1);
    }
}
