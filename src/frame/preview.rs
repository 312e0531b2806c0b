//! A frame as a table for people: a box of text that fits a terminal, and HTML for a notebook.
//! How a value is written is `shown`'s work.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use super::shown::{NARROW, NULL, Room, Shown, WIDE, grouped};
use super::{Cell, Frame};

/// Rows that a preview shows.
pub const SHOWN_ROWS: usize = 10;

/// Columns that HTML shows: a notebook scrolls, but nobody reads fifty columns.
const HTML_COLUMNS: usize = 20;

/// What stands for columns that are left out.
const LEFT_OUT: &str = "…";

/// What people look at first, after a frame's first column: these are shown before others where not all fit.
const FIRST: [&str; 12] = [
    "coin_id",
    "ts",
    "price",
    "close",
    "current_price",
    "open",
    "high",
    "low",
    "price_change_pct_24h",
    "market_cap",
    "symbol",
    "state",
];

/// What a box's edges take of a column's width.
const EDGES: usize = 3;

/// The first rows as a box of text, as wide as may be; columns that do not fit are left out in the middle. `missing` is how many
/// things the frame says are missing.
pub fn text(frame: &Frame, width: usize, missing: usize) -> String {
    let drawn = |room| -> Vec<Drawn> {
        let columns = columns(frame, room).into_iter();
        columns.map(Drawn::of).collect()
    };
    let columns = drawn(WIDE);
    let count = columns.len();
    let columns = match total(&columns) < width {
        true => columns,
        false => fitting(drawn(NARROW), width),
    };
    let mut text = String::new();
    let line = |text: &mut String, [left, middle, right]: [char; 3]| {
        for (place, column) in columns.iter().enumerate() {
            text.push(if place == 0 { left } else { middle });
            text.extend(std::iter::repeat_n('─', column.width + 2));
        }
        text.push(right);
        text.push('\n');
    };
    let row = |text: &mut String, cell: &dyn Fn(&Drawn) -> &str| {
        for column in &columns {
            let cell = cell(column);
            let space = " ".repeat(column.width.saturating_sub(cell.width()));
            let _infallible = match column.is_number {
                true => write!(text, "│ {space}{cell} "),
                false => write!(text, "│ {cell}{space} "),
            };
        }
        text.push_str("│\n");
    };
    if !columns.is_empty() {
        line(&mut text, ['┌', '┬', '┐']);
        row(&mut text, &|column| &column.name);
        row(&mut text, &|column| &column.kind);
        line(&mut text, ['├', '┼', '┤']);
        for place in 0..frame.rows().min(SHOWN_ROWS) {
            row(&mut text, &|column| {
                column.cells.get(place).map_or("", String::as_str)
            });
        }
        line(&mut text, ['└', '┴', '┘']);
    }
    text.push_str(&below(frame.rows(), count, missing));
    text
}

/// The first rows as an HTML table. Everything is escaped: texts come from outside, and a notebook runs what it shows.
pub fn html(frame: &Frame, missing: usize) -> String {
    let columns = columns(frame, WIDE);
    let count = columns.len();
    let columns = middle_left_out(columns, HTML_COLUMNS);
    let mut html = String::from(
        "<div style=\"overflow-x:auto\"><table style=\"border-collapse:collapse;\
         font-variant-numeric:tabular-nums\"><thead><tr>",
    );
    let side = |column: &Option<Shown>| match column {
        Some(column) if column.is_number => "right",
        _ => "left",
    };
    for column in &columns {
        let (name, kind) = column.as_ref().map_or((LEFT_OUT, ""), |column| {
            (column.name.as_str(), column.kind.as_str())
        });
        let _infallible = write!(
            html,
            "<th style=\"text-align:{};vertical-align:top;white-space:nowrap\">{}<br><span style=\"font-weight:normal;opacity:.6\">{}</span></th>",
            side(column),
            escaped(name),
            escaped(kind)
        );
    }
    html.push_str("</tr></thead><tbody>");
    for row in 0..frame.rows().min(SHOWN_ROWS) {
        html.push_str("<tr>");
        for column in &columns {
            let cell = match column.as_ref().map(|column| column.cells.get(row)) {
                None => LEFT_OUT.to_owned(),
                Some(Some(Some(cell))) => escaped(cell),
                Some(_) => format!("<span style=\"opacity:.4\">{NULL}</span>"),
            };
            let _infallible = write!(
                html,
                // at the cell, since the style of notebooks lets cells wrap
                "<td style=\"text-align:{};white-space:nowrap\">{cell}</td>",
                side(column)
            );
        }
        html.push_str("</tr>");
    }
    let _infallible = write!(
        html,
        "</tbody></table><div style=\"opacity:.7;margin-top:.3em\">{}</div></div>",
        escaped(&below(frame.rows(), count, missing))
    );
    html
}

/// What is said below a preview.
fn below(rows: usize, columns: usize, missing: usize) -> String {
    let mut text = String::new();
    if let more @ 1.. = rows.saturating_sub(SHOWN_ROWS) {
        let _infallible = write!(text, "… {}; ", count(more, "more row"));
    }
    let _infallible = write!(
        text,
        "{} × {}",
        count(rows, "row"),
        count(columns, "column")
    );
    if missing > 0 {
        let _infallible = write!(
            text,
            "; {} missing: see .missing",
            grouped(&missing.to_string())
        );
    }
    text
}

fn count(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {what}{s}", grouped(&number.to_string()))
}

/// The columns of a frame with their first values.
fn columns(frame: &Frame, room: Room) -> Vec<Shown> {
    let head = frame.slice(0, SHOWN_ROWS);
    let fields = head.schema.fields().iter().enumerate();
    let column = |(place, field): (usize, &std::sync::Arc<arrow_schema::Field>)| {
        let cells: Vec<Option<Cell<'_>>> = head.values(place).collect();
        Shown::new(field.name(), field.data_type(), &cells, room)
    };
    fields.map(column).collect()
}

/// A column of the box.
struct Drawn {
    name: String,
    kind: String,
    is_number: bool,
    cells: Vec<String>,
    width: usize,
}

impl Drawn {
    fn of(column: Shown) -> Self {
        let null = || NULL.to_owned();
        let cells = column.cells.into_iter();
        let cells: Vec<String> = cells.map(|cell| cell.unwrap_or_else(null)).collect();
        let texts = cells.iter().chain([&column.name, &column.kind]);
        Self {
            width: texts.map(|text| text.width()).max().unwrap_or_default(),
            name: column.name,
            kind: column.kind,
            is_number: column.is_number,
            cells,
        }
    }

    /// Stands for columns that are left out.
    fn left_out(rows: usize) -> Self {
        Self {
            name: LEFT_OUT.to_owned(),
            kind: String::new(),
            is_number: false,
            cells: vec![LEFT_OUT.to_owned(); rows],
            width: 1,
        }
    }
}

/// What columns take, but for the last edge.
fn total(columns: &[Drawn]) -> usize {
    columns.iter().map(|column| column.width + EDGES).sum()
}

/// As many columns as fit: the first one in any case, then what people look at first, then from both ends, four from the front
/// for each from the back.
fn fitting(columns: Vec<Drawn>, width: usize) -> Vec<Drawn> {
    let rows = columns.first().map_or(0, |column| column.cells.len());
    let mut kept = vec![false; columns.len()];
    let mut keep = |place: usize| -> bool {
        let is_first = !kept.contains(&true);
        let Some(it) = kept.get_mut(place) else {
            return false;
        };
        let was_kept = std::mem::replace(it, true);
        let is_room = is_first || needed(&columns, &kept) < width;
        if let (Some(it), false) = (kept.get_mut(place), is_room) {
            *it = was_kept;
        }
        is_room
    };
    keep(0);
    for name in FIRST {
        if let Some(place) = columns.iter().position(|column| column.name == name) {
            keep(place);
        }
    }
    let (mut front, mut back) = (0..columns.len(), (0..columns.len()).rev());
    let (mut is_front_full, mut is_back_full) = (false, false);
    for turn in 0..columns.len() {
        if (turn % 5 != 4 || is_back_full) && !is_front_full {
            is_front_full = !front.next().is_some_and(&mut keep);
        } else if !is_back_full {
            is_back_full = !back.next().is_some_and(&mut keep);
        }
    }
    let mut shown: Vec<Drawn> = Vec::new();
    let mut is_hole = false;
    for (column, is_kept) in columns.into_iter().zip(kept) {
        if is_kept {
            shown.push(column);
        } else if !is_hole {
            shown.push(Drawn::left_out(rows));
        }
        is_hole = !is_kept;
    }
    shown
}

/// What these columns take with the marks for those between them, but for the last edge.
fn needed(columns: &[Drawn], kept: &[bool]) -> usize {
    let mut width = 0;
    let mut is_hole = false;
    for (column, is_kept) in columns.iter().zip(kept) {
        width += match (is_kept, is_hole) {
            (true, _) => column.width + EDGES,
            (false, false) => 1 + EDGES,
            (false, true) => 0,
        };
        is_hole = !is_kept;
    }
    width
}

/// At most so many columns, and none for those that are left out in the middle.
fn middle_left_out(columns: Vec<Shown>, most: usize) -> Vec<Option<Shown>> {
    let count = columns.len();
    if count <= most {
        return columns.into_iter().map(Some).collect();
    }
    let (front, back) = (most - most / 2, most / 2);
    let mut kept = Vec::new();
    for (place, column) in columns.into_iter().enumerate() {
        if place < front || place >= count - back {
            kept.push(Some(column));
        } else if place == front {
            kept.push(None);
        }
    }
    kept
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
