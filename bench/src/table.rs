use std::fmt;

/// Rows of text under a heading, aligned for a terminal.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Starts a table with its column names.
    pub fn new<const N: usize>(heading: [&str; N]) -> Self {
        let mut table = Self::default();
        table.row(heading);
        table
    }

    /// Adds a row. The first column is aligned left, the others right.
    pub fn row<T: ToString, const N: usize>(&mut self, cells: [T; N]) {
        self.rows.push(cells.iter().map(ToString::to_string).collect());
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for (index, row) in self.rows.iter().enumerate() {
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if column == 0 {
                    write!(f, "{cell:<width$}")?;
                } else {
                    write!(f, "  {cell:>width$}")?;
                }
            }
            writeln!(f)?;
            if index == 0 {
                let rule: usize = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
                writeln!(f, "{}", "─".repeat(rule))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_columns() {
        let mut table = Table::new(["what", "p50"]);
        table.row(["latency", "9.1"]);
        table.row(["x", "123.4"]);
        assert_eq!(
            table.to_string(),
            "what       p50\n──────────────\nlatency    9.1\nx        123.4\n"
        );
    }
}
