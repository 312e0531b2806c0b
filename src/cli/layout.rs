//! Text that fits the terminal: named lines with later lines indented, and tables without borders.
//! Where stdout is no terminal, no line is broken: a script that looks for words finds them on one line.

use std::fmt::Write as _;
use std::iter::repeat_n;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

/// Where the value of a named line begins: the landing folder of a run then just fits 80 columns.
const VALUE: usize = 11;

/// Adds a line with a name before its value.
pub(super) fn line(text: &mut String, name: &str, value: &str) {
    let _infallible = writeln!(text, " {name:<9} {}", wrapped(value, VALUE));
}

/// A text that begins at a column and whose later lines begin there too.
pub(super) fn wrapped(text: &str, column: usize) -> String {
    let width = Table::new().width().map_or(usize::MAX, usize::from);
    wrapped_to(width, text, column)
}

/// A text for stderr: as it is, or on a terminal with its lines broken at spaces.
pub(super) fn on_stderr(text: &str) -> String {
    let size = terminal_size::terminal_size_of(std::io::stderr());
    let Some((terminal_size::Width(width), _)) = size.filter(|(width, _)| width.0 > 0) else {
        return text.to_owned();
    };
    let lines = text.lines().map(|line| wrapped_to(width.into(), line, 0));
    lines.collect::<Vec<_>>().join("\n")
}

fn wrapped_to(width: usize, text: &str, column: usize) -> String {
    let mut lines = String::new();
    let mut end = column;
    for word in text.split(' ') {
        let length = word.chars().count();
        if end == column {
        } else if end + 1 + length > width {
            lines.push('\n');
            lines.extend(repeat_n(' ', column));
            end = column;
        } else {
            lines.push(' ');
            end += 1;
        }
        lines.push_str(word);
        end += length;
    }
    lines
}

/// A table of columns, of which some hold numbers.
pub(super) fn table(header: &[&str], numbers: &[usize], rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(header);
    table.add_rows(rows);
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((u16::from(place == 0), 1));
        if numbers.contains(&place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The same with text below each row.
pub(super) fn with_notes(table: &Table, notes: impl IntoIterator<Item = String>) -> String {
    let mut lines = table.lines();
    let mut text = lines.next().unwrap_or_default().trim_end().to_owned();
    for (line, note) in lines.zip(notes) {
        let _infallible = write!(text, "\n{}\n{note}", line.trim_end());
    }
    text
}

/// Text for a terminal: control characters that come from outside must not reach it.
pub(super) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// The same, cut where it is longer than a column may be.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    let text = harmless(text);
    if text.chars().count() <= longest {
        return text;
    }
    let start: String = text.chars().take(longest.saturating_sub(1)).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_at_spaces_and_indented() {
        let broken = wrapped_to(20, "bitcoin (points are refused: see the quarantine)", 8);
        assert_eq!(
            broken,
            "bitcoin\n        (points are\n        refused: see\n        the\n        quarantine)"
        );
        assert!(broken.lines().skip(1).all(|line| line.len() <= 20));
        assert_eq!(wrapped_to(usize::MAX, "one two", 8), "one two");
        // a path is not broken
        assert_eq!(
            wrapped_to(10, "coinmill-data/landing", 8),
            "coinmill-data/landing"
        );
    }

    #[test]
    fn a_name_from_outside_can_neither_move_the_cursor_nor_fill_the_line() {
        assert_eq!(shortened("bit\u{1b}[2Jcoin", 30), "bit\u{fffd}[2Jcoin");
        assert_eq!(shortened("wrapped-bitcoin", 8), "wrapped…");
    }
}
