//! All entries of a word list that a text starts with.

/// A tree of bytes; the children of a node lie side by side, by label.
#[derive(Clone, Debug, Default)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    labels: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// Where the children start.
    children: u32,
    count: u16,
    /// The entry that ends here.
    value: Option<u32>,
}

impl Trie {
    /// Of equal words the first counts.
    pub(super) fn new<'a>(words: impl IntoIterator<Item = (&'a str, u32)>) -> Trie {
        let mut words: Vec<(&[u8], u32)> =
            words.into_iter().map(|(word, value)| (word.as_bytes(), value)).collect();
        words.sort_by_key(|(word, _)| *word);
        words.dedup_by_key(|(word, _)| *word);
        let mut trie = Trie { nodes: vec![Node { children: 0, count: 0, value: None }], labels: vec![0] };
        // Words that go through a node: a range of the sorted list; nodes are made level by level.
        let mut level = vec![(0, 0..words.len())];
        for depth in 0.. {
            let mut next = Vec::new();
            for (node, mut range) in level {
                if let Some((word, value)) = words.get(range.start).filter(|_| !range.is_empty())
                    && word.len() == depth
                {
                    trie.nodes[node].value = Some(*value);
                    range.start += 1;
                }
                trie.nodes[node].children = trie.nodes.len() as u32;
                for group in words[range.clone()].chunk_by(|a, b| a.0[depth] == b.0[depth]) {
                    next.push((trie.nodes.len(), range.start..range.start + group.len()));
                    range.start += group.len();
                    trie.nodes.push(Node { children: 0, count: 0, value: None });
                    trie.labels.push(group[0].0[depth]);
                    trie.nodes[node].count += 1;
                }
            }
            if next.is_empty() {
                break;
            }
            level = next;
        }
        trie
    }

    /// Lengths and values of all entries that `text` starts with, shortest first.
    pub(super) fn prefixes<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, u32)> + 'a {
        let mut node = self.nodes.first().copied();
        let steps = text.iter().enumerate().map_while(move |(i, byte)| {
            let Node { children, count, .. } = node?;
            let start = children as usize;
            let place = self.labels[start..start + usize::from(count)].binary_search(byte).ok()?;
            node = self.nodes.get(start + place).copied();
            Some((i + 1, node?.value))
        });
        steps.filter_map(|(length, value)| Some((length, value?)))
    }

    /// The longest entry that `text` starts with.
    pub(super) fn longest(&self, text: &[u8]) -> Option<usize> {
        self.prefixes(text).last().map(|(length, _)| length)
    }
}

#[cfg(test)]
mod tests {
    use super::Trie;

    #[test]
    fn prefixes_come_shortest_first() {
        let trie = Trie::new([("abc", 0), ("a", 1), ("b", 2), ("ab", 3), ("a", 4), ("中", 5)]);
        let found = |text: &str| trie.prefixes(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(found("abcd"), [(1, 1), (2, 3), (3, 0)]);
        assert_eq!(found("ba"), [(1, 2)]);
        assert_eq!(found("中国"), [(3, 5)]);
        assert_eq!(found("xa"), []);
        assert_eq!(trie.longest(b"abx"), Some(2));
        assert_eq!(Trie::new([]).longest(b"a"), None);
    }
}
