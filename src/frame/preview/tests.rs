use super::super::{Filler, Filling};
use super::*;
use crate::market::{Column, Kind, Origin};

const COLUMNS: [Column; 4] = [
    column("coin_id", Kind::Category),
    column("ts", Kind::Time),
    column("price", Kind::Float),
    column("rank", Kind::Int),
];

const fn column(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        origin: Origin::Read,
    }
}

fn frame(rows: &[(&str, i64, Option<f64>, i64)]) -> Frame {
    let mut filling = Filling::new(&COLUMNS);
    for (coin, ts, price, rank) in rows {
        for column in filling.columns() {
            match column {
                Filler::Category(values) => values.append_option(Some(coin)),
                Filler::Text(values) => values.append_value(coin),
                Filler::Time(values) => values.append_value(*ts),
                Filler::Float(values) => values.append_option(*price),
                Filler::Int(values) => values.append_value(*rank),
                Filler::Bool(values) => values.append_value(*rank == 1),
            }
        }
        filling.end_row();
    }
    filling.finish().unwrap()
}

const DAY: i64 = 1_769_817_600_000;

fn two() -> Frame {
    frame(&[
        ("bitcoin", DAY + 39_000, Some(84_213.5), 1),
        ("比特币", DAY + 3_639_000, None, 1200),
    ])
}

#[test]
fn a_box_is_aligned_with_types_below_names() {
    let wanted = "\
┌─────────┬─────────────────────┬──────────┬───────┐
│ coin_id │ ts                  │    price │  rank │
│ text    │ timestamp[ms, UTC]  │  float64 │ int64 │
├─────────┼─────────────────────┼──────────┼───────┤
│ bitcoin │ 2026-01-31 00:00:39 │ 84,213.5 │     1 │
│ 比特币  │ 2026-01-31 01:00:39 │     null │ 1,200 │
└─────────┴─────────────────────┴──────────┴───────┘
2 rows × 4 columns";
    assert_eq!(text(&two(), 80, 0), wanted);
}

#[test]
fn columns_that_do_not_fit_are_left_out_in_the_middle() {
    let wanted = "\
┌─────────┬─────────────────────┬───┬───────┐
│ coin_id │ ts                  │ … │  rank │
│ text    │ timestamp[ms, UTC]  │   │ int64 │
├─────────┼─────────────────────┼───┼───────┤
│ bitcoin │ 2026-01-31 00:00:39 │ … │     1 │
│ 比特币  │ 2026-01-31 01:00:39 │ … │ 1,200 │
└─────────┴─────────────────────┴───┴───────┘
2 rows × 4 columns; 3 missing: see .missing";
    assert_eq!(text(&two(), 46, 3), wanted);
    // what is too wide is skipped for what is not
    assert!(text(&two(), 24, 0).contains("│ coin_id │ … │  rank │"));
}

#[test]
fn where_not_all_columns_fit_the_price_is_shown() {
    let names = [
        "snapshot_time",
        "coin_id",
        "symbol",
        "name",
        "market_cap_rank",
        "current_price",
        "market_cap",
        "ath",
    ];
    let fields =
        names.map(|name| arrow_schema::Field::new(name, arrow_schema::DataType::Float64, true));
    let frame = Frame {
        schema: std::sync::Arc::new(arrow_schema::Schema::new(fields.to_vec())),
        batches: vec![],
    };
    let head = |width| {
        let shown = text(&frame, width, 0);
        let head = shown.lines().nth(1).unwrap_or_default().to_owned();
        assert!(head.width() <= width, "{head}");
        head
    };
    assert!(
        head(54).contains("│ … │ current_price │ … │"),
        "{}",
        head(54)
    );
    assert!(
        head(70).contains("│ … │ current_price │ market_cap │"),
        "{}",
        head(70)
    );
    assert!(!head(200).contains('…'));
}

#[test]
fn no_line_is_wider_than_the_terminal_as_long_as_one_column_fits() {
    for width in 14..120 {
        let shown = text(&two(), width, 0);
        let widest = shown.lines().map(|line| line.width()).max().unwrap();
        let one_column = 16;
        assert!(
            widest <= width.max(one_column.max("2 rows × 4 columns".width())),
            "{width}:\n{shown}"
        );
    }
    assert!(text(&two(), 0, 0).contains("coin_id"));
}

#[test]
fn what_is_not_shown_is_counted() {
    let rows: Vec<_> = (0..1200)
        .map(|n| ("bitcoin", DAY + n, Some(1.0), n))
        .collect();
    let shown = text(&frame(&rows), 80, 0);
    assert!(
        shown.ends_with("┘\n… 1,190 more rows; 1,200 rows × 4 columns"),
        "{shown}"
    );
    assert!(html(&frame(&rows), 0).contains("… 1,190 more rows; 1,200 rows × 4 columns"));
    assert_eq!(
        html(&frame(&rows), 0).matches("<tr>").count(),
        1 + SHOWN_ROWS
    );
}

#[test]
fn an_empty_frame_has_a_head() {
    let shown = text(&frame(&[]), 80, 0);
    assert!(shown.contains("coin_id") && shown.ends_with("0 rows × 4 columns"));
    assert!(html(&frame(&[]), 0).contains("0 rows × 4 columns"));
}

#[test]
fn html_is_escaped_and_numbers_stand_at_the_right() {
    let page = html(&frame(&[("<script>\"&", DAY, Some(2.839e-9), 1)]), 0);
    assert!(page.contains("&lt;script&gt;&quot;&amp;") && !page.contains("<script"));
    assert!(page.contains("<td style=\"text-align:right;white-space:nowrap\">2.839e-09</td>"));
    assert!(page.contains("<td style=\"text-align:left;white-space:nowrap\">2026-01-31</td>"));
}
