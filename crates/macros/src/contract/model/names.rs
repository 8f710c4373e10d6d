//! The names of variants.

use syn::Ident;
use syn::ext::IdentExt;

/// Returns the variant of a method's calls: its name in camel case, changed where that is no
/// identifier (`_1`, `self_`) or is `taken` (`a_b` after `aB`).
pub(super) fn variant(method: &Ident, taken: &[&Ident]) -> Ident {
    let mut name = camel_case(&method.unraw().to_string());
    if syn::parse_str::<Ident>(&name).is_err() {
        name.insert_str(0, "Call");
    }
    while taken.iter().any(|other| **other == name) {
        name.push('_');
    }
    Ident::new(&name, method.span())
}

fn camel_case(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .into_iter()
            .flat_map(char::to_uppercase)
            .chain(letters)
    });
    words.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(method: &str, taken: &[&str]) -> String {
        let ident = |name: &&str| -> Ident { syn::parse_str(name).expect("is an identifier") };
        let taken: Vec<Ident> = taken.iter().map(ident).collect();
        variant(&ident(&method), &taken.iter().collect::<Vec<_>>()).to_string()
    }

    #[test]
    fn every_method_has_a_variant_of_its_own() {
        assert_eq!(named("ping_all", &[]), "PingAll");
        assert_eq!(named("été", &[]), "Été");
        assert_eq!(named("ßharp", &[]), "SSharp");
        assert_eq!(named("r#type", &[]), "Type");
        assert_eq!(named("self_", &[]), "CallSelf");
        assert_eq!(named("_1", &[]), "Call1");
        assert_eq!(named("__", &[]), "Call");
        assert_eq!(named("数える", &[]), "数える");
        assert_eq!(named("a_b", &["AB"]), "AB_");
        assert_eq!(named("a__b", &["AB", "AB_"]), "AB__");
    }
}
