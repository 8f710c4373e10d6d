//! Tables, for the screen and for plain output: rows of cleaned cells below titles.

use std::iter;

use crate::text::{fit, pad, width};

#[cfg(test)]
mod tests;

/// The blanks between two columns.
const GAP: usize = 2;

/// The least width to which a flexible column is cut before others are left out.
const LEAST: usize = 12;

/// The weight of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Tone {
    #[default]
    Plain,
    /// It matters less.
    Dim,
    /// It is as it should be.
    Good,
    /// It deserves a look.
    Warning,
    /// Something has failed.
    Bad,
    /// It is a title.
    Title,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    /// Numbers end at one edge.
    is_right: bool,
    /// It is cut before columns are left out.
    is_flexible: bool,
    /// Columns of the highest rank are left out first, and those of rank 0 never.
    rank: u8,
}

impl Column {
    pub(crate) const fn text(title: &'static str, rank: u8) -> Self {
        Self {
            title,
            is_right: false,
            is_flexible: false,
            rank,
        }
    }

    pub(crate) const fn number(title: &'static str, rank: u8) -> Self {
        Self {
            is_right: true,
            ..Self::text(title, rank)
        }
    }

    pub(crate) const fn flexible(title: &'static str, rank: u8) -> Self {
        Self {
            is_flexible: true,
            ..Self::text(title, rank)
        }
    }
}

/// A row of a table, with a cell for each column.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// The id of its subject, which stays the same while the cells change.
    pub(crate) key: String,
    pub(crate) cells: Vec<String>,
    pub(crate) tone: Tone,
}

/// Rows below titles.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: &'static [Column],
    /// The columns that are not shown, by their places.
    left_out: Vec<usize>,
    pub(crate) rows: Vec<Row>,
}

/// The width of each column, or `None` for those that are left out.
#[derive(Debug)]
pub(crate) struct Layout(Vec<Option<usize>>);

impl Table {
    pub(crate) fn new(columns: &'static [Column]) -> Self {
        Self {
            columns,
            left_out: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Does not show a column, for which nothing is known. The rows have its cells all the same.
    pub(crate) fn leave_out(&mut self, title: &str) {
        let place = self.columns.iter().position(|it| it.title == title);
        self.left_out.extend(place);
    }

    /// Adds a row. Missing cells are empty.
    pub(crate) fn push(&mut self, key: &str, tone: Tone, cells: Vec<String>) {
        self.rows.push(Row {
            key: key.to_owned(),
            cells,
            tone,
        });
    }

    /// Returns the widths for a screen of so many columns, as the rows in sight need them.
    pub(crate) fn layout(&self, room: usize, in_sight: &[Row]) -> Layout {
        let mut natural = self.shown(in_sight);
        loop {
            let mut widths = natural.clone();
            let excess = total(&widths).saturating_sub(room);
            if self.shrink(&mut widths, excess) {
                return Layout(widths);
            }
            // Without it the others may have their full widths again.
            match self.least_wanted(&widths) {
                Some(index) => natural[index] = None,
                // The lines are cut at the edge of the screen.
                None => return Layout(widths),
            }
        }
    }

    fn least_wanted(&self, widths: &[Option<usize>]) -> Option<usize> {
        let columns = self.columns.iter().zip(widths).enumerate();
        columns
            .filter(|(_, (column, width))| width.is_some() && column.rank > 0)
            .max_by_key(|(_, (column, _))| column.rank)
            .map(|(index, _)| index)
    }

    /// Returns the full width of each column that is shown.
    fn shown(&self, rows: &[Row]) -> Vec<Option<usize>> {
        let mut widths: Vec<_> = self.natural(rows).into_iter().map(Some).collect();
        for place in &self.left_out {
            widths[*place] = None;
        }
        widths
    }

    fn natural(&self, rows: &[Row]) -> Vec<usize> {
        let title = |column: &Column| width(column.title);
        let mut widths: Vec<_> = self.columns.iter().map(title).collect();
        for row in rows {
            for (widest, cell) in widths.iter_mut().zip(&row.cells) {
                *widest = (*widest).max(width(cell));
            }
        }
        widths
    }

    /// Cuts flexible columns, the widest first, until nothing is in excess. Returns whether that
    /// could be reached.
    fn shrink(&self, widths: &mut [Option<usize>], mut excess: usize) -> bool {
        let flexible = |index: &usize| self.columns[*index].is_flexible;
        while excess > 0 {
            let widest = (0..widths.len())
                .filter(flexible)
                .filter_map(|index| Some((widths[index]?, index)))
                .filter(|(width, _)| *width > LEAST)
                .max();
            let Some((width, index)) = widest else {
                return false;
            };
            let cut = excess.min(width - LEAST);
            // The other flexible columns take their part if there are any.
            let others = (0..widths.len())
                .filter(flexible)
                .filter(|it| *it != index)
                .filter_map(|it| widths[it])
                .max();
            let step = others.map_or(cut, |other| cut.min(width.saturating_sub(other).max(1)));
            widths[index] = Some(width - step);
            excess -= step;
        }
        true
    }

    pub(crate) fn titles(&self, layout: &Layout) -> String {
        let titles = self.columns.iter().map(|column| column.title.to_owned());
        self.line(layout, &titles.collect::<Vec<_>>())
    }

    pub(crate) fn row(&self, layout: &Layout, row: &Row) -> String {
        self.line(layout, &row.cells)
    }

    fn line(&self, layout: &Layout, cells: &[String]) -> String {
        let gap = " ".repeat(GAP);
        let mut line = String::new();
        let cells = cells.iter().map(String::as_str).chain(iter::repeat(""));
        for ((column, width), cell) in self.columns.iter().zip(&layout.0).zip(cells) {
            let Some(width) = *width else {
                continue;
            };
            if !line.is_empty() {
                line.push_str(&gap);
            }
            line.push_str(&pad(cell, width, column.is_right));
        }
        line
    }

    /// Returns the whole table for plain output: nothing is cut, and no line ends in blanks.
    pub(crate) fn plain(&self) -> String {
        let layout = Layout(self.shown(&self.rows));
        let mut text = String::new();
        let rows = self.rows.iter().map(|row| self.row(&layout, row));
        for line in iter::once(self.titles(&layout)).chain(rows) {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// Returns the lines of the table on a screen of so many columns, its titles first.
    pub(crate) fn lines(&self, room: usize) -> Vec<(Tone, String)> {
        let layout = self.layout(room, &self.rows);
        let titles = (Tone::Title, fit(&self.titles(&layout), room));
        let rows = self.rows.iter();
        let rows = rows.map(|row| (row.tone, fit(&self.row(&layout, row), room)));
        iter::once(titles).chain(rows).collect()
    }
}

fn total(widths: &[Option<usize>]) -> usize {
    let shown = widths.iter().flatten();
    let gaps = shown.clone().count().saturating_sub(1) * GAP;
    shown.sum::<usize>() + gaps
}
