//! Tables on screens of any width.

use super::*;

const COLUMNS: &[Column] = &[
    Column::number("ID", 0),
    Column::flexible("NAME", 0),
    Column::text("STATE", 1),
    Column::number("TURNS", 2),
    Column::flexible("GROUP", 3),
];

fn table() -> Table {
    let mut table = Table::new(COLUMNS);
    for (id, name, group) in [
        ("1", "main", "-"),
        ("12", "a name of some length", "日本語"),
    ] {
        let cells = [id, name, "running", "1.2k", group].map(str::to_owned);
        table.push(id, Tone::Plain, cells.to_vec());
    }
    table
}

fn titles(room: usize) -> String {
    let table = table();
    let layout = table.layout(room, &table.rows);
    table.titles(&layout)
}

#[test]
fn no_line_is_wider_than_the_screen() {
    let table = table();
    for room in 0..120 {
        for (_, line) in table.lines(room) {
            assert!(width(&line) <= room, "{line:?} in {room}");
        }
    }
}

#[test]
fn names_are_cut_first_and_then_columns_are_left_out_by_their_rank() {
    assert_eq!(
        titles(80),
        "ID  NAME                   STATE    TURNS  GROUP "
    );
    assert_eq!(titles(44), "ID  NAME              STATE    TURNS  GROUP ");
    assert_eq!(titles(32), "ID  NAME          STATE    TURNS");
    assert_eq!(titles(24), "ID  NAME                ");
    assert_eq!(titles(16), "ID  NAME        ");
    // The last two stay, and are cut at the edge.
    assert_eq!(titles(4), "ID  NAME        ");
}

#[test]
fn plain_output_is_whole_and_has_no_blanks_at_the_end() {
    assert_eq!(
        table().plain(),
        "ID  NAME                   STATE    TURNS  GROUP\n \
         1  main                   running   1.2k  -\n\
         12  a name of some length  running   1.2k  日本語\n"
    );
}

#[test]
fn a_table_without_rows_has_its_titles() {
    assert_eq!(
        Table::new(COLUMNS).plain(),
        "ID  NAME  STATE  TURNS  GROUP\n"
    );
}

#[test]
fn missing_cells_are_empty() {
    let mut table = Table::new(COLUMNS);
    table.push("1", Tone::Plain, vec!["1".to_owned()]);
    assert_eq!(table.plain().lines().last(), Some(" 1"));
}
