//! A bounded map that forgets what was not used for longest, roughly: two generations, the older one dropped whole when the younger is full.
//! No list to keep in order, and memory never above twice `half` entries.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// The map.
#[derive(Debug)]
pub struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Hash + Eq, V> Generations<K, V> {
    /// Keeps the `half` entries used last, and up to as many older ones.
    pub fn new(half: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            half: half.max(1),
        }
    }

    /// The value, which thereby counts as used.
    pub fn get<Q>(&mut self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if !self.young.contains_key(key)
            && let Some((key, value)) = self.old.remove_entry(key)
        {
            self.insert(key, value);
        }
        self.young.get(key)
    }

    /// Puts a value in the place of any other.
    pub fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    /// Forgets one.
    pub fn remove<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut cache = Generations::new(10);
        for number in 0..1_000_u32 {
            cache.insert(number, number);
            assert_eq!(cache.get(&0), Some(&0));
            assert!(cache.young.len() + cache.old.len() <= 20);
        }
        assert_eq!(cache.get(&500), None);
        assert_eq!(cache.get(&999), Some(&999));
    }

    #[test]
    fn a_newer_value_replaces_an_older_generations() {
        let mut cache = Generations::new(2);
        cache.insert("a", 1);
        cache.insert("b", 1);
        cache.insert("c", 1);
        cache.insert("a", 2);
        assert_eq!(cache.get("a"), Some(&2));
        cache.remove("a");
        assert_eq!(cache.get("a"), None);
    }
}
