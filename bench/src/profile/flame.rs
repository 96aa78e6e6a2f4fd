//! Draws a tree of calls as an SVG: width is time, callees stand on their callers. A click on a frame
//! widens it to the whole picture, a click on the background goes back.

use std::fmt::Write;

use super::stacks::Node;

const WIDTH: f64 = 1_400.0;
const ROW: f64 = 17.0;
const TOP: f64 = 34.0;

/// Narrower frames, in pixels, are left out.
const NARROWEST: f64 = 0.25;

/// Zooming: every frame keeps its place in time and depth; the script maps them to the window that is
/// shown.
const SCRIPT: &str = r"
const W = 1400, frames = [...document.querySelectorAll('g')];
function show(from, to, depth) {
  for (const g of frames) {
    const [x, w, d] = [+g.dataset.x, +g.dataset.w, +g.dataset.d];
    const left = Math.max(x, from), right = Math.min(x + w, to);
    const shown = right - left > (to - from) / 5600 && (d >= depth || x <= from && x + w >= to);
    g.style.display = shown ? '' : 'none';
    if (!shown) continue;
    const scale = W / (to - from), rect = g.children[1], text = g.children[2];
    rect.setAttribute('x', (left - from) * scale);
    rect.setAttribute('width', Math.max((right - left) * scale - 0.5, 0.3));
    text.setAttribute('x', (left - from) * scale + 3);
    const fits = Math.floor(((right - left) * scale - 6) / 6.6), name = g.dataset.n;
    text.textContent = fits < 3 ? '' : name.length <= fits ? name : name.slice(0, fits - 1) + '…';
  }
}
for (const g of frames) g.addEventListener('click', (event) => {
  event.stopPropagation();
  show(+g.dataset.x, +g.dataset.x + +g.dataset.w, +g.dataset.d);
});
document.documentElement.addEventListener('click', () => show(0, W, 0));
show(0, W, 0);
";

/// The picture.
pub(super) fn draw(root: &Node, title: &str) -> String {
    let depth = depth(root, WIDTH);
    let height = TOP + ROW * depth as f64 + 8.0;
    let mut svg = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"monospace\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"20\" font-size=\"13\">{}</text>\n",
        escape(title)
    );
    let picture = Picture { bottom: height - 8.0, samples: root.samples.max(1) };
    picture.row(&mut svg, root, 0.0, 0);
    let _ = write!(svg, "<script><![CDATA[{SCRIPT}]]></script>\n</svg>\n");
    svg
}

struct Picture {
    bottom: f64,
    samples: u64,
}

impl Picture {
    fn width(&self, samples: u64) -> f64 {
        samples as f64 / self.samples as f64 * WIDTH
    }

    /// Draws what `node` calls, from `x` on.
    fn row(&self, svg: &mut String, node: &Node, mut x: f64, depth: usize) {
        for (name, child) in &node.children {
            let width = self.width(child.samples);
            if width >= NARROWEST {
                let y = self.bottom - ROW * (depth + 1) as f64;
                let share = child.samples as f64 * 100.0 / self.samples as f64;
                let name = escape(name);
                let _ = writeln!(
                    svg,
                    "<g data-x=\"{x:.2}\" data-w=\"{width:.2}\" data-d=\"{depth}\" data-n=\"{name}\">\
                     <title>{name}: {share:.2} %, {} samples</title>\
                     <rect x=\"{x:.2}\" y=\"{y:.1}\" width=\"{:.2}\" height=\"{}\" fill=\"{}\"/>\
                     <text x=\"{:.2}\" y=\"{:.1}\"></text></g>",
                    child.samples,
                    (width - 0.5).max(0.3),
                    ROW - 1.0,
                    colour(&name, child.kernel),
                    x + 3.0,
                    y + 12.0,
                );
                self.row(svg, child, x, depth + 1);
            }
            x += width;
        }
    }
}

fn depth(node: &Node, width: f64) -> usize {
    let deepest = node.children.values().filter_map(|child| {
        let width = width * child.samples as f64 / node.samples.max(1) as f64;
        (width >= NARROWEST).then(|| depth(child, width) + 1)
    });
    deepest.max().unwrap_or(0)
}

/// By whose code it is.
fn colour(name: &str, kernel: bool) -> &'static str {
    let of = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    match () {
        () if kernel => "#f0a860",
        () if of(&["aws_lc", "_aesni", "aead_"]) => "#9fc5e8",
        () if of(&["visavis"]) => "#8fd19e",
        () if of(&["str0m", "dimpl", "sctp"]) => "#e7d97b",
        () => "#d9d2e9",
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            char if char.is_control() => {}
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::stacks::Stacks;

    #[test]
    fn callees_stand_on_their_callers_and_names_are_escaped() {
        let mut stacks = Stacks::new("");
        for callee in ["<A as B>::a", "b", "b", "b"] {
            let lines = ["t 1", &format!(" 1 {callee} (x)"), " 2 main (x)", ""];
            lines.iter().for_each(|line| stacks.line(line));
        }
        let svg = draw(stacks.finish().root(), "a \"title\"");
        let frame = |name: &str| {
            let found = svg.lines().find(|line| line.contains(&format!("data-n=\"{name}\"")));
            found.unwrap_or_else(|| panic!("no {name} in {svg}")).to_owned()
        };
        assert!(frame("main").contains("data-x=\"0.00\" data-w=\"1400.00\" data-d=\"0\""));
        assert!(
            frame("&lt;A as B&gt;::a").contains("data-x=\"0.00\" data-w=\"350.00\" data-d=\"1\"")
        );
        assert!(frame("b").contains("data-x=\"350.00\" data-w=\"1050.00\" data-d=\"1\""));
        assert!(frame("b").contains("75.00 %, 3 samples"));
        assert!(svg.contains("a &quot;title&quot;"));
    }
}
