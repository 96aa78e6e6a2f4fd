//! From samples to a tree of calls.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

/// A function.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Symbol {
    /// Its name.
    pub name: String,
    /// Whether it is part of the kernel.
    pub kernel: bool,
    /// Share of the samples that were taken in it, 0 to 1.
    pub own: f64,
    /// Share of the samples that were taken in it or in what it called, 0 to 1.
    pub with_callees: f64,
}

/// What perf calls an address without a symbol, or without a file.
const UNKNOWN: &str = "[unknown]";

/// A function in one place of the tree, and everything called from there.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Node {
    pub(super) kernel: bool,
    /// Samples in it and below.
    pub(super) samples: u64,
    pub(super) children: BTreeMap<String, Node>,
}

/// Time of one function, wherever it was called from.
#[derive(Debug, Default)]
struct Total {
    kernel: bool,
    own: u64,
    with_callees: u64,
}

/// Takes the output of `perf script` and adds it up.
#[derive(Debug)]
pub(super) struct Stacks {
    thread: String,
    root: Node,
    totals: HashMap<String, Total>,
    in_kernel: u64,
    /// The sample that is being read; `None` in a thread that is not profiled.
    sample: Option<Vec<Frame>>,
}

#[derive(Debug, PartialEq)]
struct Frame {
    name: String,
    kernel: bool,
}

impl Stacks {
    /// For threads whose name begins with `thread`.
    pub(super) fn new(thread: &str) -> Self {
        // The kernel keeps fifteen bytes of a thread's name.
        let end = (0..=thread.len().min(15)).rev().find(|&at| thread.is_char_boundary(at));
        let thread = thread.get(..end.unwrap_or(0)).unwrap_or_default().to_owned();
        Self { thread, root: Node::default(), totals: HashMap::new(), in_kernel: 0, sample: None }
    }

    /// One line.
    pub(super) fn line(&mut self, line: &str) {
        if line.trim().is_empty() {
            self.end_sample();
        } else if line.starts_with(char::is_whitespace) {
            if let (Some(sample), Some(frame)) = (&mut self.sample, Frame::parse(line)) {
                sample.push(frame);
            }
        } else {
            self.end_sample();
            // "name  1234": the name may hold spaces.
            let name = line.trim_end().rsplit_once(' ').map_or(line, |(name, _)| name);
            self.sample = name.trim_end().starts_with(&self.thread).then(Vec::new);
        }
    }

    pub(super) fn finish(mut self) -> Self {
        self.end_sample();
        self
    }

    fn end_sample(&mut self) {
        let Some(mut sample) = self.sample.take() else {
            return;
        };
        // Beyond a thread's first function the unwinder at times reads on, into nothing.
        while sample.len() > 1 && sample.last().is_some_and(|frame| frame.name == UNKNOWN) {
            sample.pop();
        }
        if sample.is_empty() {
            return;
        }
        self.root.samples += 1;
        self.in_kernel += u64::from(sample.first().is_some_and(|frame| frame.kernel));
        let mut node = &mut self.root;
        let mut seen = HashSet::new();
        let innermost = sample.len() - 1;
        for (depth, frame) in sample.iter().rev().enumerate() {
            let total = self.totals.entry(frame.name.clone()).or_default();
            total.kernel = frame.kernel;
            total.own += u64::from(depth == innermost);
            // A function that calls itself has its time once.
            total.with_callees += u64::from(seen.insert(&frame.name));
            node = node.children.entry(frame.name.clone()).or_default();
            node.kernel = frame.kernel;
            node.samples += 1;
        }
    }

    pub(super) fn samples(&self) -> u64 {
        self.root.samples
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }

    fn share(&self, samples: u64) -> f64 {
        samples as f64 / self.samples().max(1) as f64
    }

    pub(super) fn kernel_share(&self) -> f64 {
        self.share(self.in_kernel)
    }

    /// The functions with the most time of their own.
    pub(super) fn top(&self, count: usize) -> Vec<Symbol> {
        let mut all: Vec<_> = self.totals.iter().filter(|(_, total)| total.own > 0).collect();
        all.sort_by(|(a, x), (b, y)| y.own.cmp(&x.own).then(a.cmp(b)));
        let symbols = all.into_iter().take(count).map(|(name, total)| Symbol {
            name: name.clone(),
            kernel: total.kernel,
            own: self.share(total.own),
            with_callees: self.share(total.with_callees),
        });
        symbols.collect()
    }
}

impl Frame {
    /// `address name (file)`; names hold spaces and brackets.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.trim().split_once(' ')?;
        let (name, file) = rest.rsplit_once(" (")?;
        let kernel = file.starts_with("[kernel") || file.starts_with("[guest.kernel");
        let name = match name.trim() {
            UNKNOWN if !kernel && !file.starts_with(UNKNOWN) => {
                // Without a symbol, the file at least names the library.
                format!("[{}]", file.trim_end_matches(')').rsplit('/').next().unwrap_or_default())
            }
            name => name.to_owned(),
        };
        Some(Self { name, kernel })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "\
visavis-media 4711
\tffffffff8100 udp_sendmsg ([kernel.kallsyms])
\t        55aa <core::A as core::B<(u8, u8)>>::send (/x/target/release/visavis)
\t        55bb visavis::media::run (/x/target/release/visavis)
\t           0 [unknown] ([unknown])

visavis-media 4711
\t        55cc visavis::media::run (/x/target/release/visavis)
\t        55bb visavis::media::run (/x/target/release/visavis)

visavis-audio 4712
\t        7fff [unknown] (/usr/lib/libc.so.6)
";

    fn read(thread: &str) -> Stacks {
        let mut stacks = Stacks::new(thread);
        SCRIPT.lines().for_each(|line| stacks.line(line));
        stacks.finish()
    }

    #[test]
    fn one_thread_is_added_up() {
        let stacks = read("visavis-media");
        assert_eq!(stacks.samples(), 2);
        assert_eq!(stacks.kernel_share(), 0.5);
        let run = &stacks.root().children["visavis::media::run"];
        assert_eq!((run.samples, run.kernel), (2, false));
        let send = &run.children["<core::A as core::B<(u8, u8)>>::send"];
        assert!(send.children["udp_sendmsg"].kernel);

        let top = stacks.top(9);
        assert_eq!(top.len(), 2, "{top:?}");
        assert!(top.iter().all(|symbol| symbol.own == 0.5), "{top:?}");
        let run = top.iter().find(|symbol| symbol.name == "visavis::media::run").unwrap();
        assert_eq!(run.with_callees, 1.0, "it calls itself");
    }

    #[test]
    fn all_threads_and_names_longer_than_the_kernel_keeps() {
        assert_eq!(read("").samples(), 3);
        assert_eq!(read("visavis-").samples(), 3);
        assert_eq!(read("visavis-audio").samples(), 1);
        assert_eq!(read("visavis-audio").top(1)[0].name, "[libc.so.6]");
        assert_eq!(read("nobody").samples(), 0);
        assert_eq!(Stacks::new("a-very-long-thread-name").thread, "a-very-long-thr");
    }
}
