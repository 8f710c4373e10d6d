//! The text of a type in a schema.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;

/// Returns a type as it is written, with blanks in places that depend on its tokens only: not on how
/// they were set, nor on the compiler, whose printing of tokens may change.
pub(super) fn written(ty: &dyn ToTokens) -> String {
    let mut text = String::new();
    write(ty.to_token_stream(), &mut text);
    text
}

fn write(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    // Around what a macro has passed on.
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(group.stream(), text);
                // A comma before the end is followed by nothing.
                text.truncate(text.trim_end().len());
                text.push_str(close);
            }
            TokenTree::Punct(mark) => match mark.as_char() {
                ',' | ';' => {
                    text.push(mark.as_char());
                    text.push(' ');
                }
                '+' | '=' => {
                    text.truncate(text.trim_end().len());
                    text.push(' ');
                    text.push(mark.as_char());
                    text.push(' ');
                }
                // The end of an arrow, whose beginning is there already.
                '>' if text.ends_with('-') => {
                    text.truncate(text.len() - 1);
                    text.push_str(" -> ");
                }
                // Here a comma before the end says nothing, unlike in `(u8,)`.
                '>' => {
                    let kept = text.trim_end();
                    text.truncate(kept.strip_suffix(',').unwrap_or(kept).len());
                    text.push('>');
                }
                // A lifetime is this mark and a name.
                '\'' => {
                    part(text);
                    text.push('\'');
                }
                other => text.push(other),
            },
            word => {
                part(text);
                text.push_str(&word.to_string());
            }
        }
    }
}

/// Parts a word from the one before it.
fn part(text: &mut String) {
    if text.ends_with(|last: char| last.is_alphanumeric() || "_\"".contains(last)) {
        text.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_those_of_the_tokens() {
        for (given, expected) in [
            ("Vec<u8>", "Vec<u8>"),
            ("Vec < u8 , >", "Vec<u8>"),
            ("std :: vec::Vec<\n    u8\n>", "std::vec::Vec<u8>"),
            ("(u8,u16)", "(u8, u16)"),
            ("(u8 ,)", "(u8,)"),
            ("Vec<(u8,),>", "Vec<(u8,)>"),
            ("()", "()"),
            ("[u8;4]", "[u8; 4]"),
            (
                "HashMap<String,Vec<(u8,u8)>>",
                "HashMap<String, Vec<(u8, u8)>>",
            ),
            ("&'static   str", "&'static str"),
            ("Cow<'static,str>", "Cow<'static, str>"),
            ("Box<dyn Fn(&u8)->u8+Send>", "Box<dyn Fn(&u8) -> u8 + Send>"),
            ("Table<{ 1+2 },'x'>", "Table<{1 + 2}, 'x'>"),
            ("<u8 as Tr>::Out", "<u8 as Tr>::Out"),
        ] {
            let tokens: TokenStream = given.parse().expect("are tokens");
            assert_eq!(written(&tokens), expected);
        }
    }
}
