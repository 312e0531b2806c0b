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
        "<div style=\"overflow-x:auto\"><table style=\"border-collapse:collapse;white-space:nowrap;\
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
            "<th style=\"text-align:{};vertical-align:top\">{}<br><span style=\"font-weight:normal;opacity:.6\">{}</span></th>",
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
                "<td style=\"text-align:{}\">{cell}</td>",
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

/// As many columns as fit, from both ends, four from the front for each from the back; one at least.
fn fitting(columns: Vec<Drawn>, width: usize) -> Vec<Drawn> {
    let rows = columns.first().map_or(0, |column| column.cells.len());
    if total(&columns) < width {
        return columns;
    }
    let mut left = width.saturating_sub(1 + 1 + EDGES);
    let count = columns.len();
    let (mut front, mut back) = (0, 0);
    let (mut is_front_full, mut is_back_full) = (false, false);
    let mut turn = 0;
    while front + back < count && !(is_front_full && is_back_full) {
        let is_front = is_back_full || (turn % 5 != 4 && !is_front_full);
        turn += 1;
        let place = if is_front { front } else { count - 1 - back };
        let wants = columns.get(place).map_or(0, |column| column.width + EDGES);
        if wants > left && front > 0 {
            *(if is_front {
                &mut is_front_full
            } else {
                &mut is_back_full
            }) = true;
            continue;
        }
        left = left.saturating_sub(wants);
        *(if is_front { &mut front } else { &mut back }) += 1;
    }
    let is_whole = front + back == count;
    let mut kept: Vec<Drawn> = Vec::new();
    for (place, column) in columns.into_iter().enumerate() {
        if place < front || place >= count - back {
            kept.push(column);
        } else if place == front && !is_whole {
            kept.push(Drawn::left_out(rows));
        }
    }
    kept
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
