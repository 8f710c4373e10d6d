//! Tables of a Markdown document.

use super::Text;

/// One row of a table.
pub(super) struct Row {
    /// Line number in the document, counted from 1.
    pub(super) line: usize,
    pub(super) cells: Vec<String>,
}

impl Row {
    /// Returns the words in code quotes of a cell.
    pub(super) fn names(&self, cell: usize) -> Vec<String> {
        let text = self.cells.get(cell).map_or("", String::as_str);
        text.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    }
}

/// Returns the rows of the first table below a heading, without its header.
///
/// # Errors
/// Fails if there is no such heading, or no table before the next heading.
pub(super) fn table(document: &Text, heading: &str) -> Result<Vec<Row>, String> {
    let lines = (1..).zip(document.content.lines());
    let rows: Vec<_> = lines
        // The whole line, since the same words may be a part of a sentence or of a longer heading.
        .skip_while(|(_, line)| *line != heading)
        .skip(1)
        .take_while(|(_, line)| !line.starts_with("## "))
        .skip_while(|(_, line)| !line.starts_with('|'))
        .take_while(|(_, line)| line.starts_with('|'))
        .map(|(line, text)| Row {
            line,
            cells: cells(text),
        })
        .collect();
    // A header, a rule, and at least one row.
    if rows.len() < 3 {
        return Err(format!(
            "{} has no table below the heading \"{heading}\"",
            document.path
        ));
    }
    Ok(rows.into_iter().skip(2).collect())
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner
        .split('|')
        .map(|cell| cell.trim().to_owned())
        .collect()
}
